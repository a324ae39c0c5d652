"""The page in a real browser, against a real `bentoml serve` that wants a key."""

import io
import json
import os
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import torch
from PIL import Image

from jobs.processes.child_process import end_children, start_child
from models.registry import version_folder
from tests.service.chromium import (
    BROWSER,
    DOWN,
    DRIVER,
    ENTER,
    ESCAPE,
    TAB,
    Browser,
    chromium,
)
from tests.service.real import free_port

KEY = "geheim-ä"
NOON = "2026-01-01T12:00:00Z"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (BROWSER and DRIVER), reason="wants chromium and chromedriver"),
]


@pytest.fixture(scope="module")
def url(tmp_path_factory, predictors) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("served")
    golden_N = torch.randint(0, 256, (4, 1, 32, 32), dtype=torch.uint8)
    version_folder.write(predictors["1"], golden_N, folder / "my-castings")
    environment = {
        **os.environ,
        "CASTING_MODEL": str(folder / "my-castings"),
        "CASTING_API_KEY": KEY,
        "BENTOML_DO_NOT_TRACK": "True",
    }
    port = free_port()
    command = [
        str(Path(sys.executable).with_name("bentoml")), "serve",
        "service.inspector:CastingInspector", "--host", "127.0.0.1", "--port", str(port),
    ]  # fmt: skip
    with (folder / "log").open("w") as log:
        server = start_child(command, environment, log)
    wait_until_ready(f"http://127.0.0.1:{port}/readyz", folder / "log")
    yield f"http://127.0.0.1:{port}/"
    end_children(server)


def wait_until_ready(url: str, log: Path) -> None:
    end = time.monotonic() + 60
    while True:
        try:
            if httpx.get(url).is_success:
                return
        except httpx.TransportError:
            pass
        assert time.monotonic() < end, log.read_text()
        time.sleep(0.2)


