"""What the libraries underneath are told through the environment."""

from collections.abc import MutableMapping

# A dead tracking server must not hold a worker for minutes, and nobody asked for usage reports or
# progress bars. OpenMP's threads wait spinning, for some 0.3 ms: that spans the layers of a
# backbone pass, and leaves the core to the event loop soon.
_LIBRARIES = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "BENTOML_DO_NOT_TRACK": "True",
    "GOMP_SPINCOUNT": "30000",
}


def configure_libraries(environment: MutableMapping[str, str]) -> None:
    """Set what MLflow, BentoML and OpenMP read; what the user has set already stands."""
    for name, value in _LIBRARIES.items():
        environment.setdefault(name, value)
