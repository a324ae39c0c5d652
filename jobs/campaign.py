"""A campaign: what it was asked to be, and its castings."""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path

import torch

from jobs.data import DataSet, count_channels, read_data_set
from jobs.ledger import CampaignRow, Ledger
from jobs.options import SYNTHETIC, RunOptions
from jobs.progress import Progress
from jobs.scoring_client import Scorer
from jobs.synthesize import default_folder, synthesize
from jobs.tracking import Tracker
from models.castings import (
    Casting,
    Side,
    class_names,
    good_class,
    leaked_test_castings,
    listed,
    place_parts,
)
from models.errors import CampaignError, DataError
from models.images import Preprocessing
from models.network import NetworkSpec, best_device, precision
from models.strategies import find_strategy
from models.synthetic import SyntheticSpec


@dataclass(frozen=True)
class World:
    """The outside world, handed to every use case.

    Attributes:
        ledger: what was asked, answered and trained.
        tracker: MLflow.
        scorer: the scoring service for a campaign, started when it is first asked for.
        progress: shows how far long work is.
        say: tells the person who started the job, a line at a time.
    """

    ledger: Ledger
    tracker: Tracker
    scorer: Callable[[RunOptions], Scorer]
    progress: Progress
    say: Callable[[str], None]


@dataclass(frozen=True)
class Campaign:
    """A campaign and its data set.

    Attributes:
        options: what it was asked to be.
        source: the data set, absolute.
        data: its castings.
        sides: train or test, by casting id.
        channels: 1 or 3, as its castings were when it began.
        run_id: its MLflow run.
    """

    options: RunOptions
    source: str
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
                f"longer in {self.source}; put the file back"
            )
        return self.castings[casting]

    def parameters(self) -> dict[str, object]:
        """Every option, and what the machine adds to the numbers."""
        machine = {"precision": precision(best_device()), "threads": torch.get_num_threads()}
        return asdict(self.options) | machine

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
        given = self.options.class_list or tuple(sorted(known))
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
        counts = {side: sum(s == side for s in self.sides.values()) for side in ("train", "test")}
        return {
            "train_castings": counts["train"],
            "test_castings": counts["test"],
            "unreadable": len(self.data.unreadable),
            "duplicate_test_castings": self.data.duplicate_test,
            "leaked_test_castings": leaked_test_castings(self.data.castings, self.sides),
        }


def look_up(world: World, options: RunOptions) -> Campaign:
    """Read a campaign's data set and place its castings; nothing is begun.

    Raises:
        CampaignError: there is one of that name with other options.
        DataError: its data set or an option is not usable.
    """
    recorded = world.ledger.campaign(options.name)
    if recorded is not None:
        options.check_same(recorded.options)
    find_strategy(options.strategy)
    data, source = _read(world, options)
    sides = _split(world, options, source, data)
    channels = recorded.channels if recorded else count_channels(data)
    run_id = recorded.run_id if recorded else ""
    campaign = Campaign(options, source, data, sides, channels, run_id)
    campaign.classes(())  # options that cannot be met fail here
    return campaign


def open_campaign(world: World, options: RunOptions) -> Campaign:
    """Begin a campaign, or continue the one of that name.

    Raises:
        CampaignError: there is one of that name with other options.
        DataError: its data set or an option is not usable.
    """
    found = look_up(world, options)
    run_id = world.tracker.open_campaign(
        options.name, found.run_id or None, found.parameters(), found.tags()
    )
    campaign = replace(found, run_id=run_id)
    recorded = world.ledger.campaign(options.name)
    if recorded is None:
        world.ledger.begin(
            CampaignRow(
                options.name, options.identity(), options.rounds, campaign.channels, run_id
            )
        )
    elif recorded.rounds != options.rounds:
        world.ledger.lengthen(options.name, options.rounds)
    log_data_set(world, campaign, run_id)
    return campaign


def log_data_set(world: World, campaign: Campaign, run_id: str) -> None:
    """Note on a run which castings it had before it."""
    digest = hashlib.sha256("".join(campaign.castings).encode()).hexdigest()
    world.tracker.log_data_set(run_id, campaign.source, digest, campaign.data_counts)


def recorded_options(world: World, name: str, service_url: str = "auto") -> RunOptions:
    """The options of a campaign in the ledger; `auto` means the only unfinished one.

    Raises:
        CampaignError: there is none of that name, or not exactly one that is unfinished.
    """
    rows = world.ledger.campaigns()
    if name == "auto":
        rows = [r for r in rows if len(world.ledger.rounds(r.name)) < r.rounds]
        if len(rows) != 1:
            names = ", ".join(row.name for row in rows) or "none"
            raise CampaignError(
                f"{len(rows)} unfinished campaigns in the ledger ({names}); "
                f"say which with --campaign, or begin one with `run`"
            )
    else:
        rows = [row for row in rows if row.name == name]
        if not rows:
            known = ", ".join(row.name for row in world.ledger.campaigns()) or "none"
            raise CampaignError(f"no campaign {name} in the ledger; there are: {known}")
    return RunOptions.recorded(rows[0].name, rows[0].options, rows[0].rounds, service_url)


def _read(world: World, options: RunOptions) -> tuple[DataSet, str]:
    if options.data == SYNTHETIC:
        spec = SyntheticSpec()
        folder = default_folder(spec)
        if not folder.exists():
            world.say(f"drawing {spec.parts} synthetic parts into {folder}")
        path, source = synthesize(spec, folder), SYNTHETIC
    else:
        path, source = Path(options.source), options.source
    data = read_data_set(path, world.ledger.stock(), world.progress)
    world.ledger.record_stock(data.stock)
    for file, reason in data.unreadable:
        world.say(f"skipped {file}: {reason}")
    return data, source


def _split(world: World, options: RunOptions, source: str, data: DataSet) -> dict[str, Side]:
    """The side of each casting: as given, or a fifth of the parts by hash."""
    given = any(casting.side == "test" for casting in data.castings)
    if options.split == "given" and given:
        return {casting.id: casting.side or "train" for casting in data.castings}
    known = world.ledger.parts(source, options.split_seed)
    placed = place_parts(data.castings, options.split_seed, known)
    world.ledger.record_parts(source, options.split_seed, placed.values())
    placed = world.ledger.parts(source, options.split_seed)
    return {casting.id: placed[casting.part_key].side for casting in data.castings}
