"""One round's training: fit, evaluate, log, register, record."""

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pandas as pd
import torch

from jobs.campaign.opening import Campaign, log_data_set
from jobs.campaign.ports import Context, Trained
from jobs.campaign.state import State, castings_to_calibrate_on, castings_to_test_on
from jobs.datasets.castings import Casting
from jobs.datasets.reader import load_pixels
from jobs.options import RunOptions, seed_for
from jobs.progress import stepping
from models.acquisition.strategies.table import find_strategy
from models.acquisition.strategy import wants_members
from models.errors import CampaignError
from models.evaluation import figures
from models.evaluation.calibration import calibrate
from models.evaluation.metrics import Floats, Ints, evaluate
from models.evaluation.operating_point import OperatingPoint, verdicts
from models.network.device import use_threads
from models.network.ensemble import Ensemble
from models.network.network import Network
from models.prediction.predictor import Predictor
from models.training.fit import fit
from models.training.recipe import Recipe

MEMBERS = 5  # of an ensemble
_FEWEST_AUDITED = 20  # where only people label, fewer say nothing
_IN_PIXELS = 1024  # castings that are in memory as pixels at once, where they are only judged


def train_round(context: Context, campaign: Campaign, now: State) -> Trained:
    """Train the next round on everything asked for so far.

    Killed at any moment and called again it does the same again; the ledger's row is written
    last, and from then on the round is never trained again.

    Raises:
        CampaignError: there is no batch to train on, or it has no labels yet.
    """
    number = len(now.trained)
    _check_ready(campaign, now, number)
    classes, good = campaign.classes(now.labels.values())
    name = f"round-{number:02d}"
    run_id = context.tracker.open_round(
        campaign.run_id, name, campaign.parameters(), campaign.tags(number)
    )
    log_data_set(context, campaign, run_id)
    total = len(now.paid())
    context.say(f"{name}: {total} labels, training on {len(now.trained_on())}")
    started = time.monotonic()
    predictor, pixels_N, loss = _fit(context, campaign, now, classes, good)
    seconds = time.monotonic() - started
    predictor = _calibrated(context, campaign, now, predictor)
    tested, pictures = _evaluate(context, campaign, now, predictor)
    metrics = {
        **{f"test/{key}": value for key, value in tested.items()},
        **_label_metrics(now, predictor),
        **{f"data/{key}": float(value) for key, value in campaign.data_counts.items()},
        "train/loss": loss,
        "seconds/train": seconds,
    }
    tags = campaign.tags(number) | {"labels": str(total), "labels_sha256": _digest(now)}
    tags["campaign_run"] = campaign.run_id
    version = context.tracker.publish(
        campaign.options.model_name, predictor, pixels_N, run_id, tags
    )
    trained = Trained(number, run_id, version.number, total, metrics)
    curve = _learning_curve(campaign, [*now.trained, trained])
    files = {"labels.csv": _labels_table(campaign, now), **pictures, **curve}
    context.tracker.log_files(run_id, files)
    context.tracker.log_files(campaign.run_id, curve)
    for run in (run_id, campaign.run_id):
        context.tracker.log_metrics(run, metrics, total)
    context.tracker.close_run(run_id)
    context.ledger.record_round(campaign.options.name, trained)
    accuracy = f", test accuracy {tested['accuracy']:.1%}" if tested else ""
    context.say(f"{name}: version {version.number} in {seconds:.0f} s{accuracy}")
    return trained


def _check_ready(campaign: Campaign, now: State, number: int) -> None:
    name = campaign.options.name
    if not now.batch(number):
        raise CampaignError(
            f"campaign {name} has trained {number} rounds and asked for no castings since; "
            f"`acquire` asks for the next batch"
        )
    missing = now.unlabelled()
    if missing:
        raise CampaignError(
            f"{len(missing)} of {len(now.asked)} castings that campaign {name} asked for have no "
            f"label yet"
        )


def _fit(
    context: Context,
    campaign: Campaign,
    now: State,
    classes: tuple[str, ...],
    good: str | None,
) -> tuple[Predictor, torch.Tensor, float]:
    """The trained network, the pixels it was trained on, and its loss at the end."""
    options = campaign.options
    asked = now.trained_on()
    castings = [campaign.casting(a.casting) for a in asked]
    pixels_N = load_pixels(campaign.data, castings, campaign.preprocessing)
    targets_N = torch.tensor([classes.index(now.labels[a.casting]) for a in asked])
    number = len(now.trained)

    def train(purpose: str) -> tuple[Network, float]:
        with stepping(context.progress, f"round {number}: {purpose}") as on_step:
            return fit(
                pixels_N,
                targets_N,
                campaign.network_spec(classes),
                campaign.preprocessing,
                recipe=Recipe(steps=options.steps),
                weights=options.weights,
                seed=seed_for(options.seed, number, purpose),
                on_step=on_step,
            )

    networks, losses = zip(*_side_by_side(train, _purposes(options)), strict=True)
    trained = networks[0] if len(networks) == 1 else Ensemble.of(networks)
    predictor = Predictor(trained, campaign.preprocessing, classes, OperatingPoint(good))
    return predictor, pixels_N, sum(losses) / len(losses)


def _side_by_side(
    train: Callable[[str], tuple[Network, float]], purposes: Sequence[str]
) -> list[tuple[Network, float]]:
    """What was trained for each purpose; members of an ensemble a core each, of one thread."""
    if len(purposes) == 1:
        return [train(purposes[0])]
    with ThreadPoolExecutor(torch.get_num_threads(), "", use_threads, (1,)) as pool:
        return list(pool.map(train, purposes))


