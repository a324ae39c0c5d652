import pytest

from service.scoring.request import ScoreRequest, Upload
from tests.service.fakes import casting


def request(castings: int, **fields: int) -> ScoreRequest:
    return ScoreRequest(tuple(image(i) for i in range(castings)), **fields)


def image(number: int, name: str = "a.png") -> Upload:
    return Upload(name, str(number).encode())


def known(number: int) -> Upload:
    return Upload("", b"", known=casting(str(number).encode()))


@pytest.mark.parametrize(
    ("castings", "sizes"), [(70, [32, 32, 6]), (3, [2, 1]), (1, [1]), (65, [32, 32, 1])]
)
def test_castings_are_shared_out_evenly_and_in_order(castings, sizes):
    whole = request(castings)
    chunks = whole.chunks(shares=2, most=32)
    assert [len(chunk.images) for chunk in chunks] == sizes
    assert tuple(image for chunk in chunks for image in chunk.images) == whole.images


def test_a_casting_that_is_sent_several_times_is_in_one_chunk_once():
    sent = ScoreRequest((image(1), image(2, "first"), image(1), image(2, "second"), image(3)))
    chunks = sent.chunks(shares=3, most=32)
    assert [upload for chunk in chunks for upload in chunk.images] == [
        image(1),
        image(2, "first"),
        image(3),
    ]
    assert len(chunks) == 3


def test_where_an_image_is_sent_of_a_casting_said_to_be_known_the_image_is_taken():
    sent = ScoreRequest((known(1), image(1), image(2), known(2)))
    (chunk,) = sent.chunks(shares=1, most=32)
    assert chunk.images == (image(1), image(2))


def test_places_are_those_of_each_image_and_leave_out_what_is_not_there():
    sent = ScoreRequest((image(1), known(9), image(2), image(1), known(2)))
    there = [casting(b"2"), casting(b"1")]
    assert sent.places(there) == [1, 0, 1, 0]


def test_a_casting_is_told_by_its_bytes_or_by_what_it_is_said_to_be():
    assert image(7).casting == known(7).casting == casting(b"7")


def test_chunks_have_a_posterior_in_common_where_passes_and_seed_are_the_same():
    first, second = request(2, passes=7, seed=3).chunks(shares=2, most=32)
    (other,) = request(1, passes=7, seed=4).chunks(shares=2, most=32)
    assert first.draws == second.draws == (7, 3)
    assert other.draws == (7, 4)
