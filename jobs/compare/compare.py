"""Campaigns side by side: run what is missing, then say which strategy to use, and how sure it is.

A campaign is picked up by its name; what is in the ledger is neither run again nor read from
images. Campaigns of one seed share split, initial labels and initial weights.
"""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any

from jobs.campaign.opening import check_initial, ending_run, look_up
from jobs.campaign.ports import Context, Trained
from jobs.campaign.session import Campaign
from jobs.compare import report
from jobs.compare.curves import beside_the_constant, gather
from jobs.compare.evidence import split_of
from jobs.compare.options import BY_PART, CompareOptions
from jobs.compare.statistics import compare as compare_curves
from jobs.compare.workers import Ended, RunAll
from jobs.datasets.castings import Side
from jobs.datasets.inventory import parts_placed, take_inventory
from jobs.options import RunOptions
from models.acquisition.strategies.table import find_strategy
from models.errors import CampaignError, DataError, did_you_mean, listed

_LOOK = 5.0  # seconds between two looks at the ledger
_PARTS = 2  # of a class on each side; of one alone nothing can be told of parts


def compare(context: Context, options: CompareOptions, run_all: RunAll) -> dict[str, Any]:
    """Run the campaigns that are not finished and compare them all.

    Raises:
        CastingError: it cannot be done, or a campaign failed; the same call goes on.
    """
    for strategy in options.strategy_list:
        find_strategy(strategy)
    campaigns = options.campaigns()
    missing = _unfinished(context, campaigns)
    if missing:
        _check_data(context, missing)
    tags = {"comparison": options.name, "begun": options.digest()}
    run_id = context.tracker.open_campaign(options.name, None, options.parameters(), tags)
    with ending_run(context, run_id):
        if missing:
            _work_off(context, missing, run_all, options.measure)
        return _result(context, options, run_id)


def _unfinished(context: Context, campaigns: Sequence[RunOptions]) -> list[RunOptions]:
    recorded = {row.name: row for row in context.ledger.campaigns()}
    for campaign in campaigns:
        if campaign.name in recorded:
            campaign.check_same(recorded[campaign.name].options)
    return [c for c in campaigns if len(context.ledger.rounds(c.name)) < c.rounds]


def _check_data(context: Context, campaigns: Sequence[RunOptions]) -> None:
    """Read the data set once, before many do, and place its castings for every split.

    So no two campaigns race for the first word, and a split that cannot be compared on is refused
    before anything is trained.
    """
    first = look_up(context, campaigns[0])
    if first.options.split == BY_PART and any(c.side == "test" for c in first.data.castings):
        context.say("the split that the data set gives is not used; --split given keeps it")
    for options in {(c.split, c.split_seed): c for c in campaigns}.values():
        sides = first.sides
        if options.split_seed != first.options.split_seed:
            _, sides = take_inventory(
                context.ledger, options, context.progress, context.say, first.data
            )
        _check_labelled(context, first, options, sides)
        if options.split == BY_PART:
            _check_split(context, options, sides)


def _check_labelled(
    context: Context, first: Campaign, options: RunOptions, sides: Mapping[str, Side]
) -> None:
    known = {said.casting for said in context.ledger.labels(first.label_set)}
    askable = {"train", "test"} if options.audit_share else {"train"}
    asked = [c for c in first.data.castings if sides[c.id] in askable]
    bare = [c.paths[0] for c in asked if c.label is None and c.id not in known]
    if bare:
        raise DataError(
            f"{len(bare)} of {len(asked)} castings to train or audit on have no label "
            f"({listed(bare)}); compare plays the oracle and needs them all: "
            f"leave these out, or label them"
        )


