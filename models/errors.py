"""Every error that a user can mend, in one tree.

    CastingError                    the command line prints it and exits with 1
    ├── DataError                   the data set, an option of it, or a file in it is not usable
    │   └── UnreadableImage         these bytes are no image that can be scored
    ├── CampaignError               the campaign cannot go on as it was asked to
    ├── VersionError                this model version cannot be used
    │   └── VersionNotFound         there is no such version
    ├── ServiceError                the scoring service refused, or cannot be reached
    └── OutageError                 ledger, tracking server or disk are away for too long

A message says what happened, with the numbers, and the way out.
"""

import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches

_CREDENTIALS = re.compile(r"(?<=://)[^/\s]*@")


def first_line(error: BaseException) -> str:
    """What an error of somebody else's says, fit for logs and clients.

    Database drivers append whole statements, and SQLAlchemy begins with when it happened; MLflow's
    client repeats the tracking URI, with the password that may stand in it.
    """
    lines = [line for line in str(error).splitlines() if not line.startswith("(raised as a")]
    return _CREDENTIALS.sub("***@", lines[0]) if lines else type(error).__name__


class CastingError(Exception):
    """Anything the user can mend; its text is written for them."""


class DataError(CastingError):
    """The data set, an option about it, or a file in it is not usable."""


class UnreadableImage(DataError):
    """These bytes are no image that can be scored; the text is the reason alone."""


class CampaignError(CastingError):
    """The campaign cannot go on as it was asked to."""


class VersionError(CastingError):
    """A model version is damaged, of an unknown format, or fails its self-check."""


class VersionNotFound(VersionError):
    """The registry has no such version or alias."""


class ServiceError(CastingError):
    """The scoring service refused a request or cannot be reached."""


class OutageError(CastingError):
    """The ledger, the tracking server or a disk is away for longer than a job waits."""


_SHOWN = 5  # paths or names that an error message lists


def listed(names: Sequence[str]) -> str:
    """Write the first few names, and how many more there are."""
    shown = ", ".join(names[:_SHOWN])
    return shown if len(names) <= _SHOWN else f"{shown} and {len(names) - _SHOWN} more"


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """` (did you mean NAME?)` where one of the names is near, nothing where none is."""
    by_lower = {known.lower(): known for known in names}
    nearest = get_close_matches(name.lower(), by_lower, n=1)
    return f" (did you mean {by_lower[nearest[0]]}?)" if nearest else ""
