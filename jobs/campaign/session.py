"""A campaign that is worked on: what it was asked to be, its castings, and where it stands."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property

import torch

from jobs.campaign.answers import standing
from jobs.campaign.ports import ORACLE, Context, Said
from jobs.campaign.state import State, read_state
from jobs.datasets.castings import Casting, Side, class_names, good_class
from jobs.datasets.inventory import take_inventory
from jobs.datasets.reader import DataSet
from jobs.datasets.split import leaked_test_castings, part_hash
from jobs.options import RunOptions
from models.acquisition.strategy import Strategy
from models.errors import DataError, listed
from models.images import BitsInUse, Preprocessing
from models.network.device import best_device, precision
from models.network.spec import NetworkSpec
from models.network.start import Start, read_start

Labelled = tuple[Casting, str]
_SAMPLE, _PER_PART = 2000, 8  # castings that say what is usual


@dataclass(frozen=True)
class Campaign:
    """A campaign and its data set."""

    options: RunOptions
    strategy: Strategy
    cold_start: Strategy
    data: DataSet  # as it was when it was last looked at
    sides: Mapping[str, Side]  # by casting id
    channels: int  # 1 or 3, as its castings were when it began
    bits: BitsInUse  # likewise
    run_id: str  # in MLflow
    label_set: str  # the question that its labels answer

    @property
    def name(self) -> str:
        """Its name in ledger and MLflow."""
        return self.options.name

    @cached_property
    def castings(self) -> dict[str, Casting]:
        """Every casting by id."""
        return {casting.id: casting for casting in self.data.castings}

    def casting(self, casting: str) -> Casting:
        """A casting by id; DataError where the data set no longer has it."""
        if casting not in self.castings:
            raise DataError(
                f"casting {casting[:12]} was asked for by campaign {self.name}, but is no "
                f"longer in {self.options.source}; put the file back"
            )
        return self.castings[casting]

    def parameters(self) -> dict[str, object]:
        """Every option, and what the machine adds to the numbers."""
        device = best_device()
        machine = {"precision": precision(device), "threads": torch.get_num_threads()}
        return asdict(self.options) | machine

    @cached_property
    def start(self) -> Start:
        """The weights that each of its trainings begins from."""
        spec = self.network_spec(("good", "defect"))  # any two: a start has no head
        return read_start(self.options.weights, spec, self.options.seed)

    @property
    def preprocessing(self) -> Preprocessing:
        """What is done to its photographs."""
        return self.seen_by(self.start)

    def seen_by(self, start: Start) -> Preprocessing:
        """What is done to its photographs before a start sees them."""
        return self._as_told(start.preprocessing(self.options.image_size))

    def small(self, size: int) -> Preprocessing:
        """What is done to its photographs where no network sees them."""
        return self._as_told(Preprocessing(size=size, channels=self.channels))

    def _as_told(self, look: Preprocessing) -> Preprocessing:
        return replace(look, fit=self.options.fit, **self.bits._asdict())

    def network_spec(self, classes: Sequence[str]) -> NetworkSpec:
        """The network of its rounds."""
        return NetworkSpec(self.options.backbone, self.channels, len(classes))

    def classes(self, labels: Iterable[str]) -> tuple[tuple[str, ...], str | None]:
        """Class names in order and the good one, given the labels that people gave.

        Raises:
            DataError: they contradict `--classes` or `--good`.
        """
        in_data = {c.label: c.paths[0] for c in self.data.castings if c.label is not None}
        labels = set(labels)
        given = self.options.class_list or tuple(sorted(in_data.keys() | labels))
        outside = [f"{label} ({path})" for label, path in in_data.items() if label not in given]
        if outside:
            raise DataError(
                f"{listed(outside)}: no such class, --classes names {', '.join(given)}; images "
                f"without a label lie in a folder named unlabelled"
            )
        classes = class_names(labels, given)
        return classes, good_class(classes, self.options.good)

    def tags(self, number: int | None = None) -> dict[str, str]:
        """The MLflow tags of the campaign's run, or of one round's."""
        options = self.options
        tags = {"campaign": self.name, "strategy": options.strategy, "seed": str(options.seed)}
        return tags if number is None else tags | {"round": str(number)}

    @property
    def data_counts(self) -> dict[str, int]:
        """How many castings the data set has, by what was found of them."""
        counts = Counter(self.sides.values())
        return {
            "train_castings": counts["train"],
            "test_castings": counts["test"],
            "unreadable": len(self.data.unreadable),
            "duplicate_test_castings": self.data.duplicate_test,
            "leaked_test_castings": leaked_test_castings(self.data.castings, self.sides),
        }


@dataclass(frozen=True)
class Session:
    """A campaign in the outside world, and where it stood when the ledger was last read."""

    context: Context
    campaign: Campaign
    state: State

    @classmethod
    def begin(cls, context: Context, campaign: Campaign) -> "Session":
        """Read where the campaign stands."""
        present = campaign.castings.keys()
        state = read_state(context.ledger, campaign.name, campaign.label_set, present)
        return cls(context, campaign, state)

    def reread(self) -> "Session":
        """The same campaign, where it stands now."""
        return Session.begin(self.context, self.campaign)

    def with_inventory(self) -> "Session":
        """The campaign with its data set as it is now, and where it stands now."""
        campaign, context = self.campaign, self.context
        data, sides = take_inventory(
            context.ledger, campaign.options, context.progress, context.say, campaign.data
        )
        return Session.begin(context, replace(campaign, data=data, sides=sides))

    def log_data_set(self, run_id: str) -> None:
        """Note on a run which castings it had before it."""
        campaign = self.campaign
        digest = hashlib.sha256("".join(campaign.castings).encode()).hexdigest()
        source, counts = campaign.options.source, campaign.data_counts
        self.context.tracker.log_data_set(run_id, source, digest, counts)

    def pool(self, side: Side = "train") -> list[Casting]:
        """The castings of a side that were not asked for nor skipped, in order of id."""
        taken = {asked.casting for asked in self.state.asked} | self.state.skipped
        sides = self.campaign.sides
        return [
            c for c in self.campaign.data.castings if sides[c.id] == side and c.id not in taken
        ]

    def pool_sample(self) -> list[Casting]:
        """The castings of the train side that say what is usual: whole parts, in order of a hash.

        At most `_PER_PART` of a part and about `_SAMPLE` in all; labels play no part in it.
        """
        parts: dict[str, list[Casting]] = {}
        for casting in self.campaign.data.castings:
            if self.campaign.sides[casting.id] == "train":
                parts.setdefault(casting.part_key, []).append(casting)
        sample: list[Casting] = []
        for part in sorted(parts, key=lambda part: (part_hash(part, seed=0), part)):
            sample += parts[part][:_PER_PART]
            if len(sample) >= _SAMPLE:
                break
        return sample

    def castings_to_train_on(self) -> list[Labelled]:
        """What the next training learns from, with its labels, in the order asked."""
        labels = self.state.labels
        asked = self.state.trained_on()
        return [(self.campaign.casting(a.casting), labels[a.casting]) for a in asked]

    def castings_to_test_on(self) -> list[Labelled]:
        """The labelled castings that `test/` metrics are computed on, with their labels.

        All of the test side that is labelled, but for the half of the audit that calibrates.
        """
        campaign, state = self.campaign, self.state
        elsewhere = {casting.id for casting, _ in self.castings_to_calibrate_on()}
        elsewhere |= {asked.casting for asked in state.asked if asked.use == "train"}
        labelled = ((c, self._label(c.id, state.answers)) for c in campaign.data.castings)
        return [
            (casting, label)
            for casting, label in labelled
            if label and campaign.sides[casting.id] == "test" and casting.id not in elsewhere
        ]

    def changed_labels(self) -> list[str]:
        """Castings that the latest round trained or measured on, which are called otherwise now.

        Of a round of an older program, which did not record what it knew, none can be told.
        """
        state, sides = self.state, self.campaign.sides
        latest = state.trained[-1] if state.trained else None
        if latest is None or latest.last_label is None:
            return []
        before = standing(state.said, latest.last_label)
        used = [a.casting for a in state.asked if a.round <= latest.round]
        used += [casting for casting, side in sides.items() if side == "test"]
        return [
            casting
            for casting in dict.fromkeys(used)
            if self._label(casting, before) not in {None, self._label(casting, state.answers)}
        ]

    def _label(self, casting: str, answers: Mapping[str, Said]) -> str | None:
        """What a casting is called: as a person said, or the data set does, or did when asked."""
        word, known = answers.get(casting), self.campaign.castings.get(casting)
        if word is not None and (word.annotator != ORACLE or casting in self._asked):
            return word.label
        return None if known is None else known.label

    @cached_property
    def _asked(self) -> frozenset[str]:
        return frozenset(asked.casting for asked in self.state.asked)

    def castings_to_calibrate_on(self) -> list[Labelled]:
        """The half of the audit that sets temperature and threshold, with its labels."""
        state = self.state
        audited = [asked.casting for asked in state.paid() if state.use(asked) == "audit"]
        castings = [self.campaign.casting(casting) for casting in audited]
        return [(c, state.labels[c.id]) for c in castings if _calibrates(c)]


def _calibrates(casting: Casting) -> bool:
    """Whether an audited casting sets thresholds, rather than measure what they give."""
    return part_hash(f"audit:{casting.part_key}", seed=0) < 0.5  # noqa: PLR2004 -- half of them
