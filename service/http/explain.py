"""The answer of `POST /explain`: a picture of the map, and its numbers in headers.

Names in headers are percent-encoded UTF-8 (RFC 3986), since a header is ASCII and a class is not
always.
"""

import hashlib
from urllib.parse import quote

from models.errors import UnreadableImage
from models.images import decode, upright
from models.prediction.class_activation_map import explain
from models.prediction.heat_map import FULL, lay_over, png
from service.hosting.version_cache import Served
from service.refusals import BadImage, BadInput
from service.scoring.request import ScoreRequest, Upload

PNG = "image/png"
EDGE = 512  # pixels of the picture's longer side
HEADERS = {
    "Casting-Id": "SHA-256 of the bytes received",
    "Casting-Model": "name/version; names are percent-encoded UTF-8",
    "Casting-Label": "the verdict, that of POST /score, percent-encoded",
    "Casting-Class": "the class that the map speaks for: the likeliest defect, or where no class "
    "means good the verdict; percent-encoded",
    "Casting-Against": "the class that it is held against: good, or where there is none the "
    "second likeliest; percent-encoded",
    "Casting-Probability": "P(defect), or where no class means good P(label)",
    "Casting-Peak": "x,y of the highest cell, in 0..1 of the upright photograph, padded if the "
    "model pads",
    "Casting-Peak-Logit": "log odds of Casting-Class against Casting-Against in that cell",
    "Casting-Map": "rows x columns of the map",
    "Casting-Scale": "log odds at which cells have no colour, and full colour",
}


def only_image(request: ScoreRequest) -> Upload:
    """The one image of a request; BadInput where there are more."""
    if len(request.images) != 1:
        raise BadInput(f"{len(request.images)} images; /explain takes one, /score takes many")
    return request.images[0]


def picture(served: Served, image: Upload, max_pixels: int) -> tuple[bytes, dict[str, str]]:
    """The photograph under its map as PNG, and its headers; BadInput where it cannot be read."""
    look = served.predictor.preprocessing
    try:
        pixels = decode(image.data, served.predictor.preprocessing, max_pixels)
        photo = upright(
            image.data, EDGE, served.predictor.preprocessing, max_pixels
        )  # its colours may be damaged
    except UnreadableImage as error:
        bad = BadImage(0, image.name, str(error))
        raise BadInput("1 of 1 images cannot be read", [bad]) from error
    explanation = explain(served.predictor, pixels)
    shown = lay_over(photo, explanation, look.size)
    rows, columns = explanation.log_odds_HW.shape
    values = (
        hashlib.sha256(image.data).hexdigest(),
        f"{quote(served.version.name, safe='')}/{quote(served.version.number, safe='')}",
        quote(explanation.label, safe=""),
        quote(explanation.speaks_for, safe=""),
        quote(explanation.against, safe=""),
        f"{explanation.probability:.6f}",
        "{:.4f},{:.4f}".format(*explanation.peak),
        f"{float(explanation.log_odds_HW.max()):.4f}",
        f"{rows}x{columns}",
        f"0,{FULL:g}",
    )
    return png(shown), dict(zip(HEADERS, values, strict=True))
