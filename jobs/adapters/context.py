"""The outside world, handed to every use case."""

from collections.abc import Callable
from dataclasses import dataclass

from jobs.adapters.ledger import Ledger
from jobs.adapters.mlflow_tracking import MlflowTracker
from jobs.adapters.scoring_client import ScoringClient
from jobs.options import RunOptions
from jobs.progress import Progress


@dataclass(frozen=True)
class Context:
    """What a use case may ask of the context.

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
