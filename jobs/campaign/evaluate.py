"""What a round's network is worth: its operating point, its metrics, its pictures."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from jobs.campaign.embed import pooled
from jobs.campaign.session import Labelled, Session
from models.evaluation import figures
from models.evaluation.calibration import calibrate
from models.evaluation.metrics import Floats, Ints, evaluate
from models.evaluation.operating_point import OperatingPoint, verdicts
from models.prediction.predictor import Predictor

_FEWEST_AUDITED = 20  # where only people label, fewer say nothing


def calibrated(session: Session, predictor: Predictor) -> Predictor:
    """The predictor with the operating point that the audit allows; what it lacks is said."""
    campaign, labelled = session.campaign, session.castings_to_calibrate_on()
    if not campaign.options.audit_share:
        return predictor
    embeddings_N_F, targets_N, parts_N = _embedded(session, predictor, labelled)
    good = predictor.operating.good

    def probs_at(temperature: float) -> Floats:
        point = OperatingPoint(good, temperature=temperature)
        return replace(predictor, operating=point).deterministic(embeddings_N_F).numpy()

    point, shortfall = calibrate(probs_at, targets_N, parts_N, predictor.classes, good)
    if shortfall:
        session.context.say(
            f"the half of the audit that calibrates has {len(labelled)} castings; "
            f"{' and '.join(shortfall)}: nothing is promised yet"
        )
    return replace(predictor, operating=point)


def evaluated(session: Session, predictor: Predictor) -> tuple[dict[str, float], dict[str, bytes]]:
    """Metrics and pictures on the test side; nothing where it has no labels."""
    campaign, labelled = session.campaign, session.castings_to_test_on()
    if all(casting.label is None for casting, _ in labelled) and len(labelled) < _FEWEST_AUDITED:
        if campaign.options.audit_share:
            session.context.say(
                f"{len(labelled)} audited castings measure so far, test metrics need "
                f"{_FEWEST_AUDITED}"
            )
        return {}, {}
    embeddings_N_F, targets_N, parts_N = _embedded(session, predictor, labelled)
    probs_N_C = predictor.deterministic(embeddings_N_F)
    operating = predictor.operating
    metrics = evaluate(probs_N_C.numpy(), targets_N, predictor.classes, operating, parts_N)
    if not campaign.options.pictures:
        return metrics, {}
    predicted_N = verdicts(probs_N_C, predictor.good, operating.threshold).numpy()
    confusion = figures.confusion_matrix(predicted_N, targets_N, predictor.classes)
    reliability = figures.reliability_diagram(probs_N_C.numpy(), targets_N, metrics["ece"])
    pictures = {
        "confusion_matrix.png": figures.png(confusion),
        "reliability_diagram.png": figures.png(reliability),
    }
    return metrics, pictures


def _embedded(
    session: Session, predictor: Predictor, labelled: Sequence[Labelled]
) -> tuple[torch.Tensor, Ints, list[str]]:
    """Features, class indices and parts of labelled castings."""
    castings = [casting for casting, _ in labelled]
    pooled_N_P = pooled(session.context, session.campaign.data, predictor, castings)
    targets = [predictor.classes.index(label) for _, label in labelled]
    parts_N = [casting.part_key for casting in castings]
    return predictor.features(pooled_N_P), np.array(targets, dtype=np.int64), parts_N
