"""Comparisons of seconds: campaigns that end at once."""

from collections.abc import Generator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from jobs.compare.options import CompareOptions
from jobs.compare.workers import Ended, RunAll
from jobs.options import RunOptions
from tests.jobs.fakes import FakeContext, FakeRun, pretend

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
