"""A campaign: what it was asked to be, and its castings."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from functools import cached_property

import torch

from jobs.campaign.ports import CampaignRow, Context
from jobs.datasets.castings import Casting, Side, class_names, good_class
from jobs.datasets.inventory import take_inventory
from jobs.datasets.reader import DataSet, count_channels
from jobs.datasets.split import leaked_test_castings
from jobs.options import RunOptions
from models.acquisition.strategies.table import STRATEGIES, find_strategy
from models.acquisition.strategy import starts_cold
from models.errors import CampaignError, DataError, listed
from models.images import Preprocessing
from models.network.device import best_device, precision, scoring_precision
from models.network.network import NetworkSpec
from models.network.weights import check_weights


@dataclass(frozen=True)
class Campaign:
    """A campaign and its data set.

    Attributes:
        options: what it was asked to be.
        data: its castings, as they were when stock was last taken.
        sides: train or test, by casting id.
        channels: 1 or 3, as its castings were when it began.
        run_id: its MLflow run.
    """

    options: RunOptions
    data: DataSet
    sides: Mapping[str, Side]
    channels: int
    run_id: str

    @cached_property
    def castings(self) -> dict[str, Casting]:
        """Every casting by id."""
        return {casting.id: casting for casting in self.data.castings}

    def casting(self, casting: str) -> Casting:
        """A casting by id.

        Raises:
            DataError: the data set no longer has it.
        """
        if casting not in self.castings:
            raise DataError(
                f"casting {casting[:12]} was asked for by campaign {self.options.name}, but is no "
                f"longer in {self.options.source}; put the file back"
            )
        return self.castings[casting]

    def parameters(self) -> dict[str, object]:
        """Every option, and what the machine adds to the numbers."""
        device = best_device()
        machine = {"precision": precision(device), "scoring_precision": scoring_precision(device)}
        return asdict(self.options) | machine | {"threads": torch.get_num_threads()}

    @property
    def preprocessing(self) -> Preprocessing:
        """What is done to its photographs."""
        return Preprocessing(size=self.options.image_size, channels=self.channels)

    def network_spec(self, classes: Sequence[str]) -> NetworkSpec:
        """The network of its rounds."""
        return NetworkSpec(self.options.backbone, self.channels, len(classes))

    def classes(self, labels: Iterable[str]) -> tuple[tuple[str, ...], str | None]:
        """Class names in order and the good one, given the labels that people gave.

        Raises:
            DataError: they contradict `--classes` or `--good`.
        """
        known = {c.label: c.paths[0] for c in self.data.castings if c.label is not None}
        labels = set(labels)
        given = self.options.class_list or tuple(sorted(known.keys() | labels))
        outside = [f"{label} ({path})" for label, path in known.items() if label not in given]
        if outside:
            raise DataError(
                f"{listed(outside)}: no such class, --classes names {', '.join(given)}"
            )
        classes = class_names(labels, given)
        return classes, good_class(classes, self.options.good)

    def tags(self, number: int | None = None) -> dict[str, str]:
        """The MLflow tags of the campaign's run, or of one round's."""
        tags = {
            "campaign": self.options.name,
            "strategy": self.options.strategy,
            "seed": str(self.options.seed),
        }
        return tags if number is None else tags | {"round": str(number)}

    @property
    def data_counts(self) -> dict[str, int]:
        """What was found in the data set."""
        counts = Counter(self.sides.values())
        return {
            "train_castings": counts["train"],
            "test_castings": counts["test"],
            "unreadable": len(self.data.unreadable),
            "duplicate_test_castings": self.data.duplicate_test,
            "leaked_test_castings": leaked_test_castings(self.data.castings, self.sides),
        }


def look_up(context: Context, options: RunOptions) -> Campaign:
    """Read a campaign's data set and place its castings; nothing is begun.

    Raises:
        CampaignError: there is one of that name with other options.
        DataError: its data set or an option is not usable.
    """
    recorded = context.ledger.campaign(options.name)
    if recorded is not None:
        options.check_same(recorded.options)
    find_strategy(options.strategy)
    _check_cold_start(options.cold_start)
    data, sides = take_inventory(context.ledger, options, context.progress, context.say)
    channels = recorded.channels if recorded else count_channels(data)
    run_id = recorded.run_id if recorded else None
    campaign = Campaign(options, data, sides, channels, run_id or "")
    campaign.classes(())  # options that cannot be met fail here
    if recorded is None:
        check_weights(options.weights)
        count = Counter(sides.values())
        check_initial(
            options, count["train"], min(options.audited(options.initial), count["test"])
        )
    return campaign


def check_initial(options: RunOptions, train: int, audit: int) -> int:
    """How many castings of the first batch are trained on, when so many are audited.

    Raises:
        CampaignError: the train side has fewer.
    """
    wanted = options.initial - audit
    if train < wanted:
        raise CampaignError(
            f"--initial {options.initial} wants {wanted} castings to train on, only {train} of "
            f"the train side are unlabelled; give a smaller --initial"
        )
    return wanted


def _check_cold_start(name: str) -> None:
    """Refuse a first batch by a strategy that needs a model or labels.

    Raises:
        DataError: it does.
    """
    if not starts_cold(find_strategy(name)):
        others = ", ".join(other for other in STRATEGIES if starts_cold(find_strategy(other)))
        raise DataError(f"--cold-start {name}: needs a model or labels; {others} do not")


def refresh(context: Context, campaign: Campaign) -> Campaign:
    """The campaign with its data set as it is now.

    Raises:
        DataError: it is no longer usable.
    """
    data, sides = take_inventory(
        context.ledger, campaign.options, context.progress, context.say, campaign.data
    )
    return replace(campaign, data=data, sides=sides)


@contextmanager
def worked_on(context: Context, options: RunOptions) -> Iterator[Campaign]:
    """Begin a campaign, or continue the one of that name; its MLflow run is ended at the end.

    Raises:
        CampaignError: there is one of that name with other options.
        DataError: its data set or an option is not usable.
    """
    campaign = open_campaign(context, options)
    with ending(context, campaign.run_id):
        yield campaign


@contextmanager
def ending(context: Context, run_id: str) -> Iterator[None]:
    """End an MLflow run at the end, as failed after an error."""
    try:
        yield
    except BaseException:
        with suppress(Exception):  # the tracking server may be what failed; continuing ends it too
            context.tracker.close_run(run_id, failed=True)
        raise
    context.tracker.close_run(run_id)


def open_campaign(context: Context, options: RunOptions) -> Campaign:
    """Begin a campaign, or continue the one of that name.

    The ledger knows of it before MLflow does: so a job that dies in between finds its run again.

    Raises:
        CampaignError: there is one of that name with other options.
        DataError: its data set or an option is not usable.
    """
    found = look_up(context, options)
    name = options.name
    recorded = context.ledger.begin(
        CampaignRow(name, options.identity(), options.rounds, found.channels)
    )
    if recorded.rounds != options.rounds:
        context.ledger.lengthen(name, options.rounds)
    run_id = context.tracker.open_campaign(
        name, recorded.run_id, found.parameters(), found.tags() | {"begun": recorded.begun}
    )
    context.ledger.record_run(name, run_id)
    campaign = replace(found, run_id=run_id)
    log_data_set(context, campaign, run_id)
    return campaign


def log_data_set(context: Context, campaign: Campaign, run_id: str) -> None:
    """Note on a run which castings it had before it."""
    digest = hashlib.sha256("".join(campaign.castings).encode()).hexdigest()
    context.tracker.log_data_set(run_id, campaign.options.source, digest, campaign.data_counts)


def recorded_options(context: Context, name: str, service_url: str = "auto") -> RunOptions:
    """The options of a campaign in the ledger; `auto`: the only one, or only unfinished one.

    Raises:
        CampaignError: there is none of that name, or not exactly one that is unfinished.
    """
    rows = context.ledger.campaigns()
    known = ", ".join(row.name for row in rows) or "none"
    if name == "auto":
        open_ones = [r for r in rows if len(context.ledger.rounds(r.name)) < r.rounds]
        rows = rows if len(rows) == 1 else open_ones
        if len(rows) != 1:
            raise CampaignError(
                f"{len(rows)} unfinished campaigns in the ledger, which has: {known}; "
                f"say which with --campaign, or begin one with `run`"
            )
    else:
        rows = [row for row in rows if row.name == name]
        if not rows:
            raise CampaignError(f"no campaign {name} in the ledger; there are: {known}")
    return RunOptions.recorded(rows[0].name, rows[0].options, rows[0].rounds, service_url)
