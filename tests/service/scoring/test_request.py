import pytest

from service.scoring.request import ScoreRequest, Upload


def request(castings: int, **fields: int) -> ScoreRequest:
    return ScoreRequest(tuple(Upload(f"{i}.png", b"") for i in range(castings)), **fields)


@pytest.mark.parametrize(
    ("castings", "sizes", "firsts"),
    [(70, [32, 32, 6], [0, 32, 64]), (3, [2, 1], [0, 2]), (1, [1], [0])],
)
def test_castings_are_shared_out_evenly_and_in_order(castings, sizes, firsts):
    whole = request(castings)
    chunks = whole.chunks(shares=2, most=32)
    assert [len(chunk.images) for chunk in chunks] == sizes
    assert [chunk.first for chunk in chunks] == firsts
    assert tuple(image for chunk in chunks for image in chunk.images) == whole.images


def test_chunks_have_a_posterior_in_common_where_passes_and_seed_are_the_same():
    first, second = request(2, passes=7, seed=3).chunks(shares=2, most=32)
    (other,) = request(1, passes=7, seed=4).chunks(shares=2, most=32)
    assert first.draws == second.draws == (7, 3)
    assert other.draws == (7, 4)
