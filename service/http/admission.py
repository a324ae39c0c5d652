"""Who is let in: so many requests and so many bytes of their bodies at once, others come again."""

from collections.abc import AsyncIterable, AsyncIterator, Iterator
from contextlib import contextmanager

from service.refusals import NotNow

_RETRY_SECONDS = 1


class Admission:
    """Counts the requests that are inside, and their bytes, whoever sends them.

    Called on the event loop only, hence without a lock.

    Args:
        max_waiting: requests beside the one that is computed.
        max_bytes: of all bodies; at least what one request may have, or that one would never be
            let in.
    """

    def __init__(self, max_waiting: int, max_bytes: int) -> None:
        self._max_waiting = max_waiting
        self._max_bytes = max_bytes
        self._requests = 0
        self._bytes = 0

    @property
    def waiting(self) -> int:
        """Requests behind the one that is computed."""
        return max(0, self._requests - 1)

    @contextmanager
    def admit(self, body: AsyncIterable[bytes]) -> Iterator[AsyncIterator[bytes]]:
        """The body of a request that is inside until the end of the block.

        Raises:
            NotNow: too many requests are; reading the body raises it where too many bytes are.
        """
        if self._requests > self._max_waiting:
            raise NotNow(f"{self._max_waiting} requests are waiting already", _RETRY_SECONDS)
        received = 0

        async def counted() -> AsyncIterator[bytes]:
            nonlocal received
            async for piece in body:
                yield piece  # first, so that a body that is too large by itself is called so
                received += len(piece)
                self._bytes += len(piece)
                if self._bytes > self._max_bytes:
                    raise NotNow(
                        f"requests of {self._max_bytes} bytes are being worked on already",
                        _RETRY_SECONDS,
                    )

        self._requests += 1
        try:
            yield counted()
        finally:
            self._requests -= 1
            self._bytes -= received
