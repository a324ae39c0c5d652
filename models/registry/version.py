"""What a version of a registered model is called, and the words in its tags."""

from collections.abc import Mapping
from dataclasses import dataclass

ALIAS = "current"
ROLLED_BACK = "rolled_back"  # tag of a version that a person took out of service
FIRST = "none"  # the tag `previous` of a version that was the first to be current


@dataclass(frozen=True)
class Version:
    """One version of a registered model."""

    name: str  # of the registered model
    number: str  # digits
    run_id: str  # the run that trained it, empty for a folder that does not say
    tags: Mapping[str, str]  # campaign, round, strategy, labels, labels_sha256, previous
