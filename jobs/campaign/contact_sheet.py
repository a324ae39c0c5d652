"""The contact sheet of a batch: its castings, and where the service sees what speaks for a defect.

Maps are an extra: a batch is asked for whether they can be had or not.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from jobs.adapters.context import World
from jobs.adapters.ledger import Trained
from jobs.campaign.opening import Campaign
from jobs.campaign.rank import CONCURRENCY, Ranked
from jobs.datasets.castings import Casting
from models.errors import DataError, ServiceError
from models.evaluation import figures
from models.images import Preprocessing, decode

_THUMBNAIL = Preprocessing(size=160, channels=3)


def contact_sheet(
    world: World,
    campaign: Campaign,
    latest: Trained,
    ranked: Ranked,
    chosen: Sequence[Casting],
    title: str,
) -> bytes:
    """The castings of a batch in order of choice, beside their maps where the model was asked."""
    maps = _maps(world, campaign, latest, ranked, chosen[: figures.SHEET])
    thumbnails = [
        figures.Thumbnail(
            _pixels(campaign.data.read(casting)),
            _caption(rank, casting, ranked),
            _pixels(maps[casting.id]) if casting.id in maps else None,
        )
        for rank, casting in enumerate(chosen)
    ]
    return figures.png(figures.contact_sheet(thumbnails, title))


def _maps(
    world: World,
    campaign: Campaign,
    latest: Trained,
    ranked: Ranked,
    castings: Sequence[Casting],
) -> Mapping[str, bytes]:
    """The service's picture of each casting by id, by the version that ranked; or none at all.

    Where the strategy asked nothing of the model, neither is this.
    """
    asked = [casting for casting in castings if casting.id in ranked.answers]
    if not asked:
        return {}
    scorer = world.scorer(campaign.options)

    def explain(casting: Casting) -> bytes:
        return scorer.explain((casting.id, campaign.data.read(casting)), latest.version)

    with ThreadPoolExecutor(CONCURRENCY) as threads:
        pictures = [threads.submit(explain, casting) for casting in asked]
        try:
            return {c.id: p.result() for c, p in zip(asked, pictures, strict=True)}
        except (DataError, ServiceError) as error:
            threads.shutdown(wait=False, cancel_futures=True)
            world.say(f"the contact sheet has no maps: {error}")
            return {}


def _caption(rank: int, casting: Casting, ranked: Ranked) -> str:
    answer = ranked.answers.get(casting.id)
    if answer is None:
        return f"#{rank}"
    return f"#{rank} {answer['label']}?  BALD {answer['bald']:.2f}  H {answer['entropy']:.2f}"


def _pixels(data: bytes) -> NDArray[np.uint8]:
    return decode(data, _THUMBNAIL).permute(1, 2, 0).numpy()
