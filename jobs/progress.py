"""How long work shows how far it is; on a terminal only."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager

from tqdm import tqdm

Advance = Callable[[int], object]
Progress = Callable[[str, int], AbstractContextManager[Advance]]


@contextmanager
def bar(what: str, total: int) -> Iterator[Advance]:
    """A bar on stderr when that is a terminal, else nothing."""
    with tqdm(total=total, desc=what, leave=False, disable=None) as shown:
        yield shown.update


@contextmanager
def stepping(progress: Progress, what: str) -> Iterator[Callable[[int, int, float], None]]:
    """Progress of a training, to be told (position, steps, loss) after each step."""
    with ExitStack() as stack:
        bars: list[Advance] = []
        shown = 0

        def on_step(position: int, steps: int, _loss: float) -> None:
            nonlocal shown
            if not bars:
                bars.append(stack.enter_context(progress(what, steps)))
            bars[0](position - shown)
            shown = position

        yield on_step


@contextmanager
def silent(_what: str, _total: int) -> Iterator[Advance]:
    """No progress at all."""
    yield lambda _: None
