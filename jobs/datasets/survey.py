"""What all castings of a data set have in common: their bits, and whether they are in colour."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import lru_cache

from jobs.datasets.castings import Casting
from jobs.datasets.reader import DataSet
from jobs.progress import Progress, silent
from models.images import BitsInUse, is_colour
from models.images.depth import Depth, bits_of, together

_THREADS = 4
GREY, COLOUR = 1, 3  # channels


@dataclass(frozen=True)
class Survey:
    """What was found when every casting was looked at."""

    castings: int
    tinted: int  # whose channels differ
    bits: BitsInUse

    def channels(self, asked: str) -> tuple[int, str]:
        """The channels that `--channels` auto, grey or colour gives, and why, in words."""
        count = f"{self.tinted} of {self.castings} castings are tinted"
        if asked == "auto":
            return (COLOUR, f"{count}: colour") if self.tinted else (GREY, f"{count}: grey")
        return (GREY if asked == "grey" else COLOUR), f"{count}, --channels {asked}: {asked}"


def survey(data_set: DataSet, progress: Progress = silent) -> Survey:
    """Look at every casting: files of 8 bits in grey cost a look at their header.

    Castings that this process has looked at before are not read again.

    Raises:
        DataError: a file changed or went away since the data set was read.
    """
    return _survey(_Castings(tuple(c.id for c in data_set.castings), data_set, progress))


@dataclass(frozen=True)
class _Castings:
    """Castings known by their ids, and how they are read."""

    ids: tuple[str, ...]
    data_set: DataSet = field(compare=False)
    progress: Progress = field(compare=False)


@lru_cache(maxsize=2)
def _survey(castings: _Castings) -> Survey:
    data_set, tinted, depths = castings.data_set, 0, list[Depth | None]()

    def look(casting: Casting) -> tuple[bool, Depth | None]:
        data = data_set.read(casting)
        return is_colour(data), bits_of(data)

    with (
        ThreadPoolExecutor(_THREADS) as pool,
        castings.progress("looking at bits and colour", len(castings.ids)) as advance,
    ):
        for coloured, depth in pool.map(look, data_set.castings):
            tinted += coloured
            depths.append(depth)
            advance(1)
    return Survey(len(castings.ids), tinted, together(depths))
