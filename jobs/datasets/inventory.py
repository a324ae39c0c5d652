"""What lies in a campaign's data set now, told by content, and on which side of the split it is.

Files may be added, moved, renamed and removed while a campaign goes on. A casting is its bytes, so
only what is really new or gone counts; and once a part has its side, it keeps it.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

from jobs.datasets.castings import Side
from jobs.datasets.ports import InventoryLedger, Seen
from jobs.datasets.reader import JUDGE, DataSet, read_data_set
from jobs.datasets.split import PartSide, place_parts
from jobs.datasets.synthetic.folder import default_folder, synthesize
from jobs.datasets.synthetic.spec import SyntheticSpec
from jobs.options import SYNTHETIC, RunOptions
from jobs.progress import Progress
from models.errors import listed

Say = Callable[[str], None]


def take_inventory(
    ledger: InventoryLedger,
    options: RunOptions,
    progress: Progress,
    say: Say,
    before: DataSet | None = None,
) -> tuple[DataSet, dict[str, Side]]:
    """Read a data set, say what is gone from it, and place what is new.

    `before` is the data set as this process read it before. Returns it as it is now, and the side
    of each casting by its id. A data set that is not usable is a DataError.
    """
    seen = ledger.seen(options.source)
    known = ledger.seen()
    if before is None:  # while a job goes on, it believes what it was told by the service too
        known = {c: s for c, s in known.items() if s.unreadable is None or s.judge == JUDGE}
    data = read_data_set(_path(options, say), known, progress, before, options.class_list)
    ledger.record_seen(options.source, data.inventory)
    _say_changes(data, seen, before, say)
    return data, _place(ledger, options, data, say)


def parts_placed(ledger: InventoryLedger, options: RunOptions) -> dict[str, PartSide]:
    """The side of each part, or casting without one, that a campaign's split by part has placed.

    None of them where the data set gives the split.
    """
    return ledger.sides(options.source, _by_part(options))


def _by_part(options: RunOptions) -> str:
    """What a split by part is called in the ledger: each seed has one of its own."""
    return f"{options.split}/{options.split_seed}"


def _path(options: RunOptions, say: Say) -> Path:
    if options.data != SYNTHETIC:
        return Path(options.source)
    spec = SyntheticSpec()
    folder = default_folder(spec)
    if not folder.exists():
        say(f"drawing {spec.parts} synthetic parts into {folder}")
    return synthesize(spec, folder)


def _say_changes(
    data: DataSet, seen: Mapping[str, Seen], before: DataSet | None, say: Say
) -> None:
    """Tell what cannot be read, what is new and what is gone; each once a process."""
    told = set() if before is None else set(before.unreadable)
    for file, reason in data.unreadable:
        if (file, reason) not in told:
            say(f"skipped {file}: {reason}")
    then = {c: s.path for c, s in seen.items() if s.unreadable is None}
    if before is not None:
        then = {casting.id: casting.paths[0] for casting in before.castings}
    gone = sorted(path for casting, path in then.items() if casting not in data.inventory)
    if gone:
        say(f"{len(gone)} castings are gone from {data.root}: {listed(gone)}")
    new = sum(casting.id not in then for casting in data.castings)
    if then and new:
        say(f"{new} castings are new in {data.root}")


def _place(
    ledger: InventoryLedger, options: RunOptions, data: DataSet, say: Say
) -> dict[str, Side]:
    """The side of each casting, as given or by hash of its part; the first word holds.

    It holds for whether the data set gives the split, for parts, and for castings.
    """
    source, hashed = options.source, _by_part(options)
    given = options.split == "given" and not ledger.sides(source, hashed)
    if given and not ledger.sides(source, "given"):
        given = any(casting.side == "test" for casting in data.castings)
    if given:
        split, says = "given", {c.id: c.side or "train" for c in data.castings}
    else:
        split = f"{hashed}/castings"
        placed = place_parts(data.castings, options.split_seed, ledger.sides(source, hashed))
        ledger.record_sides(source, hashed, placed.values())
        placed = ledger.sides(source, hashed)
        says = {c.id: placed[c.part_key].side for c in data.castings}
    rows = [PartSide(casting, "", side) for casting, side in says.items()]
    ledger.record_sides(source, split, rows)
    kept = ledger.sides(source, split)
    moved = [c.paths[0] for c in data.castings if kept[c.id].side != says[c.id]]
    if moved:
        say(f"{len(moved)} castings stay on the side where they were first seen: {listed(moved)}")
    return {casting: kept[casting].side for casting in says}
