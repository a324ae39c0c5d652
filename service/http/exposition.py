"""What Prometheus scrapes: BentoML's own series, the counters, and the state of the model."""

from collections.abc import Iterable

from bentoml._internal.configuration.containers import BentoMLContainer
from prometheus_client import generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.values import MutexValue, ValueClass

from service.hosting.model_host import ModelHost
from service.http.admission import Admission
from service.metrics.counters import Counters


class _ModelState(Collector):
    """Gauges that are read off the worker when somebody asks."""

    def __init__(self, host: ModelHost, admission: Admission) -> None:
        self._host = host
        self._admission = admission

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """The gauges, of the worker that answers."""
        served, registry = self._host.served, self._host.registry
        gauges: dict[str, tuple[str, float]] = {
            "casting_model_served": ("1 when a model is served", served is not None),
            "casting_model_version": (
                "current version, 0 for none or a folder",
                int(served.version.number) if served else 0,
            ),
            "casting_models_pinned": ("other versions loaded", len(self._host.pinned)),
            "casting_registry_reachable": (
                "1 when the last look at the registry was answered, or none is needed",
                registry.reachable is not False,
            ),
            "casting_registry_refusal": (
                "1 when something else is served than the registry asks for",
                registry.error is not None,
            ),
            "casting_requests_waiting": (
                "requests behind the computed one",
                self._admission.waiting,
            ),
        }
        for name, (text, value) in gauges.items():
            yield GaugeMetricFamily(name, text, value=float(value))


def exposition(host: ModelHost, admission: Admission, counters: Counters) -> tuple[bytes, str]:
    """Everything there is to scrape, and its media type."""
    client = BentoMLContainer.metrics_client.get()
    content = generate_latest(_ModelState(host, admission))
    if ValueClass is MutexValue:  # no `bentoml serve`, which makes series that workers share
        content += generate_latest(counters.registry)
    else:
        content += client.generate_latest()  # type: ignore[no-untyped-call]
    return content, client.CONTENT_TYPE_LATEST
