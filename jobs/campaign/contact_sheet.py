"""The contact sheet of a batch: its castings, and where the service sees what speaks for a defect.

Maps are an extra: a batch is asked for whether they can be had or not.
"""

import math
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from jobs.campaign.rank import CONCURRENCY, Ranked
from jobs.campaign.session import Session
from jobs.datasets.castings import Casting
from models.errors import DataError, ServiceError
from models.evaluation import figures
from models.evaluation.figures import plain
from models.images import Preprocessing, decode

_THUMBNAIL = Preprocessing(size=160, channels=3)


def contact_sheet(
    session: Session, ranked: Ranked, chosen: Sequence[Casting], title: str
) -> bytes:
    """The castings of a batch in order of choice, beside their maps where the model was asked."""
    maps = _maps(session, ranked, chosen[:SHEET])
    look = replace(_THUMBNAIL, **session.campaign.bits._asdict())
    thumbnails = [
        Thumbnail(
            _pixels(session.campaign.data.read(casting), look),
            _caption(rank, casting, ranked),
            _pixels(maps[casting.id], _THUMBNAIL) if casting.id in maps else None,
        )
        for rank, casting in enumerate(chosen)
    ]
    return figures.png(draw_sheet(thumbnails, title))


def _maps(session: Session, ranked: Ranked, castings: Sequence[Casting]) -> Mapping[str, bytes]:
    """The service's picture of each casting by id, by the version that ranked; or none at all.

    Where the strategy asked nothing of the model, neither is this.
    """
    scored = [casting for casting in castings if casting.id in ranked.answers]
    if not scored:
        return {}
    context, campaign, latest = session.context, session.campaign, session.state.trained[-1]
    service = context.scoring_service(campaign.options)

    def explain(casting: Casting) -> bytes:
        return service.explain((casting.id, campaign.data.read(casting)), latest.version)

    with ThreadPoolExecutor(CONCURRENCY) as threads:
        pictures = [threads.submit(explain, casting) for casting in scored]
        try:
            return {c.id: p.result() for c, p in zip(scored, pictures, strict=True)}
        except (DataError, ServiceError) as error:
            threads.shutdown(wait=False, cancel_futures=True)
            context.say(f"the contact sheet has no maps: {error}")
            return {}


def _caption(rank: int, casting: Casting, ranked: Ranked) -> str:
    answer = ranked.answers.get(casting.id)
    if answer is None:
        return f"#{rank}"
    return f"#{rank} {answer['label']}?  BALD {answer['bald']:.2f}  H {answer['entropy']:.2f}"


def _pixels(data: bytes, look: Preprocessing) -> NDArray[np.uint8]:
    return decode(data, look, of_data_set=True).permute(1, 2, 0).numpy()


SHEET = 40  # castings on a contact sheet, so that each can still be seen


@dataclass(frozen=True)
class Thumbnail:
    """One casting of a contact sheet: uint8 `[height, width]` or `[height, width, 3]`.

    `beside` is drawn to its right: the same casting under a map, of the same shape.
    """

    pixels: NDArray[np.uint8]
    caption: str
    beside: NDArray[np.uint8] | None = None


def draw_sheet(thumbnails: Sequence[Thumbnail], title: str) -> Figure:
    """The first castings of a batch in order of choice, with their captions."""
    shown = thumbnails[:SHEET]
    paired = any(one.beside is not None for one in shown)
    columns, width, height = (4, 3.2, 1.9) if paired else (5, 1.9, 2.25)
    rows = max(1, math.ceil(len(shown) / columns))
    figure = Figure(figsize=(width * columns, height * rows + 0.6), layout="constrained")
    if paired:
        figure.supxlabel(
            "right: what speaks for a defect (orange), most of all (ring)", fontsize=8
        )
    more = f" (first {len(shown)} of {len(thumbnails)})" if len(shown) < len(thumbnails) else ""
    figure.suptitle(plain(title + more), fontsize=11)
    for index, axis in enumerate(figure.subplots(rows, columns, squeeze=False).flat):
        axis.axis("off")
        if index < len(shown):
            axis.imshow(_pair(shown[index]), cmap="gray", vmin=0, vmax=255)
            axis.set_title(plain(shown[index].caption), fontsize=7)
    return figure


def _pair(one: Thumbnail) -> NDArray[np.uint8]:
    return one.pixels if one.beside is None else np.hstack([one.pixels, one.beside])
