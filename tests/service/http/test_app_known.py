"""What has been embedded is kept: for `known`, for later requests, and where keeping fails."""

import sqlite3
from contextlib import closing

import pytest
import torch

from models.embeddings import FILE, EmbeddingStore
from models.images import decode
from service.http import app as app_module
from service.http import schemas
from tests.service.fakes import as_loaded, casting, counting_castings, with_head


@pytest.fixture
def ids(photos):
    return [casting(data) for data in photos]


def rows(response):
    assert response.status_code == 200, response.text
    schemas.ScoreBody.model_validate_json(response.content)
    return response.json()["castings"]


def unknown(answered):
    return ["unknown" in row for row in answered]


def embedded_before(client):
    """How many castings were neither decoded nor run."""
    registry = client.app.state.inspector.counters.registry
    return registry.get_sample_value("casting_castings_embedded_before_total")


def test_a_casting_is_known_once_it_has_been_sent(client, photos, ids):
    asked = rows(client.score_mixed(ids))
    assert [set(row) for row in asked] == [{"casting", "unknown"}] * 5
    assert [row["casting"] for row in asked] == ids
    assert {row["unknown"] for row in asked} == {"not embedded here yet; send its image"}
    sent = rows(client.score(photos[:4], passes="7"))
    with counting_castings() as runs:
        mixed = rows(client.score_mixed([ids[3], photos[4], ids[0], "0" * 64], passes="7"))
        assert len(runs) == 1
    assert unknown(mixed) == [False, False, False, True]
    assert [mixed[0], mixed[2]] == [sent[3], sent[0]]
    assert [row["casting"] for row in mixed] == [ids[3], ids[4], ids[0], "0" * 64]


def test_what_is_unknown_is_not_counted_as_scored(client, photos, ids):
    counted = client.app.state.inspector.counters.registry.get_sample_value
    rows(client.score([photos[0]]))
    rows(client.score_mixed(ids))
    by_label = [
        counted("casting_castings_scored_total", {"version": "1", "label": label}) or 0
        for label in ("def_front", "ok_front")
    ]
    assert sum(by_label) == 2
    assert embedded_before(client) == 1


def test_what_one_version_has_embedded_others_of_its_start_know(client, registry, photos, ids):
    one = as_loaded(registry.predictors["1"])
    registry.predictors |= {"5": one, "6": with_head(one, 6)}
    sent = rows(client.score(photos, model_version="5"))
    with counting_castings() as runs:
        asked = rows(client.score_mixed(ids, model_version="6"))
        assert runs == []
    expected = with_head(one, 6).score(pixels(one, photos), 50, 0)
    assert [row["probabilities"]["def_front"] for row in asked] == pytest.approx(
        expected.deterministic_N_C[:, 0].tolist(), abs=1e-6
    )
    assert asked != sent
    assert unknown(rows(client.score_mixed(ids, model_version="2"))) == [True] * 5


def pixels(predictor, photos):
    return torch.stack([decode(data, predictor.preprocessing) for data in photos])


def test_what_was_embedded_is_known_to_who_starts_later(serve, photos, ids):
    before = rows(serve().score(photos))
    with counting_castings() as runs:
        later = serve()
        assert len(runs) == 2  # the warm-up
        assert rows(later.score_mixed(ids)) == before
        assert rows(later.score(photos)) == before
        assert len(runs) == 2


def test_what_a_job_has_embedded_is_known(serve, registry, photos, ids, tmp_path):
    predictor = registry.predictors["1"]
    store = EmbeddingStore(tmp_path / "shared")
    store.put(predictor.space, ids, predictor.pool(pixels(predictor, photos)))
    client = serve(embeddings=tmp_path / "shared")
    assert unknown(rows(client.score_mixed(ids))) == [False] * 5


