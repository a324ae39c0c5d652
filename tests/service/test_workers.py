"""Two workers under load while the alias moves: who answers, with which version."""

import asyncio
import json
from dataclasses import dataclass, field

import httpx
import pytest

from models.images import decode
from models.registry import version
from tests.service.real import MODEL, publish, serving

CLIENTS = 8
LOOKS = 100

pytestmark = pytest.mark.slow


@pytest.fixture
def service(tracking_store, predictors, tmp_path):
    """Two workers that serve the first of two versions."""
    publish(tracking_store, predictors)
    workers = json.dumps({"services": {"casting-inspector": {"workers": 2}}})
    variables = {"BENTOML_CONFIG_OVERRIDES": workers, "CASTING_POLL_SECONDS": "0.5"}
    with serving(tmp_path, **variables) as served:
        yield served


@dataclass
class Crowd:
    """Clients that ask until they are told to stop, and check every answer."""

    http: httpx.AsyncClient
    photos: list[bytes]
    expected: dict[str, list[dict[str, float]]]
    seen: list[str] = field(default_factory=list)
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    async def ask(self, number: int) -> None:
        which = number % len(self.photos)
        while not self.ended.is_set():
            files = [("images", ("a.png", self.photos[which]))]
            response = await self.http.post("/score", files=files)
            assert response.status_code == 200, response.text
            version = response.json()["model"]["version"]
            probabilities = response.json()["castings"][0]["probabilities"]
            assert probabilities == pytest.approx(self.expected[version][which], abs=1e-5)
            self.seen.append(version)

    async def sees_only(self, version: str) -> bool:
        for _ in range(LOOKS):
            await asyncio.sleep(0.2)
            if set(self.seen[-6 * CLIENTS :]) == {version}:
                return True
        return False


def test_workers_swap_under_load_without_a_failure_or_a_mixed_answer(
    tracking_store, service, predictors, photos
):
    expected = {number: probabilities(predictors[number], photos) for number in ("1", "2")}

    async def swap(crowd: Crowd) -> None:
        try:
            for number in ("2", "1", "2"):
                tracking_store.set_registered_model_alias(MODEL, version.ALIAS, number)
                assert await crowd.sees_only(number), crowd.seen[-20:]
        finally:
            crowd.ended.set()

    async def story() -> None:
        limits = httpx.Limits(max_keepalive_connections=0)  # any worker may take the next one
        async with httpx.AsyncClient(base_url=service.url, timeout=60, limits=limits) as http:
            crowd = Crowd(http, photos, expected)
            await asyncio.gather(swap(crowd), *map(crowd.ask, range(CLIENTS)))

    asyncio.run(story())
    lines = [json.loads(t) for t in service.log.read_text().splitlines() if t.startswith("{")]
    assert len({line["pid"] for line in lines if line["message"] == "request"}) == 2


def probabilities(predictor, photos):
    """What each photograph has without the service."""
    pixels = [decode(photo, predictor.preprocessing).unsqueeze(0) for photo in photos]
    rows = [predictor.deterministic(predictor.embed(one))[0].tolist() for one in pixels]
    return [dict(zip(predictor.classes, row, strict=True)) for row in rows]
