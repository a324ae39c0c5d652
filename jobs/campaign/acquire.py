"""Asking for labels: the first batch by the cold start, every later one by the strategy.

The strategy meets the model only through the scoring service, pinned to the version that the
round trained.
"""

import time
from collections.abc import Mapping, Sequence

import torch

from jobs.campaign.contact_sheet import contact_sheets
from jobs.campaign.opening import check_initial
from jobs.campaign.ports import Use
from jobs.campaign.rank import Ranked, asks_the_service, rank_pool, unlabelled_candidates
from jobs.campaign.refit import choose_with_refits
from jobs.campaign.seeds import generator_for
from jobs.campaign.session import Session
from jobs.datasets.castings import Casting
from jobs.datasets.tables import as_csv
from jobs.progress import stepping
from models.acquisition.selection import choose_batch
from models.acquisition.strategies.table import find_strategy
from models.acquisition.strategy import needs_of
from models.errors import CampaignError

_OF_CLASSES = {"probs_N_K_C", "deterministic_N_C"}
_UNTIL_THEN = "novelty"
_AUDITED = "drawn at random, to measure"
_SCORES = (
    "entropy", "least_confidence", "margin", "predictive_entropy", "expected_entropy", "bald",
    "variation_ratio",
)  # fmt: skip


def ask(session: Session) -> bool:
    """Ask for the next batch, the first by `--cold-start`; False when no castings are left."""
    if not session.state.asked:
        ask_first(session)
        return True
    return ask_next(session)


def ask_first(session: Session) -> None:
    """Ask for the labels that the campaign begins with, whatever the strategy of later ones."""
    campaign, options = session.campaign, session.campaign.options
    audit = _audit(session, 0, options.initial)
    castings = session.pool()
    wanted = check_initial(options, len(castings), len(audit))
    candidates = unlabelled_candidates(session, castings, campaign.cold_start)
    parts = [casting.part_key for casting in castings]
    generator = generator_for(options.seed, 0, "acquire")
    picked = choose_batch(campaign.cold_start, candidates, parts, wanted, generator)
    chosen = [castings[i] for i in picked]
    _record(session, 0, chosen, audit, {c.id: options.cold_start for c in chosen})


def ask_next(session: Session) -> bool:
    """Rank the pool with the latest round's model and ask for a batch; False when none is left."""
    _check_ready(session)
    context, campaign, latest = session.context, session.campaign, session.state.trained[-1]
    number, started = latest.round + 1, time.monotonic()
    audit = _audit(session, number, campaign.options.batch)
    ranked = rank_pool(session)
    wanted = min(campaign.options.batch - len(audit), len(ranked.castings))
    if wanted == 0 and not audit:
        return False
    name, chosen = _choose(session, ranked, wanted, number)
    seconds = time.monotonic() - started
    title = f"{campaign.name}: chosen for round {number} by {name}"
    files = _tables(ranked, chosen, audit)
    if campaign.options.pictures:
        files |= contact_sheets(session, ranked, chosen, title)
    context.tracker.log_files(latest.run_id, files)
    for run in (latest.run_id, campaign.run_id):
        context.tracker.log_metrics(run, {"seconds/acquire": seconds}, latest.labels_total)
    answers = ranked.answers
    _record(session, number, chosen, audit, {c.id: _why(name, answers.get(c.id)) for c in chosen})
    return True


def _why(strategy: str, answer: Mapping[str, object] | None) -> str:
    """Why a casting was asked for: the strategy, and the score by which it ranks."""
    score = (answer or {}).get(strategy.replace("-", "_"))
    return f"{strategy} {score:.3f}" if isinstance(score, float) else strategy


def _choose(
    session: Session, ranked: Ranked, wanted: int, number: int
) -> tuple[str, list[Casting]]:
    """The castings of a batch in order of choice, and the strategy by which they were chosen."""
    campaign, candidates = session.campaign, ranked.candidates
    name, strategy = campaign.options.strategy, campaign.strategy
    if _cannot_tell_yet(session):
        name, strategy = _UNTIL_THEN, find_strategy(_UNTIL_THEN)
        candidates = unlabelled_candidates(session, ranked.castings, strategy)
    generator = generator_for(campaign.options.seed, number, "acquire")
    parts = [casting.part_key for casting in ranked.castings]
    if (
        campaign.options.refit_every
        and strategy is campaign.strategy
        and asks_the_service(strategy)
    ):
        return name, choose_with_refits(session, ranked, wanted, number)
    with stepping(session.context.progress, f"choosing by {name}") as on_step:
        picked = choose_batch(strategy, candidates, parts, wanted, generator, on_step=on_step)
    return name, [ranked.castings[i] for i in picked]


def _audit(session: Session, number: int, size: int) -> list[Casting]:
    """The share of a batch that comes from the test side: parts drawn uniformly, one casting each.

    When every part has given one, parts may give another. Batches too small for a share of their
    own take turns.
    """
    options, asked = session.campaign.options, session.state.asked
    audited = sum(a.use == "audit" for a in asked)
    wanted = min(max(options.audited(len(asked) + size) - audited, 0), size)
    generator = generator_for(options.seed, number, "audit")
    castings = session.pool("test")
    if len(castings) < wanted:
        session.context.say(
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


def _cannot_tell_yet(session: Session) -> bool:
    """Whether the strategy asks a model how sure it is that has seen castings of one class only.

    Such a model is the surer the more there is to see on a casting, a defect too: it is the least
    sure of the emptiest, and finds defects later than chance does (docs/strategies.md).
    """
    labels = [label for _, label in session.castings_to_train_on()]
    if len(set(labels)) > 1 or not _OF_CLASSES & set(needs_of(session.campaign.strategy)):
        return False
    session.context.say(
        f"all {len(labels)} labels are {labels[0]}: {session.campaign.options.strategy} cannot "
        f"tell yet what another class looks like, so this batch is chosen by {_UNTIL_THEN}"
    )
    return True


def _check_ready(session: Session) -> None:
    name, state = session.campaign.name, session.state
    if not state.trained:
        raise CampaignError(f"campaign {name} has no model yet to rank with; `train` makes one")
    latest = state.trained[-1].round
    batch = state.batch(latest + 1)
    if batch:
        raise CampaignError(
            f"campaign {name} has already asked for {len(batch)} castings after round "
            f"{latest}; `label status` tells which have labels, then `train`"
        )


def _record(
    session: Session,
    number: int,
    chosen: Sequence[Casting],
    audit: Sequence[Casting],
    why: Mapping[str, str],
) -> None:
    rows: list[tuple[str, Use]] = [(casting.id, "train") for casting in chosen]
    rows += [(casting.id, "audit") for casting in audit]
    reasons = dict(why) | {casting.id: _AUDITED for casting in audit}
    session.context.ledger.ask(session.campaign.name, number, rows, reasons)


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
    files = {"acquired.csv": as_csv(list(rows[0]), [list(row.values()) for row in rows])}
    if ranked.refused:
        files["set_aside.csv"] = as_csv(("casting", "reason"), list(ranked.refused.items()))
    return files