@pytest.fixture(scope="module")
def browser(tmp_path_factory) -> Iterator[Browser]:
    with chromium(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture
def page(browser, url) -> Browser:
    """The page, newly opened by somebody who gave the key before."""
    browser.open(url)
    browser.run(f"sessionStorage.setItem('casting-inspector-key', '{KEY}')")
    browser.open(url)
    browser.wait("document.querySelector('#model-version').innerText === '0'")
    return browser


@pytest.fixture
def castings(tmp_path, photos) -> list[str]:
    """Paths of castings, and of a text file among them."""
    for number, photo in enumerate(photos):
        (tmp_path / f"cast_{number}.png").write_bytes(photo)
    (tmp_path / "cast_notes.png").write_text("no casting")
    return sorted(str(path) for path in tmp_path.iterdir())


def choose(page: Browser, *paths: str) -> None:
    page.send("#files", "\n".join(paths))


def wait_for_sum(page: Browser, text: str) -> None:
    page.wait(f"document.querySelector('#sum').innerText.match(/^{text}$/)")


def test_it_asks_for_the_key_and_keeps_it_for_the_tab(browser, url):
    browser.open(url)
    browser.run("sessionStorage.clear()")
    browser.open(url)
    browser.wait("document.activeElement.id === 'key'")
    assert browser.run("return document.activeElement.type") == "password"
    browser.press(*"wrong", ENTER)
    browser.wait("document.body.innerText.includes('This is not the key')")
    browser.send("#key", KEY + ENTER)
    browser.wait("document.querySelector('#model-version').innerText === '0'")
    browser.open(url)
    browser.wait("document.querySelector('#model-name').innerText === 'my-castings'")
    assert browser.run("return document.querySelector('#key-form').hidden")
    assert browser.run("return localStorage.length + document.cookie.length") == 0


def test_castings_get_a_verdict_and_their_uncertainty(page, castings, url):
    choose(page, *castings[:3])
    wait_for_sum(page, "3 scored, . rejected, . passed")
    answers = scored(url, castings[:3])
    answers.sort(key=lambda answer: -answer["bald"])
    assert page.texts(".row .class") == [answer["label"] for answer in answers]
    assert page.texts(".row .badge") == [
        "✓ Pass" if answer["label"] == "ok_front" else "✕ Reject" for answer in answers
    ]
    assert page.texts(".row .bald") == [
        f"{answer['bald']:.3f} ± {answer['bald_standard_error']:.3f}" for answer in answers
    ]
    assert page.texts(".row .expected") == [f"{a['expected_entropy']:.3f}" for a in answers]
    assert page.texts(".row .total") == [f"{a['predictive_entropy']:.3f} nats" for a in answers]
    assert page.texts(".row .threshold") == ["rejected from 50.0 %"] * 3
    page.wait("[...document.querySelectorAll('.picture img')].every(i => i.naturalWidth === 40)")


def scored(url: str, paths: list[str]) -> list[dict]:
    files = [("images", (path, Path(path).read_bytes())) for path in paths]
    headers = {b"Authorization": f"Bearer {KEY}".encode()}
    return httpx.post(f"{url}score", files=files, headers=headers).json()["castings"]


def test_castings_and_folders_of_them_can_be_dropped(page, castings, tmp_path):
    folder = tmp_path / "shift" / "early"
    folder.mkdir(parents=True)
    for path in castings[:2]:
        shutil.copy(path, folder)
    data = {"items": [], "files": [str(folder.parent), castings[2]], "dragOperationsMask": 1}
    for step in ("dragEnter", "dragOver", "drop"):
        event = {"type": step, "x": 600, "y": 600, "data": data}
        page.ask("POST", "goog/cdp/execute", {"cmd": "Input.dispatchDragEvent", "params": event})
    wait_for_sum(page, "3 scored.*")
    assert sorted(page.texts(".row h3")) == [
        "cast_2.png", "shift/early/cast_0.png", "shift/early/cast_1.png",
    ]  # fmt: skip


def test_the_order_chosen_is_to_be_had_and_clearing_leaves_nothing(page, castings):
    choose(page, *castings[:5])
    wait_for_sum(page, "5 scored.*")
    balds = [float(text.split()[0]) for text in page.texts(".row .bald")]
    assert balds == sorted(balds, reverse=True)
    page.send("#order", "As chosen")
    assert page.texts(".row h3") == [Path(path).name for path in castings[:5]]
    url = page.run("return document.querySelector('.picture img').src")
    page.run("document.querySelector('#clear').click()")
    assert page.texts(".row") == []
    page.run(f"fetch('{url}').then(() => window.kept = true, () => window.kept = false)")
    page.wait("window.kept === false")


def test_what_is_no_image_is_named_and_the_rest_is_scored(page, castings):
    choose(page, *castings)
    wait_for_sum(page, "5 scored, . rejected, . passed, 1 not scored")
    (failure,) = page.texts("#failures li")
    assert failure.startswith("cast_notes.png ")
    assert len(page.texts(".row")) == 5


def test_a_picture_that_no_browser_shows_is_scored_all_the_same(page, tmp_path):
    file = io.BytesIO()
    Image.linear_gradient("L").convert("I;16").save(file, "TIFF")
    (tmp_path / "deep.tiff").write_bytes(file.getvalue())
    choose(page, str(tmp_path / "deep.tiff"))
    page.wait("document.querySelector('.picture .instead')?.innerText === 'no preview'")
    assert page.texts(".row h3") == ["deep.tiff"]


def test_more_castings_than_a_request_takes_go_in_several(page, castings):
    refuse(page, "body.getAll('images').length > 2", 413)
    choose(page, *castings[:5])
    wait_for_sum(page, "5 scored.*")


def test_a_busy_service_is_waited_for(page, castings):
    refuse(page, "!window.asked && (window.asked = true)", 503)
    choose(page, *castings[:2])
    page.wait("document.querySelector('#notice').innerText === "
              "'Waiting: as the test says. Trying again in 1 s.'")  # fmt: skip
    wait_for_sum(page, "2 scored.*")
    assert page.run("return document.querySelector('#notice').hidden")


def refuse(page: Browser, condition: str, status: int) -> None:
    """Answer instead of the service where a condition on the `body` of a /score holds."""
    page.run(f"""
        const real = window.fetch;
        window.fetch = (path, {{body, ...rest}} = {{}}) =>
          path === "score" && ({condition})
            ? Promise.resolve(new Response('{{"error": "as the test says"}}',
                {{status: {status}, headers: {{"Retry-After": "1"}}}}))
            : real(path, {{body, ...rest}});
    """)


def test_a_new_version_shows_from_its_first_answer_on(page, castings):
    """It knows no good class, so that there is nothing to reject."""
    classes = ["crack", "fray", "free"]
    version = {"name": "other", "version": "9", "run_id": "", "classes": classes}
    registry = {"reachable": False, "last_seen": None, "error": "no route to host"}
    model = version | {"good": None, "threshold": 0.5, "since": NOON, "registry": registry}
    row = {"label": "fray", "probabilities": dict(zip(classes, (0.2, 0.7, 0.1), strict=True))}
    numbers = {"bald": 0.3, "expected_entropy": 0.5, "predictive_entropy": 0.8}
    row |= numbers | {"bald_standard_error": None}
    answers = {"model": model, "score": {"model": version, "castings": [row]}}
    page.run(f"""
        const answers = {json.dumps(answers)};
        window.fetch = (path) => Promise.resolve(
          answers[path] ? Response.json(answers[path]) : new Response("{{}}", {{status: 404}}));
    """)
    choose(page, castings[0])
    wait_for_sum(page, "1 scored")
    assert page.texts("#model-version, .by") == ["9", "version 9"]
    assert page.texts("#model-registry") == ["⚠ not reachable: no route to host"]
    assert page.texts(".badge, .defect, .tick") == []
    assert page.texts(".classes div") == ["fray70.0 %", "crack20.0 %", "free10.0 %"]
    assert page.texts(".reading") == ["Unsure: 37.5 % of it is disagreement"]
    assert page.texts(".bald, #most") == ["1.10", "0.300"]


def test_castings_outlast_a_network_that_goes(page, castings):
    page.ask("POST", "chromium/network_conditions", {"network_conditions": conditions(off=True)})
    choose(page, *castings[:2])
    page.wait("!document.querySelector('#again').hidden")
    assert page.texts("#notice") == [
        "The service cannot be reached. 2 castings are not scored yet."
    ]
    page.ask("POST", "chromium/network_conditions", {"network_conditions": conditions(off=False)})
    page.run("document.querySelector('#again').focus()")
    page.press(ENTER)
    wait_for_sum(page, "2 scored, . rejected, . passed")
    page.wait("document.activeElement.id === 'order'")


def conditions(*, off: bool) -> dict:
    return {"offline": off, "latency": 0, "throughput": -1}


def test_it_works_by_keyboard_alone(page, castings):
    page.press(TAB)
    assert page.run("return document.activeElement.id") == "files"
    choose(page, *castings[:2])
    wait_for_sum(page, "2 scored.*")
    page.press(TAB, ENTER)
    assert page.run("return document.querySelector('#help').open")
    page.press(TAB)
    assert page.run("return document.activeElement.id") == "order"
    page.press(DOWN)
    assert page.run("return document.activeElement.value") == "dropped"
    page.press(TAB, TAB, ENTER)
    assert page.texts("#large-title") == ["cast_0.png"]
    page.press(ESCAPE)
    assert not page.run("return document.querySelector('#large').open")
    assert page.run("return document.activeElement.ariaLabel") == "Enlarge cast_0.png"


def test_every_control_has_a_name_and_results_are_announced(page, castings):
    choose(page, *castings[:2])
    wait_for_sum(page, "2 scored.*")
    controls = "input, select, progress, .row button, dialog"
    nameless = page.run(f"""
        return [...document.querySelectorAll("{controls}")]
          .filter(e => !e.labels?.length && !e.ariaLabel && !e.ariaLabelledByElements?.length)
          .map(e => e.outerHTML)
    """)
    assert nameless == []
    assert page.run("return document.querySelector('#sum').role") == "status"
    assert page.run("return document.querySelector('#notice').role") == "alert"


def test_heat_maps_come_where_the_service_draws_them(page, castings, url):
    headers = {b"Authorization": f"Bearer {KEY}".encode()}
    paths = httpx.get(f"{url}docs.json", headers=headers).json()["paths"]
    choose(page, castings[0])
    page.wait("document.querySelector('.row')")
    if "/explain" in paths:
        page.wait("document.querySelector('.map img').naturalWidth")
    else:
        page.wait("getComputedStyle(document.querySelector('.map')).display === 'none'")


def test_nothing_leaves_the_origin_and_the_console_stays_clean(page, castings, url):
    page.log("performance"), page.log("browser")
    page.open(url)
    choose(page, *castings)
    wait_for_sum(page, "5 scored.*")
    events = [json.loads(entry["message"])["message"] for entry in page.log("performance")]
    asked = {
        event["params"]["request"]["url"]
        for event in events
        if event["method"] == "Network.requestWillBeSent"
    }
    assert {f"{url}page/main.js", f"{url}model", f"{url}score"} <= asked
    own = (url, f"blob:{url}", "data:")
    assert [address for address in asked if not address.startswith(own)] == []
    # the answers 400 and 404 that the page expects are told as "network"
    assert [entry for entry in page.log("browser") if entry["source"] != "network"] == []
