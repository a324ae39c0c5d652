import asyncio

import pytest

from tests.service.fakes import casting, counting_castings, photo, unpack


@pytest.fixture
def counted(client):
    return client.app.state.inspector.counters.registry.get_sample_value


def rows(response):
    assert response.status_code == 200, response.text
    return response.json()["castings"]


def close(one, other):
    """Equal, numbers within 1e-5."""
    return all(
        a == b if isinstance(a, str) else a == pytest.approx(b, abs=1e-5)
        for x, y in zip(one, other, strict=True)
        for a, b in zip(x.values(), y.values(), strict=True)
    )


def test_numbers_do_not_depend_on_chunks_or_order(client):
    photos = [photo(seed) for seed in range(67)]  # minibatches, and a remainder
    whole = rows(client.score(photos, passes="7", seed="1"))
    alone = [
        row for data in photos[:3] for row in rows(client.score([data], passes="7", seed="1"))
    ]
    turned = rows(client.score(photos[::-1], passes="7", seed="1"))[::-1]
    assert close(whole[:3], alone)
    assert close(whole, turned)


def test_requests_that_share_minibatches_each_get_the_answer_that_they_get_alone(
    client, counted, photos
):
    """Whatever their passes, seed, version or number of castings."""
    requests = [
        (
            photos[i % 3 : i % 3 + 1 + i % 2],
            {"passes": str(1 + i % 4), "seed": str(i % 3), "model_version": str(1 + i // 2 % 2)},
        )
        for i in range(24)
    ]
    alone = [client.score(images, **fields).json() for images, fields in requests]
    before = counted("casting_minibatch_castings_count")

    async def together():
        return await asyncio.gather(
            *(client.scoring(images, **fields) for images, fields in requests)
        )

    assert [response.json() for response in asyncio.run(together())] == alone
    assert before == len(requests)
    assert counted("casting_minibatch_castings_count") - before < len(requests) / 2


def test_the_event_loop_stays_free_while_a_request_is_computed(client, photos):
    scorer, computing = client.app.state.inspector.scorer, asyncio.Event()
    score = scorer.score

    async def note_and_score(served, request, *, binary):
        computing.set()
        return await score(served, request, binary=binary)

    scorer.score = note_and_score

    async def both():
        scoring = asyncio.create_task(client.scoring(photos * 20, passes="1000"))
        await asyncio.wait_for(computing.wait(), 10)
        described = await client.send("GET", "/model")
        return described.status_code, scoring.done(), await scoring

    status, done, scored = asyncio.run(both())
    assert (status, done, scored.status_code) == (200, False, 200)


def test_work_of_other_kinds_has_the_threads_too_and_its_errors_come_back(client):
    scorer = client.app.state.inspector.scorer

    async def story():
        assert await scorer.compute(lambda: 7) == 7
        with pytest.raises(ZeroDivisionError):
            await scorer.compute(lambda: 1 // 0)
        return await asyncio.gather(*(scorer.compute(lambda n=n: n) for n in range(20)))

    assert asyncio.run(story()) == list(range(20))


def test_equal_images_of_a_request_are_computed_once_and_stand_where_they_were_sent(
    client, photos
):
    order = [0, 1, 0, 2, 1, 0]
    with counting_castings() as runs:
        together = rows(client.score([photos[i] for i in order], passes="7"))
        assert sum(runs) == 3
    assert [row["casting"] for row in together] == [casting(photos[i]) for i in order]
    assert together == [together[i] for i in (0, 1, 0, 3, 1, 0)]
    assert together[:2] + together[3:4] == rows(client.score(photos[:3], passes="7"))


def test_tensors_have_a_row_for_each_image_in_the_order_sent(client, photos):
    included = {"passes": "3", "include": "posterior,embedding"}
    alone = client.score(photos, **included).json()
    sent = [photos[3], "0" * 64, photos[0], casting(photos[1]), photos[3]]
    response = client.score_mixed(sent, accept="application/octet-stream", **included)
    tensors, body = unpack(response.content)
    assert ["unknown" in row for row in body["castings"]] == [False, True, False, False, False]
    for name, tensor in tensors.items():
        assert tensor.tolist() == [alone[name][i] for i in (3, 0, 1, 3)]


def test_every_image_that_cannot_be_read_is_listed_where_it_stands(client, photos):
    known = casting(b"none")
    response = client.score_mixed([b"none", photos[0], known, b"none", photos[0], b""])
    assert response.status_code == 400
    assert response.json()["error"] == "3 of 6 images cannot be read"
    assert [image["index"] for image in response.json()["images"]] == [0, 3, 5]


def test_images_of_too_many_pixels_together_are_refused_and_equal_ones_count_once(client):
    scorer = client.app.state.inspector.scorer
    scorer._max_request_pixels = 5000  # noqa: SLF001 -- three of 40 x 40 are 4,800
    assert len(rows(client.score([photo(seed) for seed in (0, 1, 2, 2)]))) == 4
    refused = client.score([photo(seed) for seed in range(4)])
    assert refused.status_code == 413
    assert "6400 pixels in 4 images, more than the 5000 allowed" in refused.json()["error"]
