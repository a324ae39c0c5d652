"""The corpus over ASGI; `test_hostile.py` sends it to a real server."""

import re
from pathlib import Path

import pytest

from tests.service.corpus import CASES, try_out

PAGE = Path(__file__).parents[2] / "docs" / "hostile-input.md"


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_is_scored_as_its_equivalent_or_refused_with_the_reason(client, case):
    _, wrong = try_out(case, client.post)
    assert not wrong


def test_the_page_has_a_row_for_each_and_none_is_wrong():
    rows = re.findall(r"^\| (.+?) \| (\d+) \| (.+) \|$", PAGE.read_text(), flags=re.MULTILINE)
    assert [name for name, _, _ in rows] == [name.replace("<", "&lt;") for name in CASES]
    assert [row for row in rows if not 200 <= int(row[1]) < 500 or "**" in row[2]] == []
