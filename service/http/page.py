"""The page for people at `/`: Starlette's StaticFiles, and the headers that its files go out with.

Every file has a route of its own, since a `Mount` would serve the page a second time, as
`/page/index.html`, and send whoever asks for `/page` on to a path where nothing is.
"""

from pathlib import Path

from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

_SERVICE = Path(__file__).parents[1]
_START = "page/index.html"
_FILES = sorted(str(file.relative_to(_SERVICE)) for file in (_SERVICE / "page").iterdir())
PATHS = tuple("/" if file == _START else f"/{file}" for file in _FILES)

# not the machine's own table, which need not know that a module is text/javascript
_MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
}
_HEADERS = {
    # nothing from anywhere else; blob: and data: are the castings that were dropped, and the icon
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' blob: data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",  # modules of two releases must not meet in one page
}


class _PageFiles(StaticFiles):
    async def get_response(self, path: str, scope: Scope) -> Response:
        file = _START if path == "." else path
        response = await super().get_response(file, scope)
        response.headers.update(_HEADERS | {"Content-Type": _MEDIA_TYPES[Path(file).suffix]})
        return response


def routes() -> list[BaseRoute]:
    """A route per file, outside the OpenAPI document, which is about what programs call."""
    files = _PageFiles(directory=_SERVICE)
    return [Route(path, files, include_in_schema=False) for path in PATHS]
