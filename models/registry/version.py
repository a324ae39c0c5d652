"""What a version of a registered model is called, and the words in its tags."""

from collections.abc import Mapping
from dataclasses import dataclass

ALIAS = "current"
ROLLED_BACK = "rolled_back"  # tag of a version that a person took out of service
WAS_CURRENT = "was_current"  # tag of a version once it has been current
DIGESTS = "sha256"  # tag: the SHA-256 of every file of a version, JSON by path
FIRST = "none"  # the tag `previous` of a version that was the first to be current


@dataclass(frozen=True)
class Version:
    """One version of a registered model."""

    name: str  # of the registered model
    number: str  # digits
    run_id: str  # the run that trained it, empty for a folder that does not say
    tags: Mapping[str, str]  # campaign, round, strategy, labels, labels_sha256, previous

    def is_same(self, other: "Version") -> bool:
        """Whether both are one version: a model made again in a registry counts from 1 again."""
        return (self.name, self.number, self.run_id) == (other.name, other.number, other.run_id)
