"""Which version the service serves: the alias `current`; and a version as a folder."""

from pathlib import Path

from jobs.campaign.ports import Context, Tracker
from jobs.campaign.session import Campaign, Session
from jobs.options import RunOptions
from models.errors import CampaignError, VersionNotFound
from models.registry.version import ALIAS, FIRST, ROLLED_BACK, Version


def promote(tracker: Tracker, name: str, number: str) -> Version:
    """Point `current` at a version, after it has proved itself; VersionError where it does not.

    Whoever goes to an older one leaves the newer: its campaign does not bring it back.
    """
    version, current = tracker.find(name, number), tracker.current(name)
    tracker.load(version)
    if current is not None and int(number) < int(current.number):
        tracker.mark_rolled_back(current)
    tracker.promote(version)
    return version


def promote_latest(context: Context, options: RunOptions) -> Version:
    """Point `current` at a campaign's latest version; CampaignError where it has trained none."""
    trained = context.ledger.rounds(options.name)
    if not trained:
        raise CampaignError(f"campaign {options.name} has no version yet; `train` makes one")
    return promote(context.tracker, options.model_name, trained[-1].version)


def roll_back(tracker: Tracker, name: str) -> Version:
    """Point `current` at the version that was current before this one.

    Raises:
        VersionNotFound: nothing is current, or nothing was before.
    """
    current = tracker.current(name)
    if current is None:
        raise VersionNotFound(f"{name} has no current version; `promote --version N` sets one")
    previous = current.tags.get("previous")
    if previous in (None, FIRST):
        raise VersionNotFound(
            f"version {current.number} of {name} is the first that was current; "
            f"`promote --version N` names another"
        )
    version = tracker.find(name, str(previous))
    tracker.load(version)
    tracker.mark_rolled_back(current)
    tracker.roll_back(version)
    return version


def export(tracker: Tracker, name: str, number: str, folder: Path) -> Version:
    """Write a version to a folder that does not exist yet; `auto` is the current one.

    Raises:
        VersionNotFound: there is none of that number, or none is current.
        VersionError: the folder exists, or the version fails its self-check.
    """
    version = tracker.current(name) if number == "auto" else tracker.find(name, number)
    if version is None:
        raise VersionNotFound(
            f"{name} has no version with the alias {ALIAS}; `promote` sets it, "
            f"`--version N` names another"
        )
    tracker.export(version, folder)
    return version


def offer(session: Session, number: str) -> str | None:
    """Make a campaign's version current, unless that would displace somebody else's.

    One that a person left for an older one is not brought back.

    Returns:
        None when it is current now, else the command that would make it so.
    """
    tracker, campaign = session.context.tracker, session.campaign
    name = campaign.options.model_name
    command = f"python -m jobs promote --model-name {name} --version {number}"
    current = tracker.current(name)
    if not _is_ours(current, campaign):
        return command
    if current is not None and current.number == number:
        return None
    version = tracker.find(name, number)
    if ROLLED_BACK in version.tags:
        return command
    tracker.load(version)
    if not _is_ours(tracker.current(name), campaign):  # somebody was faster meanwhile
        return command
    tracker.promote(version)
    return None


def _is_ours(current: Version | None, campaign: Campaign) -> bool:
    """Whether it is of this very campaign; another ledger's may have the same name."""
    return current is None or current.tags.get("campaign_run") == campaign.run_id
