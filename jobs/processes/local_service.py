"""A scoring service of the job's own, for as long as the job lives; started again if it dies."""

import errno
import functools
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
from tenacity import retry, retry_if_exception_type, stop_after_attempt

from jobs.processes.child_process import end_children, start_child
from models.errors import ServiceError

STARTUP = 120.0  # seconds
_SIGN_OF_LIFE = 10.0  # seconds to wait for one
_PORT_TAKEN = os.strerror(errno.EADDRINUSE)


class _Interrupted(ServiceError):
    """It was killed while it started, or its port was taken; another try may do."""


class LocalService:
    """The service on a free port of this machine, which ends with this process.

    Attributes:
        url: where it answers, for good, once it has been started.
        log: the file that it writes to.
    """

    def __init__(self, model_name: str, environment: Mapping[str, str]) -> None:
        self.url = ""
        self._folder = Path(tempfile.mkdtemp(prefix="casting-service-"))
        self.log = self._folder / "service.log"
        self._environment = {
            **environment,
            "CASTING_MODEL": f"models:/{model_name}@current",
            "BENTOML_DO_NOT_TRACK": "True",
            # BentoML empties the metrics of its home at the start, those of other services too
            "BENTOML_HOME": str(self._folder / "bentoml"),
        }
        self._process: subprocess.Popen[bytes] | None = None
        self._reviving = threading.Lock()

    def revive(self) -> None:
        """Start it, unless it runs and answers.

        Raises:
            ServiceError: it does not come up; its log and the tail of that are told.
        """
        with self._reviving:
            if self._process is None or self._process.poll() is not None or not _answers(self.url):
                self._start()

    @retry(retry=retry_if_exception_type(_Interrupted), stop=stop_after_attempt(3), reraise=True)
    def _start(self) -> None:
        self.stop()
        port = self.url.rpartition(":")[2] or _free_port()
        command = [sys.executable, "-m", "bentoml", "serve", "service.inspector:CastingInspector"]
        command += ["--host", "127.0.0.1", "--port", port]
        with _reserved(port), self.log.open("a+") as log:
            began = log.tell()
            self._process = start_child(command, self._environment, log)
            try:
                self.url = _live(self._process, f"http://127.0.0.1:{port}")
            except ServiceError as error:
                self.stop()  # it writes where we read
                log.seek(began)
                text = log.read()
                kind = _Interrupted if _PORT_TAKEN in text else type(error)
                raise kind(f"{error}; its log is {self.log}\n{text[-2000:]}") from error

    def stop(self) -> None:
        """End the service and its workers: kindly, then not."""
        if self._process is not None:
            end_children(self._process)

    def clear_away(self) -> None:
        """Remove its log and all else that it has left on the disk."""
        shutil.rmtree(self._folder, ignore_errors=True)


@contextmanager
def local_service(model_name: str, environment: Mapping[str, str]) -> Iterator[LocalService]:
    """Start a service as `LocalService.revive` does, and stop it at the end.

    After an error its log stays.
    """
    service = LocalService(model_name, environment)
    try:
        service.revive()
        yield service
    except Exception:
        service.stop()
        raise
    except BaseException:
        service.stop()
        service.clear_away()
        raise
    service.stop()
    service.clear_away()


def _answers(url: str) -> bool:
    """Whether it is alive, however busy."""
    try:
        return _asking().get(f"{url}/livez", timeout=_SIGN_OF_LIFE).is_success
    except httpx.TransportError:
        return False


@functools.cache
def _asking() -> httpx.Client:
    """One for all looks: to make one reads every authority's certificate, a tenth of a second."""
    return httpx.Client(trust_env=False)


def _live(process: subprocess.Popen[bytes], url: str) -> str:
    """The address, once the service that starts there answers."""
    deadline = time.monotonic() + STARTUP
    while time.monotonic() < deadline:
        code = process.poll()
        if code is not None:
            kind = _Interrupted if code < 0 or code > 128 else ServiceError  # noqa: PLR2004
            raise kind(f"the scoring service ended with {code} at its start")
        if _answers(url):
            return url
        time.sleep(0.2)
    raise ServiceError(f"the scoring service did not come up within {STARTUP:.0f} s")


@contextmanager
def _reserved(port: str) -> Iterator[None]:
    """Keep others off a port until the service, which may, listens there; or it is taken."""
    with socket.socket() as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            held.bind(("127.0.0.1", int(port)))
        except OSError as error:
            raise _Interrupted(f"port {port} for the scoring service: {error.strerror}") from error
        yield


def _free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])
