"""What a campaign's start sees: pooled stages, computed once and kept, and what is usual there."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import lru_cache

import torch
from torch.nn.functional import adaptive_avg_pool2d

from jobs.campaign.ports import Context
from jobs.campaign.session import Session
from jobs.datasets.castings import Casting
from jobs.datasets.reader import DataSet, load_pixels
from models.errors import CampaignError
from models.evaluation.operating_point import OperatingPoint
from models.network.device import use_threads
from models.network.standardise import Standardisation
from models.network.start import read_start
from models.prediction.predictor import MINIBATCH, Predictor

_THUMBNAIL = 16  # cells a side


def at_the_start(session: Session, classes: tuple[str, ...], good: str | None) -> Predictor:
    """The start, read anew, as a predictor whose head is still 0, its features standardised.

    Raises:
        CampaignError: it is no longer the start that the campaign began from.
    """
    campaign, context = session.campaign, session.context
    spec = campaign.network_spec(classes)
    start = read_start(campaign.options.weights, spec, campaign.options.seed)
    recorded = context.ledger.record_start(campaign.name, start.sha256)
    if recorded != start.sha256:
        raise CampaignError(
            f"--weights {campaign.options.weights} are now {start.sha256[:16]}…, campaign "
            f"{campaign.name} began from {recorded[:16]}…: put the old ones back, or begin "
            f"another with --campaign NAME"
        )
    predictor = Predictor(
        start.network(spec),
        campaign.seen_by(start),
        classes,
        OperatingPoint(good),
        {"name": start.name, "sha256": start.sha256},
    )
    sample = session.pool_sample()
    parts_N = tuple(casting.part_key for casting in sample)
    key = (predictor.space, tuple(casting.id for casting in sample), parts_N)
    pooled_N_P = pooled(context, campaign.data, predictor, sample)
    predictor.network.standardisations[0] = _usual(_Sample(key, pooled_N_P, parts_N))
    return predictor


@dataclass(frozen=True)
class _Sample:
    """Castings that say what is usual, known by their ids, parts and space."""

    key: tuple[str, tuple[str, ...], tuple[str, ...]]
    pooled_N_P: torch.Tensor = field(compare=False)
    parts_N: tuple[str, ...] = field(compare=False)


@lru_cache(maxsize=2)
def _usual(sample: _Sample) -> Standardisation:
    """Found once: the rounds of a campaign, and a comparison's campaigns of a seed, share it."""
    return Standardisation.of(sample.pooled_N_P, sample.parts_N)


def cold_features(session: Session, castings: Sequence[Casting]) -> torch.Tensor:
    """Features `[N, F]`, float32, before anything is labelled: those of the start.

    Weights from scratch see nothing; there castings are shrunk to grey thumbnails, less their mean
    over castings, since what all castings share tells none from another.
    """
    campaign = session.campaign
    if campaign.options.weights == "scratch":
        pixels_N = load_pixels(campaign.data, castings, campaign.preprocessing)
        grey_N = pixels_N.float().mean(dim=1, keepdim=True) / 255
        small_N_F = adaptive_avg_pool2d(grey_N, _THUMBNAIL).flatten(1)
        return small_N_F - small_N_F.mean(dim=0)
    predictor = at_the_start(session, ("good", "defect"), None)  # any two: there is no head yet
    return predictor.features(pooled(session.context, campaign.data, predictor, castings))


def pooled(
    context: Context, data: DataSet, predictor: Predictor, castings: Sequence[Casting]
) -> torch.Tensor:
    """Pooled stages, float32 `[N, P]`, of castings as the predictor's backbones see them.

    What is not kept is computed, a minibatch per core at a time, and kept.
    """
    ids = [casting.id for casting in castings]
    kept = context.embeddings.get(predictor.space, ids)
    missing = [casting for casting in castings if casting.id not in kept]
    chunks = [missing[start : start + MINIBATCH] for start in range(0, len(missing), MINIBATCH)]

    def see(chunk: Sequence[Casting]) -> torch.Tensor:
        return predictor.pool(load_pixels(data, chunk, predictor.preprocessing))

    if chunks:
        with (
            context.progress("embedding castings", len(missing)) as advance,
            ThreadPoolExecutor(torch.get_num_threads(), "embed", use_threads, (1,)) as threads,
        ):
            for chunk, seen in zip(chunks, threads.map(see, chunks), strict=True):
                named = [casting.id for casting in chunk]
                context.embeddings.put(predictor.space, named, seen)
                kept.update(zip(named, seen, strict=True))
                advance(len(chunk))
    rows = [kept[casting] for casting in ids]
    return torch.stack(rows) if rows else torch.empty(0, predictor.network.pooled_count)
