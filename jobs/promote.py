"""Which version the service serves: the alias `current` of the registered model."""

from jobs.options import RunOptions
from jobs.world import World
from models.errors import CampaignError, VersionNotFound
from models.registry import FIRST, ROLLED_BACK, Version


def promote(world: World, name: str, number: str) -> Version:
    """Point `current` at a version, after it has proved itself.

    Raises:
        VersionNotFound: there is none of that number.
        VersionError: it fails its self-check.
    """
    version = world.tracker.find(name, number)
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
    world.tracker.roll_back(current, version)
    return version


def offer(world: World, campaign: str, name: str, number: str) -> str | None:
    """Make a campaign's version current, unless that would displace somebody else's.

    Returns:
        None when it is current now, else the command that would make it so.
    """
    current = world.tracker.current(name)
    if current is None or current.tags.get("campaign") == campaign:
        already = current is not None and current.number == number
        if not already and ROLLED_BACK not in world.tracker.find(name, number).tags:
            promote(world, name, number)
        return None
    return f"python -m jobs promote --model-name {name} --version {number}"
