"""Which version the service serves: the alias `current`; and a version as a folder."""

from dataclasses import dataclass
from pathlib import Path

from jobs.campaign.ports import Context, Tracker
from jobs.campaign.session import Session
from jobs.options import RunOptions
from models.errors import CampaignError, VersionNotFound
from models.registry.version import ALIAS, FIRST, ROLLED_BACK, WAS_CURRENT, Version


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


@dataclass(frozen=True)
class Left:
    """Why a campaign's version was not made current, and the command that makes it so."""

    reason: str
    command: str | None  # None where there is no such version


def offer(session: Session, number: str) -> Left | None:
    """Make a campaign's version current, unless that would displace somebody else's.

    One that has been current and is so no longer was left by a person, by `promote` or in MLflow's
    own pages: it is not brought back.

    Returns:
        None when it is current now.
    """
    tracker, name = session.context.tracker, session.campaign.options.model_name
    command = f"python -m jobs promote --model-name {name} --version {number}"
    current = tracker.current(name)
    if current is not None and not _is_ours(current, session):
        return Left(f"{ALIAS} of {name} is version {current.number} of another campaign", command)
    version = _find_ours(session, name, number)
    if version is None:
        return Left(f"version {number} of {name} is no longer in MLflow", None)
    is_current = current is not None and _stands_for(current, version)
    if not is_current and version.tags.keys() & {ROLLED_BACK, WAS_CURRENT}:
        now = f"moved from version {number} to {current.number}" if current else "taken away"
        return Left(f"{ALIAS} of {name} was {now} by a person, and stays so", command)
    if not is_current:
        tracker.load(version)
        current = tracker.current(name)
        if current is not None and not _is_ours(current, session):
            return Left(f"somebody made version {current.number} of {name} {ALIAS}", command)
    if not is_current or (current == version and WAS_CURRENT not in version.tags):
        tracker.promote(version)
    return None


def _stands_for(current: Version, version: Version) -> bool:
    """Whether it is that version, or one of the same round that was trained again after it."""
    if current.number == version.number:
        return True
    same_round = current.tags.get("round") == version.tags.get("round")
    return same_round and int(current.number) > int(version.number)


def _find_ours(session: Session, name: str, number: str) -> Version | None:
    """The campaign's version; a model that was made again may have somebody else's there."""
    try:
        version = session.context.tracker.find(name, number)
    except VersionNotFound:
        return None
    return version if _is_ours(version, session) else None


def _is_ours(version: Version, session: Session) -> bool:
    """Whether it is of this very campaign; another ledger's may have the same name."""
    rounds = {trained.run_id for trained in session.state.trained}
    return version.tags.get("campaign_run") == session.campaign.run_id or version.run_id in rounds
