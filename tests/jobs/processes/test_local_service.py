import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import httpx
import pytest

from jobs.processes import local_service
from jobs.processes.local_service import LocalService
from models.errors import ServiceError

# In the place of the service: answers on its port until its owner lets go of it. Where a file is
# named that is not there yet, it makes the file and kills itself instead.
SERVICE = """
import http.server, os, signal, sys, threading
if sys.argv[2:] and not os.path.exists(sys.argv[2]):
    open(sys.argv[2], "w").close()
    os.kill(os.getpid(), signal.SIGKILL)
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
server = http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
sys.stdin.read()
"""
Start = Callable[..., LocalService]


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Starts a service that is up within a moment."""
    started: list[subprocess.Popen[bytes]] = []
    service = LocalService("casting-defects", os.environ)

    def start_with(*argument: str) -> LocalService:
        def start_child(
            command: Sequence[str], _environment: Mapping[str, str], log: IO[str]
        ) -> subprocess.Popen[bytes]:
            program = [sys.executable, "-c", SERVICE, command[-1], *argument]
            child = subprocess.Popen(program, stdin=subprocess.PIPE, stdout=log, stderr=log)
            started.append(child)
            return child

        monkeypatch.setattr(local_service, "start_child", start_child)
        service.revive()
        return service

    yield start_with
    local_service.end_children(*started)
    service.clear_away()


def _alive(service: LocalService) -> bool:
    return httpx.get(f"{service.url}/livez", trust_env=False).is_success


def test_one_that_was_killed_while_it_started_is_started_again(start: Start, tmp_path: Path):
    assert _alive(start(str(tmp_path / "killed before")))


def test_one_whose_port_was_taken_meanwhile_is_started_on_another(
    start: Start, monkeypatch: pytest.MonkeyPatch
):
    free_port = local_service._free_port  # noqa: SLF001
    with socket.create_server(("127.0.0.1", 0)) as somebody:
        taken = somebody.getsockname()[1]
        ports = iter([str(taken), free_port()])
        monkeypatch.setattr(local_service, "_free_port", lambda: next(ports))
        monkeypatch.setattr(local_service, "_SIGN_OF_LIFE", 0.2)  # nobody answers there
        service = start()
    assert _alive(service)
    assert not service.url.endswith(f":{taken}")


def test_a_port_that_somebody_takes_between_choosing_and_binding_is_not_lost(
    start: Start, monkeypatch: pytest.MonkeyPatch
):
    tried: list[str] = []

    def take(port: str) -> None:
        """Somebody else, who comes just then."""
        tried.append(port)
        with pytest.raises(OSError, match="in use"), socket.socket() as somebody:
            somebody.bind(("127.0.0.1", int(port)))

    reserved = local_service._reserved  # noqa: SLF001

    @contextmanager
    def reserved_and_tried(port: str) -> Iterator[None]:
        with reserved(port):
            take(port)
            yield

    monkeypatch.setattr(local_service, "_reserved", reserved_and_tried)
    assert _alive(start())
    assert len(tried) == 1


def test_its_port_taken_every_time_is_an_error_that_says_so(
    start: Start, monkeypatch: pytest.MonkeyPatch
):
    with socket.create_server(("127.0.0.1", 0)) as somebody:
        taken = str(somebody.getsockname()[1])
        monkeypatch.setattr(local_service, "_free_port", lambda: taken)
        with pytest.raises(ServiceError, match=rf"port {taken} for the scoring service"):
            start()


def test_each_has_a_home_of_its_own_and_nobody_elses():
    one, other = (LocalService("m", {"BENTOML_HOME": "/home/me/bentoml"}) for _ in range(2))
    homes = {service._environment["BENTOML_HOME"] for service in (one, other)}  # noqa: SLF001
    assert len(homes) == 2
    assert "/home/me/bentoml" not in homes
    for service in (one, other):
        service.clear_away()
        assert not service.log.parent.exists()


def test_the_log_of_one_that_cannot_start_stays_and_the_error_names_it(
    monkeypatch: pytest.MonkeyPatch,
):
    def start_child(
        _command: Sequence[str], _environment: Mapping[str, str], log: IO[str]
    ) -> subprocess.Popen[bytes]:
        program = [sys.executable, "-c", "import sys; sys.exit('no such model')"]
        return subprocess.Popen(program, stdin=subprocess.PIPE, stdout=log, stderr=log)

    monkeypatch.setattr(local_service, "start_child", start_child)
    with (
        pytest.raises(ServiceError, match=r"(?s)its log is (\S+)\n.*no such model") as told,
        local_service.local_service("m", os.environ),
    ):
        pass
    log = Path(str(told.value).partition("its log is ")[2].splitlines()[0])
    assert "no such model" in log.read_text()
    shutil.rmtree(log.parent)


def test_one_that_died_is_started_again_where_it_was_and_one_that_answers_is_left_alone(
    start: Start,
):
    service = start()
    url = service.url
    service.stop()
    service.revive()
    assert service.url == url
    assert _alive(service)
    process = service._process  # noqa: SLF001
    service.revive()
    assert service._process is process  # noqa: SLF001


@pytest.mark.slow
def test_a_service_that_cannot_start_is_an_error_with_its_log(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CASTING_PINNED", "not a number")
    monkeypatch.setattr(local_service, "STARTUP", 60.0)
    with (
        pytest.raises(ServiceError, match=r"(?s)(at its start|did not come up).*CASTING_PINNED"),
        local_service.local_service("casting-defects", os.environ) as service,
    ):
        httpx.get(service.url)
