"""What a campaign asks of the outside world: the ledger, MLflow, the scoring service.

Use cases see these shapes and nothing behind them. `jobs.adapters` fills them, and so do the
fakes of the tests; one suite runs on both.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

from jobs.datasets.ports import InventoryLedger
from jobs.options import RunOptions
from jobs.progress import Progress
from models.registry.version import Version

if TYPE_CHECKING:
    from torch import Tensor

    from models.prediction.predictor import Predictor

Use = Literal["train", "audit"]
Label = tuple[str, str, str]  # casting, label, annotator
ORACLE = "oracle"
SKIP = ""  # the label of a casting of which a person cannot tell what it is


class Said(NamedTuple):
    """What an annotator once called a casting."""

    number: int  # grows from label to label
    casting: str
    label: str  # class, or SKIP
    annotator: str


@dataclass(frozen=True)
class CampaignRow:
    """A campaign as it was begun."""

    name: str
    options: Mapping[str, Any]  # what must be the same each time it is continued
    rounds: int  # how many trainings it was last asked for
    channels: int  # of its castings
    run_id: str | None = None  # its MLflow run, None before one is recorded
    bits: tuple[int, int] = (16, 0)  # `BitsInUse` of its castings; before, nobody looked
    begun: str = ""  # when; tells it from campaigns of that name in other ledgers
    label_set: str = ""  # the question that its labels answer


@dataclass(frozen=True)
class Asked:
    """A casting that a campaign asked for, to be labelled for training `round`."""

    round: int
    rank: int
    casting: str
    use: Use
    reason: str = ""  # why it was asked for, in words for people


@dataclass(frozen=True)
class Trained:
    """A finished training."""

    round: int
    run_id: str
    version: str
    labels_total: int
    metrics: Mapping[str, float]
    last_label: int | None = None  # number of the last label it knew; older programs did not say


@dataclass(frozen=True)
class Request:
    """What is asked about each casting."""

    version: str  # the model version that must answer
    run_id: str  # that trained it; another service's version of that number is not it
    passes: int  # dropout passes K
    seed: int  # of the passes' masks
    include: tuple[str, ...] = ()  # `posterior`, `embedding`, both or neither

    def fields(self) -> dict[str, str]:
        """The form fields that say so."""
        fields = {"passes": str(self.passes), "seed": str(self.seed)}
        included = {"include": ",".join(self.include)} if self.include else {}
        return fields | {"model_version": self.version} | included


@dataclass(frozen=True)
class Scored:
    """The service's answer about some castings."""

    answers: list[dict[str, Any]]  # one JSON row for each readable casting, in the order sent
    tensors: "Mapping[str, Tensor]"  # `posterior` [N, K, C], `embedding` [N, F] where asked for
    refused: Mapping[int, str]  # reason by position of the castings that it could not read


def stack(chunks: "Sequence[Mapping[str, Tensor]]", name: str) -> "Tensor | None":
    """One tensor of the castings of all chunks, None where no chunk has it."""
    import torch

    parts = [chunk[name] for chunk in chunks if name in chunk]
    return torch.cat(parts) if parts else None


class Ledger(InventoryLedger, Protocol):
    """What was asked, answered and trained. Writing the same again changes nothing."""

    def begin(self, row: CampaignRow) -> CampaignRow:
        """Record a campaign and its length, once; returns what is recorded."""

    def record_run(self, name: str, run_id: str) -> None:
        """Record which MLflow run is the campaign's, once."""

    def record_start(self, name: str, sha256: str) -> str:
        """Record which weights the campaign begins from, once; returns what is recorded."""

    def record_move(self, data: str, path: str) -> None:
        """Record that a data set lies at another path now; both are names of it from then on."""

    def known_as(self, path: str) -> str:
        """The path at which the data set there lay first."""

    def located(self, data: str) -> str:
        """The path at which a data set lies by now."""

    def lengthen(self, name: str, rounds: int) -> None:
        """Record how many rounds the campaign shall have from now on."""

    def widen(self, name: str, classes: str) -> None:
        """Record which classes, as an option, the campaign has from now on."""

    def campaign(self, name: str) -> CampaignRow | None:
        """A campaign by name."""

    def campaigns(self) -> list[CampaignRow]:
        """All campaigns, oldest first."""

    def ask(
        self,
        campaign: str,
        number: int,
        castings: Sequence[tuple[str, Use]],
        reasons: Mapping[str, str] | None = None,
    ) -> None:
        """Record the batch to be labelled for training `number`, in order, once; and why."""

    def asked(self, campaign: str) -> list[Asked]:
        """Everything the campaign has asked for, in order."""

    def record_labels(self, label_set: str, labels: Sequence[Label]) -> int:
        """Record who calls castings what, in order and at once; returns how many are news.

        What an annotator said last about a casting and says again is no news.
        """

    def labels(self, label_set: str) -> list[Said]:
        """Everything that was ever said in a label set, in order."""

    def record_round(self, campaign: str, trained: Trained) -> None:
        """Record a finished training, once."""

    def rounds(self, campaign: str) -> list[Trained]:
        """The finished trainings of a campaign, in order."""


