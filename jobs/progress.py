"""How long work shows how far it is; on a terminal only."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from tqdm import tqdm

Advance = Callable[[int], object]
Progress = Callable[[str, int], AbstractContextManager[Advance]]


@contextmanager
def bar(what: str, total: int) -> Iterator[Advance]:
    """A bar on stderr when that is a terminal, else nothing."""
    with tqdm(total=total, desc=what, leave=False, disable=None) as shown:
        yield shown.update


@contextmanager
def silent(_what: str, _total: int) -> Iterator[Advance]:
    """No progress at all."""
    yield lambda _: None
