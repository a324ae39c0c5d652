"""One round's training: fit, evaluate, log, register, record."""

import hashlib
import time
from collections import Counter
from collections.abc import Mapping, Sequence

from jobs.campaign.evaluate import calibrated, evaluated
from jobs.campaign.learn import learn
from jobs.campaign.ports import Trained
from jobs.campaign.session import Campaign, Session
from jobs.campaign.state import State
from jobs.datasets.castings import in_metrics
from jobs.datasets.tables import as_csv
from models.errors import CampaignError
from models.evaluation import figures
from models.prediction.predictor import Predictor

_FEWEST = 2  # labels of a training: batch norm needs two castings


def train_round(session: Session, *, without_batch: bool = False) -> Trained:
    """Train the next round on everything asked for so far, also if that is no more than before.

    Killed at any moment and called again it does the same again; the ledger's row is written
    last, and from then on the round is never trained again.

    Raises:
        CampaignError: there is no batch to train on, or it has no labels yet.
    """
    _check_ready(session, without_batch=without_batch)
    context, campaign, state = session.context, session.campaign, session.state
    number, total = len(state.trained), len(state.paid())
    name, tracker = f"round-{number:02d}", context.tracker
    tested_on = [label for _, label in session.castings_to_test_on()]
    classes, good = campaign.classes([*state.labels.values(), *tested_on])
    run_id = tracker.open_round(
        campaign.run_id, name, campaign.parameters(), campaign.tags(number)
    )
    session.log_data_set(run_id)
    context.say(f"{name}: {total} labels, training on {len(state.trained_on())}")
    started = time.monotonic()
    learnt = learn(session, classes, good)
    seconds = time.monotonic() - started
    predictor = calibrated(session, learnt.predictor)
    tested, pictures = evaluated(session, predictor)
    metrics = {
        **{f"test/{key}": value for key, value in tested.items()},
        **_label_metrics(state, predictor),
        **{f"data/{key}": float(value) for key, value in campaign.data_counts.items()},
        **learnt.metrics,
        "seconds/train": seconds,
    }
    version = tracker.publish(
        campaign.options.model_name, predictor, learnt.golden_N, run_id, _version_tags(session)
    )
    last_label = state.said[-1].number if state.said else 0
    trained = Trained(number, run_id, version.number, total, metrics, last_label)
    _log(session, trained, pictures)
    context.ledger.record_round(campaign.name, trained)
    accuracy = f", test accuracy {tested['accuracy']:.1%}" if tested else ""
    context.say(f"{name}: version {version.number} in {seconds:.0f} s{accuracy}")
    return trained


def _check_ready(session: Session, *, without_batch: bool) -> None:
    name, state = session.campaign.name, session.state
    number = len(state.trained)
    if not state.batch(number) and not without_batch:
        raise CampaignError(
            f"campaign {name} has trained {number} rounds and asked for no castings since; "
            f"`acquire` asks for the next batch"
        )
    missing = state.unlabelled()
    if missing:
        raise CampaignError(
            f"{len(missing)} of {len(state.asked)} castings that campaign {name} asked for have "
            f"no label yet"
        )
    if len(state.trained_on()) < _FEWEST:
        skipped = sum(asked.casting in state.skipped for asked in state.asked)
        raise CampaignError(
            f"campaign {name} has {len(state.trained_on())} labels to train on, a training needs "
            f"{_FEWEST}; {skipped} of {len(state.asked)} castings were skipped: label some of "
            f"them with `label import`"
        )


def _label_metrics(state: State, predictor: Predictor) -> dict[str, float]:
    """What was paid for, and the operating point that the audited part of it set."""
    good = predictor.operating.good
    counts = Counter(state.labels[a.casting] for a in state.paid())
    total = counts.total()
    metrics = {
        "labels/total": float(total),
        "labels/train": float(len(state.trained_on())),
        **{f"labels/share_{in_metrics(name)}": counts[name] / total for name in predictor.classes},
        "operating/threshold": predictor.operating.threshold,
        "operating/temperature": predictor.operating.temperature,
    }
    if good is not None:
        metrics["labels/defects_found"] = float(total - counts[good])
    return metrics


def _version_tags(session: Session) -> dict[str, str]:
    """The tags of the round's version: where it comes from, and the labels that it rests on."""
    campaign, state = session.campaign, session.state
    paid = state.paid()
    lines = sorted(f"{a.casting} {state.labels[a.casting]} {state.use(a)}" for a in paid)
    return campaign.tags(len(state.trained)) | {
        "labels": str(len(paid)),
        "labels_sha256": hashlib.sha256("\n".join(lines).encode()).hexdigest(),
        "campaign_run": campaign.run_id,
    }


def _log(session: Session, trained: Trained, pictures: Mapping[str, bytes]) -> None:
    """Log a finished training to its run, and its curve and metrics to the campaign's too."""
    tracker, campaign, run_id = session.context.tracker, session.campaign, trained.run_id
    curve = _learning_curve(campaign, [*session.state.trained, trained])
    tracker.log_files(run_id, {"labels.csv": _labels_table(session), **pictures, **curve})
    tracker.log_files(campaign.run_id, curve)
    for run in (run_id, campaign.run_id):
        tracker.log_metrics(run, trained.metrics, trained.labels_total)
    tracker.close_run(run_id)


def _labels_table(session: Session) -> bytes:
    """Every label that the round rests on, and what it was used for."""
    campaign, state = session.campaign, session.state
    rows = [
        {
            "casting": a.casting,
            "path": None if a.casting in state.gone else campaign.casting(a.casting).paths[0],
            "part": None if a.casting in state.gone else campaign.casting(a.casting).part,
            "label": state.labels[a.casting],
            "round": a.round,
            "rank": a.rank,
            "use": state.use(a),
        }
        for a in state.paid()
    ]
    return as_csv(list(rows[0]), [list(row.values()) for row in rows])


def _learning_curve(campaign: Campaign, trained: Sequence[Trained]) -> dict[str, bytes]:
    points = [(t.labels_total, t.metrics) for t in trained]
    curves = {
        measure: [(x, m[f"test/{measure}"]) for x, m in points if f"test/{measure}" in m]
        for measure in ("accuracy", "auroc")
    }
    drawn: Mapping[str, list[tuple[int, float]]] = {k: v for k, v in curves.items() if v}
    if not drawn or not campaign.options.pictures:
        return {}
    figure = figures.learning_curves(drawn, "on the test side", campaign.name)
    return {"learning_curve.png": figures.png(figure)}
