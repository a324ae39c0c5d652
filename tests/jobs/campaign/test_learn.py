"""What a round learns: a head, all weights, or whichever predicts parts better."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from jobs.campaign import learn as module
from jobs.campaign.acquire import ask
from jobs.campaign.label import ask_oracle
from jobs.campaign.learn import learn, lesson_of, resampled, with_head
from jobs.campaign.opening import open_campaign
from jobs.campaign.run import run
from jobs.campaign.session import Session
from jobs.options import RunOptions
from models.training.head import fit_head
from tests.jobs.fakes import FakeContext

CLASSES = ("def", "ok")


@pytest.fixture
def options(castings: Path) -> RunOptions:
    return RunOptions(
        data=str(castings), rounds=1, batch=4, initial=12, image_size=32, audit_share=0.0, steps=2
    )


def labelled(fake: FakeContext, options: RunOptions) -> Session:
    session = open_campaign(fake.open(), options)
    ask(session)
    return ask_oracle(session.reread())


def test_a_head_is_fitted_to_features_that_stay_as_they_are(
    fake: FakeContext, options: RunOptions
):
    session = labelled(fake, options)
    learnt = learn(session, CLASSES, "ok")
    lesson = lesson_of(session, CLASSES, "ok")
    assert learnt.predictor.space == lesson.begun.space
    features_M_F = lesson.begun.features(lesson.pooled_M_P)
    weight_C_F, bias_C = fit_head(features_M_F, lesson.targets_M, 2, good=1)
    assert torch.equal(learnt.predictor.network.head.weight, weight_C_F)
    assert torch.equal(learnt.predictor.network.head.bias, bias_C)
    assert learnt.metrics["train/all_weights"] == 0
    assert learnt.golden_N.shape == (8, 1, 32, 32)


def test_the_start_itself_keeps_its_head_of_nothing(fake: FakeContext, options: RunOptions):
    lesson = lesson_of(labelled(fake, options), CLASSES, "ok")
    with_head(lesson)
    assert not lesson.begun.network.head.weight.any()


def test_all_weights_begin_from_the_fitted_head(
    fake: FakeContext, options: RunOptions, monkeypatch: pytest.MonkeyPatch
):
    begun = []
    monkeypatch.setattr(
        module, "fit", lambda _, __, network, *a, **k: (begun.append(network) or network, 0.5)
    )
    session = labelled(fake, replace(options, train="all"))
    learnt = learn(session, CLASSES, "ok")
    assert begun[0].head.weight.any()
    assert learnt.metrics == {"train/loss": 0.5, "train/all_weights": 1.0}


@pytest.mark.parametrize(("held_out", "chosen"), [((0.2, 0.4), 0.0), ((0.4, 0.2), 1.0)])
def test_auto_takes_what_predicts_held_out_parts_better_and_says_so(
    fake: FakeContext,
    options: RunOptions,
    monkeypatch: pytest.MonkeyPatch,
    held_out: tuple[float, float],
    chosen: float,
):
    losses = iter([*held_out, *held_out, 0.1])  # of a head and of all weights, fold by fold
    monkeypatch.setattr(module, "fit", lambda _, __, network, *a, **k: (network, 0.1))
    monkeypatch.setattr(module, "_log_loss", lambda *_: next(losses))
    result = run(fake.open(), replace(options, train="auto", initial=20))
    metrics = result["rounds"][0]["metrics"]
    assert metrics["train/all_weights"] == chosen
    assert metrics["train/held_out_log_loss_head"] == pytest.approx(held_out[0])
    assert metrics["train/held_out_log_loss_all"] == pytest.approx(held_out[1])
    assert [line for line in fake.said if "by parts not shown" in line]


def test_to_decide_takes_no_more_steps_than_one_training(
    fake: FakeContext, options: RunOptions, monkeypatch: pytest.MonkeyPatch
):
    steps = []

    def trained(_: object, __: object, network: object, *a: object, **k: object) -> object:
        steps.append(k["recipe"].steps)  # type: ignore[attr-defined]
        return network, 0.1

    monkeypatch.setattr(module, "fit", trained)
    learn(labelled(fake, replace(options, train="auto", steps=10)), CLASSES, "ok")
    assert sum(steps[:2]) <= 10


def test_members_of_an_ensemble_are_taught_parts_drawn_again(
    fake: FakeContext, options: RunOptions
):
    session = labelled(fake, replace(options, strategy="ensemble"))
    lesson = lesson_of(session, CLASSES, "ok")
    assert resampled(session, lesson, "train") is lesson
    member = resampled(session, lesson, "train-1")
    assert set(member.parts_M) < set(lesson.parts_M)
    assert resampled(session, lesson, "train-1").parts_M == member.parts_M
    network = learn(session, CLASSES, "ok").predictor.network
    assert (network.spec.members, network.spec.backbones) == (module.MEMBERS, 1)
    heads = network.linear_heads()
    assert not torch.equal(heads[0].weight, heads[1].weight)
