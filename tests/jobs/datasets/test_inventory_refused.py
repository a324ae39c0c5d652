"""That a file is unreadable is a fact about limits and releases too."""

from pathlib import Path

import pytest

from jobs.campaign.opening import look_up
from jobs.campaign.session import Session
from jobs.datasets import inventory, reader
from jobs.datasets.ports import Seen
from jobs.options import RunOptions
from models.errors import UnreadableImage
from tests.jobs.fakes import FakeContext


@pytest.fixture
def options(castings: Path) -> RunOptions:
    return RunOptions(
        data=str(castings), rounds=2, batch=5, initial=10, passes=4, steps=2, image_size=32
    )


def _limit(monkeypatch: pytest.MonkeyPatch, judge: str, size: int) -> None:
    """Read as a release or under limits that refuse files of more bytes."""
    check_image = reader.check_image

    def limited(data: bytes) -> None:
        if len(data) > size:
            raise UnreadableImage("too large")
        check_image(data)

    monkeypatch.setattr(reader, "check_image", limited)
    for module in (reader, inventory):
        monkeypatch.setattr(module, "JUDGE", judge)


def test_a_file_is_tried_again_when_limits_or_release_are_others(
    fake: FakeContext, castings: Path, options: RunOptions, monkeypatch: pytest.MonkeyPatch
):
    large = castings / "ok" / "large.png"
    large.write_bytes((castings / "ok" / "000.png").read_bytes() + bytes(5000))
    with monkeypatch.context() as strict:
        _limit(strict, "strict", 4000)
        assert len(look_up(fake.open(), options).data.unreadable) == 1
        strict.setattr(reader, "check_image", _not_called)
        assert len(look_up(fake.open(), options).data.unreadable) == 1  # remembered
    found = look_up(fake.open(), options)
    assert found.data.unreadable == ()
    assert "ok/large.png" in {path for c in found.data.castings for path in c.paths}
    assert {seen.judge for seen in fake.ledger.seen().values()} == {None}


def test_what_an_older_program_refused_is_tried_again(
    fake: FakeContext, castings: Path, options: RunOptions
):
    casting = look_up(fake.open(), options).data.castings[0]
    fake.ledger.record_seen(options.source, {casting.id: Seen(casting.paths[0], "once refused")})
    assert look_up(fake.open(), options).data.castings[0] == casting


def test_what_the_service_refused_is_refused_in_this_job_and_tried_again_by_the_next(
    fake: FakeContext, castings: Path, options: RunOptions
):
    context = fake.open()
    session = Session.begin(context, look_up(context, options))
    bad = session.pool()[0]
    refused = {bad.id: Seen(bad.paths[0], "more pixels than the service allows")}
    fake.ledger.record_seen(options.source, refused)
    assert bad not in session.with_inventory().pool()
    assert bad in Session.begin(context, look_up(context, options)).pool()


def _not_called(*args: object) -> object:
    raise AssertionError("it was known")