class Tracker(Protocol):
    """Runs, metrics, artifacts and model versions. Every call may be repeated after a crash."""

    def open_campaign(
        self,
        name: str,
        recorded: str | None,
        params: Mapping[str, object],
        tags: Mapping[str, str],
    ) -> str:
        """The campaign's run, running; a new one where the recorded one was deleted."""

    def has_run(self, run_id: str) -> bool:
        """Whether there is such a run that nobody has deleted."""

    def open_round(
        self, parent: str, name: str, params: Mapping[str, object], tags: Mapping[str, str]
    ) -> str:
        """The nested run of that name below `parent`."""

    def log_metrics(self, run_id: str, metrics: Mapping[str, float], step: int) -> None:
        """Log those points that are not there yet."""

    def log_files(self, run_id: str, files: Mapping[str, bytes]) -> None:
        """Log artifacts by name."""

    def log_data_set(
        self, run_id: str, source: str, digest: str, counts: Mapping[str, int]
    ) -> None:
        """Note which data the run used."""

    def close_run(self, run_id: str, *, failed: bool = False) -> None:
        """End a run as finished or failed; what is nested in a failed one and runs fails too."""

    def publish(
        self,
        name: str,
        predictor: "Predictor",
        golden_N: "Tensor",
        run_id: str,
        tags: Mapping[str, str],
    ) -> Version:
        """Register the run's model, unless the run has registered one of the same labels."""

    def current(self, name: str) -> Version | None:
        """The version that `current` points at."""

    def find(self, name: str, number: str) -> Version:
        """A version by number; VersionNotFound where there is none."""

    def load(self, version: Version) -> "Predictor":
        """Load a version, which proves itself; VersionError where it cannot."""

    def export(self, version: Version, folder: Path) -> None:
        """Download a version to a folder of its own, where it proves itself."""

    def promote(self, version: Version) -> None:
        """Point `current` at a version; its tag `previous` names the one before."""

    def mark_rolled_back(self, version: Version) -> None:
        """Mark a version that a person takes out of service."""

    def roll_back(self, version: Version) -> None:
        """Point `current` back at a version; the chain of `previous` stays as it is."""


class ScoringService(Protocol):
    """The scoring service: castings in, numbers out."""

    def score(self, images: Sequence[tuple[str, bytes]], request: Request) -> Scored:
        """Score (name, bytes) castings; ServiceError where the service refuses or is away."""

    def score_known(self, castings: Sequence[str], request: Request) -> Scored:
        """Score castings by id; those that the service has not embedded are refused."""

    def explain(self, image: tuple[str, bytes], version: str) -> bytes:
        """The picture, PNG, of a (name, bytes) casting under the map of a version."""


class Embeddings(Protocol):
    """Pooled stages of castings that are kept, by `Predictor.space` and the casting's id."""

    def get(self, space: str, castings: Sequence[str]) -> "dict[str, Tensor]":
        """The vectors, float32 `[P]`, of those castings that are kept."""

    def put(self, space: str, castings: Sequence[str], vectors_N_P: "Tensor") -> None:
        """Keep the vectors of castings."""


@dataclass(frozen=True)
class Context:
    """The outside world, handed to every use case."""

    ledger: Ledger
    tracker: Tracker
    scoring_service: Callable[[RunOptions], ScoringService]  # started when it is first asked for
    embeddings: Embeddings
    progress: Progress
    say: Callable[[str], None]  # tells the person who started the job, a line at a time
