"""What the page shows of castings that were scored."""

import json
from pathlib import Path

import httpx

from tests.service.driving import KEY, choose, wait_for_sum

NOON = "2026-01-01T12:00:00Z"


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


def test_heat_maps_come_where_the_service_draws_them(page, castings, url):
    headers = {b"Authorization": f"Bearer {KEY}".encode()}
    paths = httpx.get(f"{url}docs.json", headers=headers).json()["paths"]
    choose(page, castings[0])
    page.wait("document.querySelector('.row')")
    if "/explain" in paths:
        page.wait("document.querySelector('.map img').naturalWidth")
    else:
        page.wait("getComputedStyle(document.querySelector('.map')).display === 'none'")