@pytest.mark.parametrize("parts", [[0, 1, 2], ["a", "b", "c"], [0, "a", 1]])
def test_images_and_what_is_known_share_one_limit(serve, photos, parts):
    sent = [photos[part] if isinstance(part, int) else part * 64 for part in parts]
    client = serve(max_images=2)
    assert client.score_mixed(sent[:2]).status_code == 200
    refused = client.score_mixed(sent)
    assert refused.status_code == 413
    assert refused.json()["error"] == "at most 2 images per request; send several"


@pytest.mark.parametrize("bad", ["", "0" * 63, "0" * 65, "A" * 64, "x" * 64, "../etc/passwd"])
def test_what_is_no_hash_is_refused_and_nothing_is_scored(client, photos, bad):
    with counting_castings() as runs:
        response = client.score_mixed([photos[0], bad])
        assert runs == []
    assert response.status_code == 400
    schemas.ErrorBody.model_validate_json(response.content)
    assert response.json()["error"].startswith("known=")


def test_the_bound_of_what_is_kept_is_that_of_the_settings(serve, photos, ids):
    client = serve(embeddings_bytes=1)
    before = rows(client.score(photos))
    assert rows(client.score(photos)) == before
    assert sum(unknown(rows(client.score_mixed(ids)))) == 0  # the latest are always kept
    rows(client.score(photos, model_version="2"))
    assert unknown(rows(client.score_mixed(ids))) == [True] * 5


def scores_all_the_same(serve, photos, **settings):
    """That it answers twice what it answers where keeping works; how many were found kept."""
    right = rows(serve(embeddings=settings["embeddings"].parent / "other").score(photos))
    client = serve(**settings)
    assert rows(client.score(photos)) == right
    assert rows(client.score(photos)) == right
    return embedded_before(client)


def test_a_folder_that_cannot_be_made_does_not_break_scoring(serve, photos, tmp_path):
    (tmp_path / "file").touch()
    assert scores_all_the_same(serve, photos, embeddings=tmp_path / "file" / "embeddings") == 0


def test_a_folder_that_cannot_be_written_to_does_not_break_scoring(
    serve, photos, tmp_path, monkeypatch
):
    connect, folder = sqlite3.connect, tmp_path / "read_only"
    EmbeddingStore(folder).get("a", [])

    def read_only(file, **options):
        at = f"file:{file}?mode=ro" if file.parent == folder else f"file:{file}"
        return connect(at, uri=True, **options)

    monkeypatch.setattr(sqlite3, "connect", read_only)
    assert scores_all_the_same(serve, photos, embeddings=folder) == 0


def test_a_store_that_is_no_store_is_put_aside_and_made_anew(serve, photos, tmp_path):
    folder = tmp_path / "embeddings"
    folder.mkdir()
    (folder / FILE).write_bytes(bytes(range(256)) * 40)
    client = serve(embeddings=folder)
    for _ in range(3):
        rows(client.score(photos))
    assert embedded_before(client) >= 5
    assert (folder / FILE).with_suffix(".damaged").read_bytes() == bytes(range(256)) * 40


@pytest.mark.parametrize("place", [0.3, 0.5, 0.9])
def test_a_store_with_damage_inside_does_not_break_scoring(serve, photos, tmp_path, place):
    folder = tmp_path / "embeddings"
    first = serve(embeddings=folder)
    first.score(photos)
    first.app.state.inspector.scorer.close()
    content = bytearray((folder / FILE).read_bytes())
    start = int(len(content) * place)
    content[start : start + 3000] = b"\xa5" * len(content[start : start + 3000])
    (folder / FILE).write_bytes(content)
    scores_all_the_same(serve, photos, embeddings=folder)


def test_a_store_that_another_process_holds_does_not_break_scoring(
    serve, photos, tmp_path, monkeypatch
):
    monkeypatch.setattr(app_module, "_BUSY_SECONDS", 0.01)
    folder = tmp_path / "embeddings"
    EmbeddingStore(folder).get("a", [])
    with closing(sqlite3.connect(folder / FILE)) as other:
        other.execute("begin immediate")
        assert scores_all_the_same(serve, photos, embeddings=folder) == 0
