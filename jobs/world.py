"""The outside world, handed to every use case."""

from collections.abc import Callable
from dataclasses import dataclass

from jobs.ledger import Ledger
from jobs.options import RunOptions
from jobs.progress import Progress
from jobs.scoring_client import ScoringClient
from jobs.tracking import MlflowTracker


@dataclass(frozen=True)
class World:
    """What a use case may ask of the world.

    Attributes:
        ledger: what was asked, answered and trained.
        tracker: MLflow.
        scorer: the scoring service for a campaign, started when it is first asked for.
        progress: shows how far long work is.
        say: tells the person who started the job, a line at a time.
    """

    ledger: Ledger
    tracker: MlflowTracker
    scorer: Callable[[RunOptions], ScoringClient]
    progress: Progress
    say: Callable[[str], None]
