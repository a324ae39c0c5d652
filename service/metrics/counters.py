"""What a worker counts; BentoML adds up the workers' series where there are several.

Requests by route and status, their latencies and those under way are BentoML's own series
(`bentoml_service_request_...`, see `service.middleware.request_metrics`).
"""

from collections.abc import Iterable
from contextlib import AbstractContextManager

from prometheus_client import CollectorRegistry, Counter, Histogram

from models.prediction.predictor import Answer

_NATS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 0.7, 2.0)
_MINIBATCHES = (1, 2, 4, 8, 16, 32, 64)
_SECONDS = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)


class Counters:
    """Counters and histograms; each may be called from any thread."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._castings = self._counter(
            "casting_castings_scored", "Castings by version and verdict", "version", "label"
        )
        self._bald = self._histogram(
            "casting_bald_nats",
            "What the passes disagree about; sum / count is the mean uncertainty",
            _NATS,
            "version",
        )
        self._minibatch = self._histogram(
            "casting_minibatch_castings", "Castings of a minibatch", _MINIBATCHES
        )
        self._stage = self._histogram(
            "casting_stage_seconds", "Time of a minibatch by stage", _SECONDS, "stage"
        )
        self._refusals = self._counter(
            "casting_requests_refused", "Requests without an answer, by reason", "reason"
        )
        self._swaps = self._counter("casting_model_swaps", "Times that another version was served")
        self._bad_versions = self._counter(
            "casting_versions_refused", "Versions that could not be loaded or failed their check"
        )

    def scored(self, version: str, rows: Iterable[Answer]) -> None:
        """Count castings that were answered."""
        for row in rows:
            self._castings.labels(version, row["label"]).inc()
            self._bald.labels(version).observe(row["bald"])

    def minibatch(self, castings: int) -> None:
        """Count a minibatch of the backbone."""
        self._minibatch.observe(castings)

    def stage(self, name: str) -> AbstractContextManager[object]:
        """Count the time that a minibatch spends in a stage, the block."""
        return self._stage.labels(name).time()

    def refused(self, reason: str) -> None:
        """Count a request that was refused."""
        self._refusals.labels(reason).inc()

    def swapped(self) -> None:
        """Count a swap."""
        self._swaps.inc()

    def version_refused(self) -> None:
        """Count a version that is not served though the registry asks for it."""
        self._bad_versions.inc()

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, registry=self.registry)

    def _histogram(
        self, name: str, text: str, buckets: Iterable[float], *labels: str
    ) -> Histogram:
        return Histogram(name, text, labels, buckets=tuple(buckets), registry=self.registry)
