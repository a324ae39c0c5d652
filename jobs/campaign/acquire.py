"""Asking for labels: the first batch by the cold start, every later one by the strategy.

The strategy meets the model only through the scoring service, pinned to the version that the
round trained.
"""

import time
from collections.abc import Sequence

import pandas as pd
import torch

from jobs.campaign.contact_sheet import contact_sheet
from jobs.campaign.opening import Campaign, check_initial
from jobs.campaign.ports import Context, Trained, Use
from jobs.campaign.rank import Ranked, rank_pool, unlabelled_candidates
from jobs.campaign.state import State, pool
from jobs.datasets.castings import Casting
from jobs.options import generator_for
from jobs.progress import stepping
from models.acquisition.selection import choose_batch
from models.acquisition.strategies.table import find_strategy
from models.acquisition.strategy import needs_of
from models.errors import CampaignError

_OF_CLASSES = {"probs_N_K_C", "deterministic_N_C"}
_UNTIL_THEN = "novelty"
_SCORES = (
    "entropy", "least_confidence", "margin", "predictive_entropy", "expected_entropy", "bald",
    "variation_ratio",
)  # fmt: skip


def ask(context: Context, campaign: Campaign, now: State) -> bool:
    """Ask for the next batch: the first by `--cold-start`, later ones by the strategy.

    Returns:
        False when no castings are left to ask for.
    """
    if not now.asked:
        ask_first(context, campaign, now)
        return True
    return ask_next(context, campaign, now)


def ask_first(context: Context, campaign: Campaign, now: State) -> None:
    """Ask for the labels that the campaign begins with: by `--cold-start`, whatever the strategy.

    Raises:
        CampaignError: there are fewer castings than `--initial`.
        DataError: `--cold-start` names a strategy that needs a model or labels.
    """
    audit = _audit(context, campaign, now, 0, campaign.options.initial)
    castings = pool(campaign, now)
    wanted = check_initial(campaign.options, len(castings), len(audit))
    generator = generator_for(campaign.options.seed, 0, "acquire")
    parts = [casting.part_key for casting in castings]
    strategy = find_strategy(campaign.options.cold_start)
    candidates = unlabelled_candidates(campaign, castings, needs_of(strategy))
    picked = choose_batch(strategy, candidates, parts, wanted, generator)
    _record(context, campaign, 0, [castings[i] for i in picked], audit)


def ask_next(context: Context, campaign: Campaign, now: State) -> bool:
    """Rank the pool with the latest round's model and ask for the next batch.

    Returns:
        False when no castings are left to ask for.

    Raises:
        CampaignError: no round is trained yet, or the batch has been asked for already.
    """
    latest = _latest(campaign, now)
    number = latest.round + 1
    started = time.monotonic()
    audit = _audit(context, campaign, now, number, campaign.options.batch)
    ranked = rank_pool(context, campaign, now, latest)
    wanted = min(campaign.options.batch - len(audit), len(ranked.castings))
    if wanted == 0 and not audit:
        return False
    too_early = _cannot_tell_yet(context, campaign, now)
    name = _UNTIL_THEN if too_early else campaign.options.strategy
    strategy, candidates = find_strategy(name), ranked.candidates
    if too_early:
        candidates = unlabelled_candidates(campaign, ranked.castings, needs_of(strategy))
    generator = generator_for(campaign.options.seed, number, "acquire")
    parts = [casting.part_key for casting in ranked.castings]
    with stepping(context.progress, f"choosing by {name}") as on_step:
        picked = choose_batch(strategy, candidates, parts, wanted, generator, on_step=on_step)
    chosen = [ranked.castings[i] for i in picked]
    seconds = time.monotonic() - started
    title = f"{campaign.options.name}: chosen for round {number} by {name}"
    sheet = contact_sheet(context, campaign, latest, ranked, chosen, title)
    files = _tables(ranked, chosen, audit) | {"contact_sheet.png": sheet}
    context.tracker.log_files(latest.run_id, files)
    for run in (latest.run_id, campaign.run_id):
        context.tracker.log_metrics(run, {"seconds/acquire": seconds}, latest.labels_total)
    _record(context, campaign, number, chosen, audit)
    return True


