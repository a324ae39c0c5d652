"""How castings get from a person to the service, whatever stands in the way."""

import io
import shutil

import numpy as np
from PIL import Image

from tests.service.chromium import ENTER
from tests.service.driving import choose, refuse, wait_for_sum


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


def test_what_is_no_image_is_named_and_the_rest_is_scored(page, castings):
    choose(page, *castings)
    wait_for_sum(page, "5 scored, . rejected, . passed, 1 not scored")
    (failure,) = page.texts("#failures li")
    assert failure.startswith("cast_notes.png ")
    assert len(page.texts(".row")) == 5


def test_a_picture_that_no_browser_shows_is_scored_all_the_same(page, tmp_path):
    file = io.BytesIO()
    levels = np.asarray(Image.linear_gradient("L")).astype(np.uint16)
    Image.fromarray(levels * 257).save(file, "TIFF")
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
