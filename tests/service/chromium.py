"""A Chromium to drive: the part of the WebDriver protocol that the tests need."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.service.real import free_port

DRIVER = shutil.which("chromedriver")
BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
TAB, ENTER, ESCAPE, DOWN = "\ue004", "\ue007", "\ue00c", "\ue015"
_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
_FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage", "--window-size=1280,900",
)  # fmt: skip


class Browser:
    """One tab."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """One command; what it returns."""
        response = self._http.request(method, path, json=body)
        value = response.json()["value"]
        assert response.is_success, value
        return value

    def open(self, url: str) -> None:
        self.ask("POST", "url", {"url": url})

    def run(self, script: str) -> Any:
        """The value of some JavaScript."""
        return self.ask("POST", "execute/sync", {"script": script, "args": []})

    def send(self, selector: str, text: str) -> None:
        """Type into an element, or give files to an input."""
        element = self.ask("POST", "element", {"using": "css selector", "value": selector})
        self.ask("POST", f"element/{element[_ELEMENT]}/value", {"text": text})

    def press(self, *keys: str) -> None:
        """Press keys wherever the focus is."""
        strokes = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
        self.ask("POST", "actions", {"actions": [{"type": "key", "id": "k", "actions": strokes}]})

    def texts(self, selector: str) -> list[str]:
        """What is written in the elements."""
        return list(
            self.run(
                f"return [...document.querySelectorAll('{selector}')].map(e => e.textContent)"
            )
        )

    def wait(self, condition: str, seconds: float = 20) -> None:
        """Until a JavaScript expression holds."""
        end = time.monotonic() + seconds
        while not self.run(f"return Boolean({condition})"):
            assert time.monotonic() < end, (condition, self.run("return document.body.innerText"))
            time.sleep(0.05)

    def log(self, kind: str) -> list[dict[str, Any]]:
        """Entries since the last call; `browser` is the console."""
        return list(self.ask("POST", "se/log", {"type": kind}))


@contextmanager
def chromium(folder: Path) -> Iterator[Browser]:
    """Start one, with its profile in an empty folder."""
    port = free_port()
    options = {"binary": BROWSER, "args": [*_FLAGS, f"--user-data-dir={folder}"]}
    wanted = {
        "browserName": "chrome",
        "goog:chromeOptions": options,
        "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
    }
    driver = subprocess.Popen(
        [DRIVER, f"--port={port}"], stdout=subprocess.DEVNULL, start_new_session=True
    )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as http:
            _wait_for(http)
            body = {"capabilities": {"alwaysMatch": wanted}}
            session = http.post("session", json=body).json()["value"]["sessionId"]
            http.base_url = http.base_url.join(f"session/{session}/")
            yield Browser(http)
            http.delete("")
    finally:
        os.killpg(driver.pid, signal.SIGTERM)  # the browser too, if its session is still there
        driver.wait()


def _wait_for(http: httpx.Client) -> None:
    end = time.monotonic() + 20
    while True:
        try:
            http.get("status").raise_for_status()
        except httpx.TransportError:
            assert time.monotonic() < end, "chromedriver does not answer"
            time.sleep(0.05)
        else:
            return
