"""What the libraries underneath are told through the environment."""

import resource
from collections.abc import Mapping, MutableMapping, Sequence

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


_OPEN_FILES = 65_536  # connections are files; more than these no worker gets through


def raise_open_files() -> None:
    """Let this process, and those that it starts, hold as many connections as the system lets it.

    Shells and service managers give 1,024, which so many clients that just stay connected use up.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, _OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def workers_asked_for(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """What `--api-workers` or its variable says: BentoML takes them, and does nothing with them.

    What is no number BentoML itself refuses.
    """
    words = [part for argument in arguments for part in argument.split("=", 1)]
    after = words[words.index("--api-workers") + 1 :] if "--api-workers" in words else []
    asked = after[0] if after else environment.get("BENTOML_API_WORKERS", "")
    return max(1, int(asked)) if asked.isdecimal() else 1
