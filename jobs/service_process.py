"""A scoring service of the job's own, for as long as the job lives."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from models.errors import ServiceError

STARTUP = 120.0  # seconds
_STOP = 10.0
_ROOT = Path(__file__).parent.parent  # the packages are run from here


@contextmanager
def own_service(model_name: str) -> Iterator[str]:
    """Start the service on a free port of this machine, give its URL, and stop it at the end.

    It watches this process (`CASTING_OWNER_PID`) and ends by itself when that dies.

    Raises:
        ServiceError: it does not come up; the tail of its log is told.
    """
    port = _free_port()
    url = f"http://127.0.0.1:{port}"
    environment = os.environ | {
        "CASTING_MODEL": f"models:/{model_name}@current",
        "CASTING_OWNER_PID": str(os.getpid()),
        "BENTOML_DO_NOT_TRACK": "True",
        "PYTHONPATH": os.pathsep.join(filter(None, [str(_ROOT), os.environ.get("PYTHONPATH")])),
    }
    command = [sys.executable, "-m", "bentoml", "serve", "service.inspector:CastingInspector"]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(  # noqa: S603 -- our own program
            command, env=environment, stdout=log, stderr=log, start_new_session=True
        )
        try:
            _wait_until_live(process, url)
            yield url
        except ServiceError as error:
            log.seek(0)
            raise ServiceError(f"{error}\n{log.read()[-2000:]}") from error
        finally:
            _stop(process)


def _wait_until_live(process: subprocess.Popen[bytes], url: str) -> None:
    deadline = time.monotonic() + STARTUP
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise ServiceError(f"the scoring service ended with {process.returncode} at its start")
        try:
            if httpx.get(f"{url}/livez", timeout=2, trust_env=False).is_success:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    raise ServiceError(f"the scoring service did not come up within {STARTUP:.0f} s")


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End the service and its workers: kindly, then not."""
    for kind in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, kind)
            process.wait(timeout=_STOP)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            continue


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
