"""Which version the service serves: the alias `current` of the registered model."""

from jobs.adapters.context import World
from jobs.campaign.opening import Campaign
from jobs.options import RunOptions
from models.errors import CampaignError, VersionNotFound
from models.registry.mlflow_registry import FIRST, ROLLED_BACK, Version


def promote(world: World, name: str, number: str) -> Version:
    """Point `current` at a version, after it has proved itself.

    Whoever goes to an older one leaves the newer: its campaign does not bring it back.

    Raises:
        VersionNotFound: there is none of that number.
        VersionError: it fails its self-check.
    """
    version, current = world.tracker.find(name, number), world.tracker.current(name)
    world.tracker.prove(version)
    if current is not None and int(number) < int(current.number):
        world.tracker.leave(current)
    world.tracker.promote(version)
    return version


def promote_latest(world: World, options: RunOptions) -> Version:
    """Point `current` at the latest version of a campaign.

    Raises:
        CampaignError: it has trained none.
    """
    trained = world.ledger.rounds(options.name)
    if not trained:
        raise CampaignError(f"campaign {options.name} has no version yet; `train` makes one")
    return promote(world, options.model_name, trained[-1].version)


def roll_back(world: World, name: str) -> Version:
    """Point `current` at the version that was current before this one.

    Raises:
        VersionNotFound: nothing is current, or nothing was before.
    """
    current = world.tracker.current(name)
    if current is None:
        raise VersionNotFound(f"{name} has no current version; `promote --version N` sets one")
    previous = current.tags.get("previous")
    if previous in (None, FIRST):
        raise VersionNotFound(
            f"version {current.number} of {name} is the first that was current; "
            f"`promote --version N` names another"
        )
    version = world.tracker.find(name, str(previous))
    world.tracker.prove(version)
    world.tracker.leave(current)
    world.tracker.go_back(version)
    return version


def offer(world: World, campaign: Campaign, number: str) -> str | None:
    """Make a campaign's version current, unless that would displace somebody else's.

    One that a person left for an older one is not brought back.

    Returns:
        None when it is current now, else the command that would make it so.
    """
    name = campaign.options.model_name
    command = f"python -m jobs promote --model-name {name} --version {number}"
    current = world.tracker.current(name)
    if not _is_ours(current, campaign):
        return command
    if current is not None and current.number == number:
        return None
    version = world.tracker.find(name, number)
    if ROLLED_BACK in version.tags:
        return command
    world.tracker.prove(version)
    if not _is_ours(world.tracker.current(name), campaign):  # somebody was faster meanwhile
        return command
    world.tracker.promote(version)
    return None


def _is_ours(current: Version | None, campaign: Campaign) -> bool:
    """Whether it is of this very campaign; another ledger's may have the same name."""
    return current is None or current.tags.get("campaign_run") == campaign.run_id
