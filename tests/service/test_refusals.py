import pytest

from models.errors import ServiceError
from service.refusals import (
    BadImage,
    BadInput,
    NoSuchVersion,
    NotNow,
    Refusal,
    TooLarge,
    TooSlow,
    WrongMediaType,
)

EVERY = {
    400: BadInput("no", [BadImage(3, "a.jpeg", "truncated")]),
    404: NoSuchVersion("no", served="1", asked="9"),
    408: TooSlow("no"),
    413: TooLarge("no"),
    415: WrongMediaType("no"),
    503: NotNow("no", 5, registry={}),
}


def test_every_refusal_is_in_this_table():
    assert {type(refusal) for refusal in EVERY.values()} == set(Refusal.__subclasses__())


@pytest.mark.parametrize(("status", "refusal"), EVERY.items())
def test_a_refusal_has_its_status_and_says_why(status, refusal):
    assert isinstance(refusal, ServiceError)
    assert (refusal.status, str(refusal)) == (status, "no")


def test_only_what_may_succeed_later_says_when_to_come_again():
    assert {s: r.retry_after for s, r in EVERY.items() if r.retry_after is not None} == {503: 5}


def test_what_else_the_client_is_told_goes_with_it():
    assert EVERY[400].images == [BadImage(3, "a.jpeg", "truncated")]
    assert EVERY[404].extra == {"served": "1", "asked": "9"}
    assert EVERY[503].extra == {"registry": {}}
