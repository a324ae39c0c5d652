"""What lies in a campaign's data set now, told by content, and on which side of the split it is.

Files may be added, moved, renamed and removed while a campaign goes on. A casting is its bytes, so
only what is really new or gone counts; and once a part has its side, it keeps it.
"""

from collections.abc import Mapping
from pathlib import Path

from jobs.adapters.context import World
from jobs.adapters.ledger import Seen
from jobs.datasets.castings import PartSide, Side, listed, place_parts
from jobs.datasets.reader import DataSet, read_data_set
from jobs.datasets.synthetic.castings import SyntheticSpec
from jobs.datasets.synthetic.folder import default_folder, synthesize
from jobs.options import SYNTHETIC, RunOptions


def take_stock(
    world: World, options: RunOptions, before: DataSet | None = None
) -> tuple[DataSet, dict[str, Side]]:
    """Read a data set, say what is gone from it, and place what is new.

    Args:
        world: the ledger remembers what was seen where.
        options: name the data set and its split.
        before: the data set as this process read it before.

    Returns:
        What was read, and the side of each casting by its id.

    Raises:
        DataError: the data set is not usable.
    """
    seen = world.ledger.stock(options.source)
    data = read_data_set(_path(world, options), world.ledger.stock(), world.progress, before)
    world.ledger.record_stock(options.source, data.stock)
    _say_changes(world, data, seen, before)
    return data, _place(world, options, data)


def _path(world: World, options: RunOptions) -> Path:
    if options.data != SYNTHETIC:
        return Path(options.source)
    spec = SyntheticSpec()
    folder = default_folder(spec)
    if not folder.exists():
        world.say(f"drawing {spec.parts} synthetic parts into {folder}")
    return synthesize(spec, folder)


def _say_changes(
    world: World, data: DataSet, seen: Mapping[str, Seen], before: DataSet | None
) -> None:
    """Tell what cannot be read, what is new and what is gone; each once a process."""
    told = set() if before is None else set(before.unreadable)
    for file, reason in data.unreadable:
        if (file, reason) not in told:
            world.say(f"skipped {file}: {reason}")
    then = {c: s.path for c, s in seen.items() if s.unreadable is None}
    if before is not None:
        then = {casting.id: casting.paths[0] for casting in before.castings}
    gone = sorted(path for casting, path in then.items() if casting not in data.stock)
    if gone:
        world.say(f"{len(gone)} castings are gone from {data.root}: {listed(gone)}")
    new = sum(casting.id not in then for casting in data.castings)
    if then and new:
        world.say(f"{new} castings are new in {data.root}")


def _place(world: World, options: RunOptions, data: DataSet) -> dict[str, Side]:
    """The side of each casting, as given or by hash of its part; the first word holds.

    It holds for whether the data set gives the split, for parts, and for castings.
    """
    source, hashed = options.source, f"{options.split}/{options.split_seed}"
    given = options.split == "given" and not world.ledger.sides(source, hashed)
    if given and not world.ledger.sides(source, "given"):
        given = any(casting.side == "test" for casting in data.castings)
    if given:
        split, says = "given", {c.id: c.side or "train" for c in data.castings}
    else:
        split = f"{hashed}/castings"
        placed = place_parts(data.castings, options.split_seed, world.ledger.sides(source, hashed))
        world.ledger.record_sides(source, hashed, placed.values())
        placed = world.ledger.sides(source, hashed)
        says = {c.id: placed[c.part_key].side for c in data.castings}
    rows = [PartSide(casting, "", side) for casting, side in says.items()]
    world.ledger.record_sides(source, split, rows)
    kept = world.ledger.sides(source, split)
    moved = [c.paths[0] for c in data.castings if kept[c.id].side != says[c.id]]
    if moved:
        world.say(
            f"{len(moved)} castings stay on the side where they were first seen: {listed(moved)}"
        )
    return {casting: kept[casting].side for casting in says}