def _audit(
    context: Context, campaign: Campaign, now: State, number: int, size: int
) -> list[Casting]:
    """The share of a batch that comes from the test side: parts drawn uniformly, one casting each.

    When every part has given one, parts may give another. Batches too small for a share of their
    own take turns.
    """
    before = sum(asked.use == "audit" for asked in now.asked)
    wanted = campaign.options.audited(len(now.asked) + size) - before
    wanted = min(max(wanted, 0), size)
    generator = generator_for(campaign.options.seed, number, "audit")
    castings = pool(campaign, now, "test")
    if len(castings) < wanted:
        context.say(
            f"the audit wants {wanted} castings, the test side has {len(castings)} left: "
            f"the rest of the batch is trained on, and the audit promises less"
        )
    parts: dict[str, list[Casting]] = {}
    for casting in castings:
        parts.setdefault(casting.part_key, []).append(casting)
    drawn: list[Casting] = []
    while parts and len(drawn) < wanted:
        names = sorted(parts)
        order = torch.randperm(len(names), generator=generator).tolist()
        for name in [names[i] for i in order][: wanted - len(drawn)]:
            row = int(torch.randint(len(parts[name]), (1,), generator=generator))
            drawn.append(parts[name].pop(row))
        parts = {name: rest for name, rest in parts.items() if rest}
    return drawn


def _cannot_tell_yet(context: Context, campaign: Campaign, now: State) -> bool:
    """Whether the strategy asks a model how sure it is that has seen castings of one class only.

    Such a model is the surer the more there is to see on a casting, a defect too: it is the least
    sure of the emptiest, and finds defects later than chance does (docs/strategies.md).
    """
    name = campaign.options.strategy
    labels = [now.labels[asked.casting] for asked in now.trained_on()]
    if len(set(labels)) > 1 or not _OF_CLASSES & set(needs_of(find_strategy(name))):
        return False
    context.say(
        f"all {len(labels)} labels are {labels[0]}: {name} cannot tell yet what another class "
        f"looks like, so this batch is chosen by {_UNTIL_THEN}"
    )
    return True


def _latest(campaign: Campaign, now: State) -> Trained:
    name = campaign.options.name
    if not now.trained:
        raise CampaignError(f"campaign {name} has no model yet to rank with; `train` makes one")
    latest = now.trained[-1]
    asked = now.batch(latest.round + 1)
    if asked:
        raise CampaignError(
            f"campaign {name} has already asked for {len(asked)} castings after round "
            f"{latest.round}; `label status` tells which have labels, then `train`"
        )
    return latest


def _record(
    context: Context,
    campaign: Campaign,
    number: int,
    chosen: Sequence[Casting],
    audit: Sequence[Casting],
) -> None:
    rows: list[tuple[str, Use]] = [(casting.id, "train") for casting in chosen]
    rows += [(casting.id, "audit") for casting in audit]
    context.ledger.ask(campaign.options.name, number, rows)


def _tables(
    ranked: Ranked, chosen: Sequence[Casting], audit: Sequence[Casting]
) -> dict[str, bytes]:
    """The batch, and what was set aside."""
    rows = []
    for rank, casting in enumerate([*chosen, *audit]):
        answer = ranked.answers.get(casting.id, {})
        rows.append(
            {
                "casting": casting.id,
                "path": casting.paths[0],
                "part": casting.part,
                "rank": rank,
                "use": "train" if rank < len(chosen) else "audit",
                "model_label": answer.get("label"),
                **{score: answer.get(score) for score in _SCORES},
            }
        )
    files = {"acquired.csv": pd.DataFrame(rows).to_csv(index=False).encode()}
    if ranked.refused:
        refused = pd.DataFrame(ranked.refused.items(), columns=["casting", "reason"])
        files["set_aside.csv"] = refused.to_csv(index=False).encode()
    return files
