"""Photograph the service's page with castings that it has scored: docs/figures/page.png.

    python docs/screenshot.py URL CASTING [CASTING ...]

Wants chromium and chromium-driver, and a running service.
"""

import base64
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.service.chromium import chromium  # noqa: E402 -- run from the root

PICTURE = ROOT / "docs" / "figures" / "page.png"
SHOWN = """[...document.querySelectorAll('.map img')].every(
    map => map.parentElement.getBoundingClientRect().top > innerHeight || map.naturalWidth)"""


def main() -> None:
    """Give it the castings, wait for its answers, and write the picture."""
    if len(sys.argv) < 3:  # noqa: PLR2004 -- the address and a casting
        sys.exit(__doc__)
    url, files = sys.argv[1], [str(Path(file).resolve()) for file in sys.argv[2:]]
    folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)  # it writes to the last
    with folder as profile, chromium(Path(profile)) as browser:
        browser.open(url)
        browser.send("#files", "\n".join(files))
        browser.wait(f"document.querySelectorAll('#rows > *').length === {len(files)}", 60)
        browser.wait("document.querySelector('#progress').hidden", 60)
        browser.wait(SHOWN, 60)
        PICTURE.write_bytes(base64.b64decode(browser.ask("GET", "screenshot")))


if __name__ == "__main__":
    main()
