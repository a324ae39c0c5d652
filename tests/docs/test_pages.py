"""What the pages say is there, and what they tell people to type is taken."""

import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from service.settings import Settings
from tests.docs.pages import PAGES, ROOT, commands, commands_of_jobs, judge, mentions_of_jobs

NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
OF_THE_HOUSE = ROOT / "docs" / "the-house.md"
GENERATED = re.compile(r"<!-- ([\w-]+) -->\n.*?<!-- /\1 -->\n", re.DOTALL)
WRITTEN_BY_TESTS = "docs/hostile-input.md"
OF_A_MACHINE = re.compile(r"(?<![\w.~:-])/(?:work|tmp|home|root|Users)\b")
IN_CONTAINERS = {"docs/deploy.md", "docs/deploy"}


def slug(heading: str) -> str:
    """What GitHub calls a heading in a link."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def anchors(page: Path) -> set[str]:
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    return {slug(heading) for heading in re.findall(r"^#+ (.*)$", text, flags=re.MULTILINE)}


@pytest.mark.parametrize("name", NAMES)
def test_every_link_leads_somewhere(name: str):
    page = ROOT / name
    links = re.findall(r"\]\(([^)\s]+)\)", page.read_text())
    broken = []
    for link in links:
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if link.startswith("https://"):
            continue
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


def test_every_page_is_reached_from_the_readme():
    links = re.findall(r"\]\((docs/[\w-]+\.md)\)", (ROOT / "README.md").read_text())
    assert {str(p.relative_to(ROOT)) for p in ROOT.glob("docs/*.md")} == set(links)


@pytest.mark.parametrize("name", NAMES)
def test_every_command_of_the_jobs_is_one_that_click_takes(name: str):
    for words in commands_of_jobs(ROOT / name):
        judge(words)
    for words in mentions_of_jobs(ROOT / name):
        with suppress(click.MissingParameter):  # a verb that is only named
            judge(words)


def test_commands_of_the_jobs_are_seen_in_blocks_lines_and_spans(tmp_path: Path):
    page = tmp_path / "page.md"
    page.write_text(
        "`castings label status`, `castings VERB`\n"
        "```bash\ncastings train && castings run \\\n  --seed 1  # one\nmlflow ui\n```\n"
        "```console\n$ python -m jobs acquire\n```\n"
    )
    assert list(commands_of_jobs(page)) == [["train"], ["run", "--seed", "1"], ["acquire"]]
    assert list(mentions_of_jobs(page)) == [["label", "status"]]


@pytest.mark.parametrize("name", NAMES)
def test_every_script_and_benchmark_that_is_called_is_there(name: str):
    text = (ROOT / name).read_text()
    modules = re.findall(r"python -m (benchmarks[\w.]*|tests[\w.]+)", text)
    files = [f"{module.replace('.', '/')}.py" for module in modules if "." in module]
    files += re.findall(r"(?:python |`)(docs/\w+\.py)", text)
    assert [file for file in files if not (ROOT / file).is_file()] == []


@pytest.mark.parametrize("name", ["README.md", "docs/campaigns.md"])
def test_every_parameter_given_to_mlflow_run_is_one_of_mlproject(name: str):
    entry_points: dict[str, Any] = yaml.safe_load((ROOT / "MLproject").read_text())["entry_points"]
    lines = [words for words in commands(ROOT / name) if words[:2] == ["mlflow", "run"]]
    assert lines
    for words in lines:
        entry = entry_points[words[words.index("-e") + 1] if "-e" in words else "main"]
        given = {words[i + 1].split("=")[0] for i, word in enumerate(words) if word == "-P"}
        assert given <= set(entry["parameters"])


def test_every_room_of_the_walks_exists():
    rooms = re.findall(r"`([\w/]+/[\w.]+)`", GENERATED.sub("", OF_THE_HOUSE.read_text()))
    assert len(rooms) > 30
    assert [room for room in rooms if not (ROOT / room).exists()] == []


def test_every_environment_variable_of_ours_has_its_line():
    source = (ROOT / "jobs" / "adapters" / "environment.py").read_text()
    pages = "".join((ROOT / name).read_text() for name in ("docs/service.md", "SECURITY.md"))
    variables = set(re.findall(r"\bCASTING_[A-Z_]+\b", source))
    variables |= {f"CASTING_{name.upper()}" for name in Settings.model_fields}
    assert {"CASTING_LEDGER", "CASTING_MODEL", "CASTING_MAX_WAITING"} <= variables
    assert {name for name in variables if f"\n| `{name}` |" not in pages} == set()


def test_the_readme_is_short_and_so_is_what_is_written_by_hand_on_every_page():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 150
    lines = {
        path.name: len(GENERATED.sub("", path.read_text()).splitlines())
        for path in ROOT.glob("docs/*.md")
        if str(path.relative_to(ROOT)) != WRITTEN_BY_TESTS
    }
    assert {name: count for name, count in lines.items() if count > 160} == {}


def committed() -> list[Path]:
    """Files of the repository in which a path of somebody's machine could stand."""
    folders = ("benchmarks", "docs", "jobs", "models", "service", ".ci")
    files = [*ROOT.glob("*"), *(file for name in folders for file in ROOT.glob(f"{name}/**/*"))]
    return [file for file in files if file.suffix in {".md", ".toml", ".yaml", ".py"}]


def test_no_path_of_a_machine_stands_in_a_file():
    exempt = {WRITTEN_BY_TESTS} | IN_CONTAINERS
    lines = [
        f"{name}:{number}"
        for file in committed()
        if not exempt & {name := str(file.relative_to(ROOT)), *map(str, Path(name).parents)}
        for number, line in enumerate(file.read_text().splitlines(), 1)
        if OF_A_MACHINE.search(line)
    ]
    assert lines == []


@pytest.mark.parametrize(
    "text", ["--data /work/shared/casting", "sqlite:////home/me/ledger.db", "cd /root"]
)
def test_a_path_of_a_machine_is_seen(text: str):
    assert OF_A_MACHINE.search(text)


@pytest.mark.parametrize(
    "text", ["https://example.com/home/page", "--data work/castings", "/workpieces", "~/home"]
)
def test_other_paths_are_no_paths_of_a_machine(text: str):
    assert not OF_A_MACHINE.search(text)


@pytest.mark.parametrize("name", ["README.md", "Makefile", "SECURITY.md", "docs/service.md"])
def test_the_service_is_started_for_this_machine_alone(name: str):
    starts = re.findall(r"bentoml serve [^`'\n]*", (ROOT / name).read_text())
    assert starts
    assert [start for start in starts if "--host 127.0.0.1" not in start] == []
