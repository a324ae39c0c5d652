"""The page for people at `/`: its files, and the headers they go out with."""

from collections.abc import Awaitable, Callable
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

_FOLDER = Path(__file__).parents[1] / "page"
_MEDIA_TYPES = {".css": "text/css", ".html": "text/html", ".js": "text/javascript"}
_FILES = {
    "/" if file.name == "index.html" else f"/page/{file.name}": file.name
    for file in sorted(_FOLDER.iterdir())
}
PATHS = tuple(_FILES)

_HEADERS = {
    # nothing from anywhere else; blob: and data: are the castings that were dropped, and the icon
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' blob: data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",  # modules of two releases must not meet in one page
}


def routes() -> list[BaseRoute]:
    """A route for each file, which is read here, once.

    They stay out of the OpenAPI document, which is about what programs call.
    """
    return [
        Route(path, _sending(_FOLDER / name), methods=["GET"], include_in_schema=False)
        for path, name in _FILES.items()
    ]


def _sending(file: Path) -> Callable[[Request], Awaitable[Response]]:
    content, media_type = file.read_bytes(), _MEDIA_TYPES[file.suffix]

    async def send(_: Request) -> Response:
        return Response(content, media_type=media_type, headers=_HEADERS)

    return send
