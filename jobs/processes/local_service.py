"""A scoring service of the job's own, for as long as the job lives; started again if it dies."""

import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from jobs.processes.child_process import end_children, start_child
from models.errors import ServiceError

STARTUP = 120.0  # seconds
_PATIENCE = 10.0  # seconds for a sign of life


class _Killed(ServiceError):
    """It was killed while it started; another try may do."""


class LocalService:
    """The service on a free port of this machine, which ends with this process.

    Attributes:
        url: where it answers.
    """

    def __init__(self, model_name: str) -> None:
        port = _free_port()
        self.url = f"http://127.0.0.1:{port}"
        self._environment = os.environ | {
            "CASTING_MODEL": f"models:/{model_name}@current",
            "BENTOML_DO_NOT_TRACK": "True",
        }
        self._command = [sys.executable, "-m", "bentoml", "serve"]
        self._command += ["service.inspector:CastingInspector"]
        self._command += ["--host", "127.0.0.1", "--port", str(port)]
        self._process: subprocess.Popen[bytes] | None = None
        self._reviving = threading.Lock()

    def revive(self) -> None:
        """Start it, unless it runs and answers.

        Raises:
            ServiceError: it does not come up; the tail of its log is told.
        """
        with self._reviving:
            if self._process is not None and self._process.poll() is None and _answers(self.url):
                return
            try:
                self._start()
            except _Killed:
                self._start()

    def _start(self) -> None:
        """Start it and wait until it answers.

        Raises:
            ServiceError: it does not; the tail of its log is told.
        """
        self.stop()
        with tempfile.TemporaryFile("w+") as log:
            self._process = start_child(self._command, self._environment, log)
            try:
                _wait_until_live(self._process, self.url)
            except ServiceError as error:
                self.stop()  # it writes where we read
                log.seek(0)
                raise type(error)(f"{error}\n{log.read()[-2000:]}") from error

    def stop(self) -> None:
        """End the service and its workers: kindly, then not."""
        if self._process is not None:
            end_children(self._process)


@contextmanager
def local_service(model_name: str) -> Iterator[LocalService]:
    """Start a service, and stop it at the end.

    Raises:
        ServiceError: it does not come up; the tail of its log is told.
    """
    service = LocalService(model_name)
    try:
        service.revive()
        yield service
    finally:
        service.stop()


def _answers(url: str) -> bool:
    """Whether it is alive, however busy."""
    try:
        return httpx.get(f"{url}/livez", timeout=_PATIENCE, trust_env=False).is_success
    except httpx.TransportError:
        return False


def _wait_until_live(process: subprocess.Popen[bytes], url: str) -> None:
    deadline = time.monotonic() + STARTUP
    while time.monotonic() < deadline:
        ended = process.poll()
        if ended is not None:
            kind = _Killed if ended < 0 or ended > 128 else ServiceError  # noqa: PLR2004
            raise kind(f"the scoring service ended with {ended} at its start")
        if _answers(url):
            return
        time.sleep(0.2)
    raise ServiceError(f"the scoring service did not come up within {STARTUP:.0f} s")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
