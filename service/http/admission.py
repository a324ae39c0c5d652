"""How many bytes of clients' bodies a worker holds at once, however many clients there are."""

from collections.abc import AsyncIterable, AsyncIterator, Iterator
from contextlib import contextmanager

from service.refusals import NotNow

_RETRY_SECONDS = 1


class Intake:
    """Counts the bytes of all requests that are inside.

    Called on the event loop only, hence without a lock.

    Args:
        most: bytes; at least what one request may have, or that one would never be let in.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._held = 0

    @contextmanager
    def counting(self, body: AsyncIterable[bytes]) -> Iterator[AsyncIterator[bytes]]:
        """The body, whose bytes count until the end of the block; reading it may raise NotNow."""
        taken = 0

        async def counted() -> AsyncIterator[bytes]:
            nonlocal taken
            async for chunk in body:
                yield chunk  # first, so that a body that is too large by itself is called so
                taken += len(chunk)
                self._held += len(chunk)
                if self._held > self._most:
                    raise NotNow(
                        f"requests of {self._most} bytes are being worked on already",
                        _RETRY_SECONDS,
                    )

        try:
            yield counted()
        finally:
            self._held -= taken
