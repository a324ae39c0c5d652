"""Which version the service serves: the alias `current` of the registered model."""

from jobs.campaign.opening import Campaign
from jobs.campaign.ports import Context
from jobs.options import RunOptions
from models.errors import CampaignError, VersionNotFound
from models.registry.version import FIRST, ROLLED_BACK, Version


def promote(context: Context, name: str, number: str) -> Version:
    """Point `current` at a version, after it has proved itself.

    Whoever goes to an older one leaves the newer: its campaign does not bring it back.

    Raises:
        VersionNotFound: there is none of that number.
        VersionError: it fails its self-check.
    """
    version, current = context.tracker.find(name, number), context.tracker.current(name)
    context.tracker.prove(version)
    if current is not None and int(number) < int(current.number):
        context.tracker.mark_rolled_back(current)
    context.tracker.promote(version)
    return version


def promote_latest(context: Context, options: RunOptions) -> Version:
    """Point `current` at the latest version of a campaign.

    Raises:
        CampaignError: it has trained none.
    """
    trained = context.ledger.rounds(options.name)
    if not trained:
        raise CampaignError(f"campaign {options.name} has no version yet; `train` makes one")
    return promote(context, options.model_name, trained[-1].version)


def roll_back(context: Context, name: str) -> Version:
    """Point `current` at the version that was current before this one.

    Raises:
        VersionNotFound: nothing is current, or nothing was before.
    """
    current = context.tracker.current(name)
    if current is None:
        raise VersionNotFound(f"{name} has no current version; `promote --version N` sets one")
    previous = current.tags.get("previous")
    if previous in (None, FIRST):
        raise VersionNotFound(
            f"version {current.number} of {name} is the first that was current; "
            f"`promote --version N` names another"
        )
    version = context.tracker.find(name, str(previous))
    context.tracker.prove(version)
    context.tracker.mark_rolled_back(current)
    context.tracker.roll_back(version)
    return version


def offer(context: Context, campaign: Campaign, number: str) -> str | None:
    """Make a campaign's version current, unless that would displace somebody else's.

    One that a person left for an older one is not brought back.

    Returns:
        None when it is current now, else the command that would make it so.
    """
    name = campaign.options.model_name
    command = f"python -m jobs promote --model-name {name} --version {number}"
    current = context.tracker.current(name)
    if not _is_ours(current, campaign):
        return command
    if current is not None and current.number == number:
        return None
    version = context.tracker.find(name, number)
    if ROLLED_BACK in version.tags:
        return command
    context.tracker.prove(version)
    if not _is_ours(context.tracker.current(name), campaign):  # somebody was faster meanwhile
        return command
    context.tracker.promote(version)
    return None


def _is_ours(current: Version | None, campaign: Campaign) -> bool:
    """Whether it is of this very campaign; another ledger's may have the same name."""
    return current is None or current.tags.get("campaign_run") == campaign.run_id
