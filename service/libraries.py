"""What the libraries underneath are told through the environment."""

from collections.abc import MutableMapping

# What the libraries underneath want to be told. A dead tracking server must not hold a worker for
# minutes, and nobody asked for usage reports or progress bars.
_LIBRARIES = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "BENTOML_DO_NOT_TRACK": "True",
}


def quieten_libraries(environment: MutableMapping[str, str]) -> None:
    """Set what MLflow and BentoML read; what the user has set already stands."""
    for name, value in _LIBRARIES.items():
        environment.setdefault(name, value)
