"""What a round is judged by."""

from pathlib import Path

from jobs.campaign.run import run
from tests.jobs.campaigns import small
from tests.jobs.fakes import FakeContext, write_castings


def _numbers(result: dict[str, object]) -> list[dict[str, float]]:
    rounds: list[dict[str, dict[str, float]]] = result["rounds"]  # type: ignore[assignment]
    return [
        {k: v for k, v in r["metrics"].items() if not k.startswith("seconds/")} for r in rounds
    ]


def test_a_few_audited_castings_measure_nothing_yet_and_that_is_said(
    fake: FakeContext, tmp_path: Path
):
    data = write_castings(tmp_path / "pool", {"shots": 60}) / "shots"
    options = small(data, classes="ok,def", audit_share=0.4, rounds=1)
    context = fake.open()
    name = run(context, options)["campaign"]
    asked = [a.casting for a in context.ledger.asked(name)]
    label_set = context.ledger.campaigns()[0].label_set
    labels = zip(asked, ["ok", "def"] * 5, ["ann"] * 10, strict=True)
    context.ledger.record_labels(label_set, labels)
    result = run(context, options)
    assert not any(key.startswith("test/") for key in result["rounds"][0]["metrics"])
    assert any("audited castings measure so far, test metrics need 20" in x for x in fake.said)


def test_six_classes_work_like_two(fake: FakeContext, tmp_path: Path):
    names = ["good", "blowhole", "break", "crack", "fray", "uneven"]
    data = tmp_path / "tiles"
    for number, name in enumerate(names):
        write_castings(data, {name: 8}, start=100 * number)
    result = run(fake.open(), small(data, rounds=2, initial=20))
    metrics = result["rounds"][0]["metrics"]
    assert {f"labels/share_{n}" for n in names} <= set(metrics)
    assert "test/escape_rate" in metrics
