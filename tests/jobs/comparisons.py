"""Comparisons of seconds: campaigns that end at once."""

from collections.abc import Generator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from jobs.adapters.ledger import Ledger
from jobs.campaign.ports import CampaignRow, Trained
from jobs.compare.options import CompareOptions
from jobs.compare.workers import Ended, RunAll
from jobs.options import RunOptions
from tests.jobs.fakes import FakeContext, FakeRun

Events = Generator[Ended | None]


def small_comparison(data: Path, **changes: Any) -> CompareOptions:
    campaign = CompareOptions().campaign
    tiny = {"rounds": 2, "batch": 5, "initial": 10, "passes": 4, "steps": 2, "image_size": 32}
    campaign = replace(campaign, data=str(data), **tiny | changes.pop("campaign", {}))
    return CompareOptions(campaign=campaign, **{"seeds": "0-1"} | changes)


def in_process(fake: FakeContext, done: list[str], fails: Sequence[str] = ()) -> RunAll:
    """Finishes campaigns at once; those in `fails` do not get off the ground."""

    def work(campaigns: Sequence[RunOptions]) -> Events:
        for campaign in campaigns:
            yield None
            if campaign.name in fails:
                yield Ended(campaign, "exit code 1: out of luck")
                continue
            pretend(fake.ledger, campaign, campaign.rounds)
            done.append(campaign.name)
            yield Ended(campaign, None)

    return work


def logged(fake: FakeContext, result: dict[str, Any]) -> FakeRun:
    return fake.tracker.runs[result["mlflow_run"]]


def pretend(ledger: Ledger, campaign: RunOptions, rounds: int) -> None:
    """Write down what a campaign might have found, without training anything.

    As in a real one, the first round knows nothing of the strategy.
    """
    if ledger.campaign(campaign.name) is None:
        row = CampaignRow(campaign.name, campaign.identity(), campaign.rounds, 1, "run")
        ledger.begin(row)
    for number in range(rounds):
        luck = np.random.default_rng([campaign.seed, number, number * len(campaign.strategy)])
        metrics = {
            "test/accuracy": 0.5 + 0.5 * luck.random(),
            "test/constant_accuracy": 0.75,
            "test/balanced_accuracy": 0.5 + 0.5 * luck.random(),
            "test/constant_balanced_accuracy": 0.5,
            "labels/defects_found": number + 5.0,
        }
        labels = campaign.initial + number * campaign.batch
        ledger.record_round(campaign.name, Trained(number, "run", "1", labels, metrics))
