"""The contact sheets of a batch: its castings, and where the service sees a defect in them.

Maps are an extra: a batch is asked for whether they can be had or not. They stand on the first
sheet; a large batch has further ones.
"""

import math
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import PurePath

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

_LEGEND = (
    "right: what speaks for a defect (orange), most of all (ring); "
    "BALD: the part of the doubt H in which passes are at odds, nats"
)
_LONGEST = 27  # characters of a name in a caption
_THUMBNAIL = Preprocessing(size=160, channels=3)


def contact_sheets(
    session: Session, ranked: Ranked, chosen: Sequence[Casting], title: str
) -> dict[str, bytes]:
    """PNGs of the castings of a batch in order of choice, `SHEET` on each, by file name."""
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
    sheets = [thumbnails[first : first + SHEET] for first in range(0, len(thumbnails), SHEET)]
    return {
        "contact_sheet.png" if number == 1 else f"contact_sheet_{number}.png": figures.png(
            draw_sheet(sheet, title if len(sheets) == 1 else f"{title}, {number} of {len(sheets)}")
        )
        for number, sheet in enumerate(sheets or [[]], 1)
    }


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
    """Rank and file; what the model takes it for, and how much of its doubt is disagreement."""
    named = f"#{rank} {_shortened(PurePath(casting.paths[0]).name)}"
    answer = ranked.answers.get(casting.id)
    if answer is None:
        return named
    doubt = f"BALD {answer['bald']:.2f} of H {answer['predictive_entropy']:.2f}"
    return f"{named}\n{_shortened(str(answer['label']))}?  {doubt}"


def _shortened(name: str) -> str:
    """A name that fits under a thumbnail: its middle is left out."""
    half = (_LONGEST - 1) // 2
    return name if len(name) <= _LONGEST else f"{name[:half]}…{name[-half:]}"


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
    """Castings of a batch in order of choice, with their captions."""
    paired = any(one.beside is not None for one in thumbnails)
    columns, width, height = (4, 3.2, 2.05) if paired else (5, 1.9, 2.4)
    rows = max(1, math.ceil(len(thumbnails) / columns))
    figure = Figure(figsize=(width * columns, height * rows + 0.6), layout="constrained")
    if paired:
        figure.supxlabel(_LEGEND, fontsize=8)
    figure.suptitle(plain(title), fontsize=11)
    for index, axis in enumerate(figure.subplots(rows, columns, squeeze=False).flat):
        axis.axis("off")
        if index < len(thumbnails):
            axis.imshow(_pair(thumbnails[index]), cmap="gray", vmin=0, vmax=255)
            axis.set_title(plain(thumbnails[index].caption), fontsize=7)
    return figure


def _pair(one: Thumbnail) -> NDArray[np.uint8]:
    return one.pixels if one.beside is None else np.hstack([one.pixels, one.beside])