def _check_split(context: Context, options: RunOptions, sides: Mapping[str, Side]) -> None:
    """See that a seed's own split has two parts of a class on each side, and a pool that lasts."""
    parts = parts_placed(context.ledger, options).values()
    counts = Counter((part.stratum, part.side) for part in parts)
    for stratum in sorted({part.stratum for part in parts if part.stratum}):
        if min(counts[stratum, "train"], counts[stratum, "test"]) < _PARTS:
            raise DataError(
                f"seed {options.seed}: class {stratum} has {counts[stratum, 'train']} parts to "
                f"train on and {counts[stratum, 'test']} to test; a comparison needs {_PARTS} on "
                f"each side: add parts, or give a split yourself and --split given"
            )
    count = Counter(sides.values())
    check_initial(options, count["train"], min(options.audited(options.initial), count["test"]))
    total = options.initial + (options.rounds - 1) * options.batch
    wanted = total - min(options.audited(total), count["test"])
    if count["train"] < wanted:
        raise DataError(
            f"seed {options.seed}: {options.rounds} rounds want {wanted} castings to train on, "
            f"its train side has {count['train']}; curves of unequal length cannot be paired: "
            f"give fewer --rounds or a smaller --batch"
        )


def _work_off(
    context: Context, campaigns: Sequence[RunOptions], run_all: RunAll, measure: str
) -> None:
    total, before = sum(c.rounds for c in campaigns), _rounds_done(context, campaigns)
    began = looked = time.monotonic()
    done, ended, failed = before, 0, dict[str, str]()
    context.say(f"{len(campaigns)} campaigns to run, {before} of their {total} rounds are done")
    progress = context.progress("rounds", total - before)
    with progress as advance, closing(run_all(campaigns)) as events:
        for event in events:
            now = time.monotonic()
            if event is None and now < looked + _LOOK:
                continue
            looked, shown, done = now, done, _rounds_done(context, campaigns)
            advance(done - shown)
            if event is None:
                continue
            ended += 1
            if event.error is not None:
                failed[event.options.name] = event.error
            left = _time_left(now - began, done - before, total - done)
            news = _news(context, event, measure)
            context.say(f"{news}; {ended} of {len(campaigns)} campaigns, {left}")
    if failed:
        raise CampaignError(
            f"{len(failed)} of {len(campaigns)} campaigns failed ({listed(list(failed))}). The "
            f"same command tries them again; or leave their seeds or strategies out. "
            f"The first one's last words:\n{next(iter(failed.values()))}"
        )


def _rounds_done(context: Context, campaigns: Sequence[RunOptions]) -> int:
    return sum(min(len(context.ledger.rounds(c.name)), c.rounds) for c in campaigns)


def _news(context: Context, event: Ended, measure: str) -> str:
    name = event.options.name
    if event.error is not None:
        return f"{name} failed: {event.error}"
    points = _points(event.options, context.ledger.rounds(name), measure)
    return f"{name} finished, {measure} {points[-1][1]:.4g}"


def _time_left(seconds: float, done: int, to_do: int) -> str:
    if not done:
        return "time left unknown"
    minutes = seconds / done * to_do / 60
    return f"about {minutes:.0f} min left" if minutes >= 1 else "less than a minute left"


def _result(context: Context, options: CompareOptions, run_id: str) -> dict[str, Any]:
    """Compare what the ledger holds, log it, and return the table."""
    trained = {c: context.ledger.rounds(c.name)[: c.rounds] for c in options.campaigns()}
    points = {(c.strategy, c.seed): _points(c, t, options.measure) for c, t in trained.items()}
    curves = beside_the_constant(
        gather(options.measure, points, options.reference),
        {(c.strategy, c.seed): rounds for c, rounds in trained.items()},
    )
    found = compare_curves(curves, None if options.target == "auto" else float(options.target))
    result = report.result(options, curves, found, split_of(context.ledger, options), run_id)
    files = report.files(result, curves, found, trained)
    context.tracker.log_files(run_id, files)
    return result


def _points(
    campaign: RunOptions, trained: Sequence[Trained], measure: str
) -> list[tuple[int, float]]:
    """(labels, value) of each round."""
    for t in trained:
        if measure not in t.metrics:
            raise DataError(
                f"--measure {measure}: round {t.round} of campaign {campaign.name} has no such "
                f"metric{did_you_mean(measure, t.metrics)}; it has {', '.join(sorted(t.metrics))}"
            )
    return [(t.labels_total, t.metrics[measure]) for t in trained]