def _purposes(options: RunOptions) -> list[str]:
    """What each network of a round is trained for; the first draws as a lone one does."""
    members = MEMBERS if wants_members(find_strategy(options.strategy)) else 1
    return ["train", *(f"train-{member}" for member in range(1, members))]


def _calibrated(
    context: Context, campaign: Campaign, now: State, predictor: Predictor
) -> Predictor:
    """The predictor with the operating point that the audit allows; what it lacks is said."""
    found = castings_to_calibrate_on(campaign, now)
    if not campaign.options.audit_share:
        return predictor
    embeddings_N_F, targets_N, parts_N = _embedded(campaign, predictor, found)
    good = predictor.operating.good

    def probs_at(temperature: float) -> Floats:
        tempered = replace(predictor, operating=OperatingPoint(good, temperature=temperature))
        probs: Floats = tempered.deterministic(embeddings_N_F).numpy()
        return probs

    point, shortfall = calibrate(probs_at, targets_N, parts_N, predictor.classes, good)
    if shortfall:
        context.say(
            f"the half of the audit that calibrates has {len(found)} castings; "
            f"{' and '.join(shortfall)}: nothing is promised yet"
        )
    return replace(predictor, operating=point)


def _embedded(
    campaign: Campaign, predictor: Predictor, found: Sequence[tuple[Casting, str]]
) -> tuple[torch.Tensor, Ints, list[str]]:
    """Features, class indices and parts of labelled castings."""
    castings = [casting for casting, _ in found]
    features = [
        predictor.embed(load_pixels(campaign.data, some, campaign.preprocessing))
        for some in _chunks(castings, _IN_PIXELS)
    ]
    embeddings_N_F = torch.cat(features)
    targets_N = np.array([predictor.classes.index(label) for _, label in found], dtype=np.int64)
    return embeddings_N_F, targets_N, [casting.part_key for casting in castings]


def _chunks(castings: Sequence[Casting], size: int) -> Iterator[Sequence[Casting]]:
    """So many at a time; none at all are a chunk too."""
    return (castings[start : start + size] for start in range(0, max(1, len(castings)), size))


def _evaluate(
    context: Context, campaign: Campaign, now: State, predictor: Predictor
) -> tuple[dict[str, float], dict[str, bytes]]:
    """Metrics and pictures on the test side; nothing where it has no labels."""
    found = castings_to_test_on(campaign, now)
    if all(casting.label is None for casting, _ in found) and len(found) < _FEWEST_AUDITED:
        if campaign.options.audit_share:
            context.say(
                f"{len(found)} audited castings measure so far, test metrics need "
                f"{_FEWEST_AUDITED}"
            )
        return {}, {}
    embeddings_N_F, targets_N, parts_N = _embedded(campaign, predictor, found)
    probs = predictor.deterministic(embeddings_N_F).numpy()
    operating = predictor.operating
    metrics = evaluate(probs, targets_N, predictor.classes, operating, parts_N)
    predicted = verdicts(torch.from_numpy(probs), predictor.good, operating.threshold)
    confusion = figures.confusion_matrix(predicted.numpy(), targets_N, predictor.classes)
    reliability = figures.reliability_diagram(probs, targets_N, metrics["ece"])
    pictures = {
        "confusion_matrix.png": figures.png(confusion),
        "reliability_diagram.png": figures.png(reliability),
    }
    return metrics, pictures


def _label_metrics(now: State, predictor: Predictor) -> dict[str, float]:
    """What was paid for, and the operating point that the audited part of it set."""
    good = predictor.operating.good
    counts = Counter(now.labels[a.casting] for a in now.paid())
    total = counts.total()
    metrics = {
        "labels/total": float(total),
        "labels/train": float(len(now.trained_on())),
        **{f"labels/share_{name}": counts[name] / total for name in predictor.classes},
        "operating/threshold": predictor.operating.threshold,
        "operating/temperature": predictor.operating.temperature,
    }
    if good is not None:
        metrics["labels/defects_found"] = float(total - counts[good])
    return metrics


def _labels_table(campaign: Campaign, now: State) -> bytes:
    """Every label that the round rests on, and what it was used for."""
    rows = [
        {
            "casting": a.casting,
            "path": None if a.casting in now.gone else campaign.casting(a.casting).paths[0],
            "part": None if a.casting in now.gone else campaign.casting(a.casting).part,
            "label": now.labels[a.casting],
            "round": a.round,
            "rank": a.rank,
            "use": now.use(a),
        }
        for a in now.paid()
    ]
    return pd.DataFrame(rows).to_csv(index=False).encode()


def _learning_curve(campaign: Campaign, trained: Sequence[Trained]) -> dict[str, bytes]:
    points = [(t.labels_total, t.metrics) for t in trained]
    curves = {
        measure: [(x, m[f"test/{measure}"]) for x, m in points if f"test/{measure}" in m]
        for measure in ("accuracy", "auroc")
    }
    drawn: Mapping[str, list[tuple[int, float]]] = {k: v for k, v in curves.items() if v}
    if not drawn:
        return {}
    figure = figures.learning_curves(drawn, "on the test side", campaign.options.name)
    return {"learning_curve.png": figures.png(figure)}


def _digest(now: State) -> str:
    """What tells two sets of labels apart, whatever the order they came in."""
    lines = sorted(f"{a.casting} {now.labels[a.casting]} {now.use(a)}" for a in now.paid())
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
