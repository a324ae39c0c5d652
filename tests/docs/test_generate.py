"""The generated parts of the pages, and the script that writes them."""

import subprocess
import sys
from pathlib import Path

import pytest

from docs import generate
from models.acquisition.strategies.table import STRATEGIES
from tests.docs.pages import ROOT


def test_the_generated_parts_of_the_pages_are_current():
    script = [sys.executable, str(ROOT / "docs" / "generate.py"), "--check"]
    done = subprocess.run(script, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A README with the one part that there is in it."""
    (tmp_path / "README.md").write_text("# A\n<!-- one -->\nold\n<!-- /one -->\nend\n")
    monkeypatch.setattr(generate, "ROOT", tmp_path)
    monkeypatch.setattr(generate, "PARTS", {"one": lambda: "new"})
    monkeypatch.setattr(sys, "argv", ["generate.py"])
    return tmp_path


def test_a_part_is_written_anew_and_the_rest_left_alone(pages: Path):
    generate.main()
    assert (pages / "README.md").read_text() == "# A\n<!-- one -->\nnew\n<!-- /one -->\nend\n"


def test_a_check_refuses_what_is_not_current_and_writes_nothing(
    pages: Path, monkeypatch: pytest.MonkeyPatch
):
    before = (pages / "README.md").read_text()
    monkeypatch.setattr(sys, "argv", ["generate.py", "--check"])
    with pytest.raises(SystemExit, match=r"README\.md: not current"):
        generate.main()
    assert (pages / "README.md").read_text() == before


def test_a_part_that_is_nowhere_or_on_two_pages_is_refused(pages: Path):
    (pages / "docs").mkdir()
    (pages / "docs" / "b.md").write_text((pages / "README.md").read_text())
    with pytest.raises(SystemExit, match="exactly one page: one"):
        generate.main()
    (pages / "docs" / "b.md").unlink()
    (pages / "README.md").write_text("# A\n")
    with pytest.raises(SystemExit, match="exactly one page: one"):
        generate.main()


def test_commands_of_groups_are_told_by_their_full_names():
    rows = generate.commands().splitlines()
    assert "| `castings run` |" in "\n".join(rows)
    assert any(row.startswith("| `castings label import` |") for row in rows)
    assert not any(row.startswith("| `castings label` |") for row in rows)


def test_every_strategy_has_a_row_and_what_needs_nothing_says_so():
    rows = generate.strategies().splitlines()[2:]
    assert [row.split("`")[1] for row in rows] == list(STRATEGIES)
    assert rows[0].endswith("| nothing |")


def test_rankings_of_other_photographs_are_left_to_their_page():
    lines = generate.speed().splitlines()
    assert any(line.startswith("| ranking, 300x300 at 128 px |") for line in lines)
    assert not any("224 px" in line for line in lines)


def test_rooms_are_drawn_with_their_first_lines_and_empty_folders_left_out(tmp_path: Path):
    (tmp_path / "house" / "attic" / "box").mkdir(parents=True)
    (tmp_path / "house" / "empty").mkdir()
    (tmp_path / "house" / "__init__.py").write_text('"""All of it."""\n')
    (tmp_path / "house" / "hall.py").write_text('"""Where\none comes in.\n\nMore."""\n')
    (tmp_path / "house" / "attic" / "box" / "old.py").write_text("x = 1\n")
    assert list(generate.rooms(tmp_path / "house", 0)) == [
        "- **house/** All of it.",
        "  - `hall.py` Where",
        "  - **attic/**",
        "    - **box/**",
        "      - `old.py` ",
    ]
