"""What a worker counts; BentoML adds up the workers' series where there are several.

Requests by route and status, their latencies and those under way are BentoML's own series
(`bentoml_service_request_...`, see `service.middleware.request_metrics`).
"""

from collections.abc import Iterable
from functools import partial

from prometheus_client import CollectorRegistry, Counter, Histogram

from models.prediction.predictor import Answer

_NATS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 0.7, 2.0)
_MINIBATCHES = (1, 2, 4, 8, 16, 32, 64)
_SECONDS = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)


class Counters:
    """Counters and histograms; each may be called from any thread."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        counter = partial(Counter, registry=self.registry)
        histogram = partial(Histogram, registry=self.registry)
        self._castings = counter(
            "casting_castings_scored", "Castings by version and verdict", ("version", "label")
        )
        self._bald = histogram(
            "casting_bald_nats",
            "What the passes disagree about; sum / count is the mean uncertainty",
            ("version",),
            buckets=_NATS,
        )
        self.minibatch = histogram(
            "casting_minibatch_castings", "Castings of a minibatch", buckets=_MINIBATCHES
        )
        self.embedded = counter(
            "casting_castings_embedded_before", "Castings that were neither decoded nor run again"
        )
        self.stage = histogram(
            "casting_stage_seconds", "Time of a minibatch by stage", ("stage",), buckets=_SECONDS
        )
        self.refusals = counter(
            "casting_requests_refused", "Requests without an answer, by reason", ("reason",)
        )
        self.swaps = counter("casting_model_swaps", "Times that another version was served")
        self.bad_versions = counter(
            "casting_versions_refused", "Versions that could not be loaded or failed their check"
        )

    def scored(self, version: str, rows: Iterable[Answer]) -> None:
        """Count castings that were answered."""
        for row in rows:
            self._castings.labels(version, row["label"]).inc()
            self._bald.labels(version).observe(row["bald"])
