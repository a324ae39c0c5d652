from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from models.registry import version_folder
from tests.service.chromium import BROWSER, DRIVER, Browser, chromium
from tests.service.driving import KEY
from tests.service.real import serving


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.slow)
            if not (BROWSER and DRIVER):
                item.add_marker(pytest.mark.skip(reason="wants chromium and chromedriver"))


@pytest.fixture(scope="session")
def url(tmp_path_factory, predictors) -> Iterator[str]:
    """Where a real `bentoml serve` that wants a key serves the page."""
    folder = tmp_path_factory.mktemp("served")
    golden_N = torch.randint(0, 256, (4, 1, 32, 32), dtype=torch.uint8)
    version_folder.write(predictors["1"], golden_N, folder / "my-castings")
    variables = {"CASTING_MODEL": str(folder / "my-castings"), "CASTING_API_KEY": KEY}
    with serving(folder, **variables) as service:
        yield f"{service.url}/"


@pytest.fixture(scope="session")
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
