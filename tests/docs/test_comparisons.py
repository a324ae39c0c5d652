"""What writes the docs, on comparisons that nobody had to train."""

import importlib.util
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest
from mlflow import MlflowClient

from jobs import progress
from jobs.adapters.ledger import Ledger
from jobs.adapters.mlflow_tracking import MlflowTracker
from jobs.campaign.ports import Context
from jobs.compare.compare import compare
from jobs.compare.options import CompareOptions
from jobs.options import RunOptions
from models.embeddings import EmbeddingStore
from models.errors import ServiceError
from tests.jobs.comparisons import pretend
from tests.jobs.fakes import write_castings

ROOT = Path(__file__).resolve().parent.parent.parent
PNG = b"\x89PNG"


@pytest.fixture
def docs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """`docs/comparisons.py`, writing into a folder of the test's."""
    spec = importlib.util.spec_from_file_location("comparisons", ROOT / "docs" / "comparisons.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "FIGURES", tmp_path / "docs" / "figures")
    monkeypatch.setattr(module, "PAGE", tmp_path / "docs" / "strategies.md")
    (tmp_path / "docs").mkdir()
    monkeypatch.setenv("CASTING_LEDGER", f"sqlite:///{tmp_path / 'ledger.db'}")
    return module


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    yield opened
    opened.close()


def one_of(options: CompareOptions, strategy: str, seed: int) -> RunOptions:
    return next(c for c in replace(options, seeds=str(seed)).campaigns() if c.strategy == strategy)


def finished(ledger: Ledger, data: str) -> CompareOptions:
    options = CompareOptions(seeds="0-2", campaign=replace(CompareOptions().campaign, data=data))
    for one in options.campaigns():
        pretend(ledger, one, one.rounds)
    return options


def test_a_section_is_written_and_written_anew(
    docs: ModuleType, ledger: Ledger, tracking_store: MlflowClient, tmp_path: Path
):
    def no_service(_: object) -> None:
        raise ServiceError("nobody asks it")

    options = finished(ledger, str(tmp_path / "castings"))
    tracker, kept = MlflowTracker(tracking_store), EmbeddingStore(tmp_path / "embeddings")
    context = Context(ledger, tracker, no_service, kept, progress.silent, print)  # type: ignore[arg-type]
    compare(context, options, lambda _: iter(()))  # type: ignore[arg-type, return-value]
    docs.PAGE.write_text("# Strategies\n")
    docs.section("compare-castings", "Castings by part")
    first = docs.PAGE.read_text()
    assert first.startswith("# Strategies\n\n<!-- compare-castings -->\n## Castings by part\n")
    assert "![compare-castings](figures/compare-castings.png)" in first
    assert "**not enough seeds to claim: 3 of 10.**" in first
    anywhere = options.command().replace(str(tmp_path / "castings"), "castings")
    assert f"Made by `{anywhere}` on" in first
    assert str(tmp_path) not in first
    assert (docs.FIGURES / "compare-castings.png").read_bytes().startswith(PNG)
    docs.PAGE.write_text(first + "\nThe end.\n")
    docs.section("compare-castings", "Castings by part")
    assert docs.PAGE.read_text() == first + "\nThe end.\n"
    with pytest.raises(SystemExit, match="no finished comparison nope"):
        docs.section("nope")


@pytest.mark.parametrize(
    ("recorded", "portable"),
    [
        (
            "--data /data/public/casting/manifest.csv --seeds 0-9",
            "--data casting/manifest.csv --seeds 0-9",
        ),
        ("--data /data/public/casting", "--data casting"),
        ("--data made/manifest.csv", "--data made/manifest.csv"),
        ("--data '/my data/shots'", "--data shots"),
        ("--classes 'ok,def a' --data synthetic", "--classes 'ok,def a' --data synthetic"),
    ],
)
def test_a_command_names_its_data_without_the_folders_of_a_machine(
    docs: ModuleType, recorded: str, portable: str
):
    command = "python -m jobs compare "
    assert docs.portable(command + recorded) == command + portable


def test_two_splits_stand_side_by_side_with_the_leak_counted(
    docs: ModuleType, ledger: Ledger, tmp_path: Path
):
    folder = tmp_path / "castings"
    write_castings(folder / "train", {"ok": 4, "def": 4})
    write_castings(folder / "test", {"ok": 3, "def": 3}, start=10)
    rows = [
        {"path": str(p.relative_to(folder)), "label": p.parent.name, "part": str(int(p.stem) % 10)}
        for p in sorted(folder.rglob("*.png"))
    ]
    rows[0]["part"] = "alone"  # a test casting; the other five show parts of train
    manifest = folder / "manifest.csv"
    pd.DataFrame(rows).to_csv(manifest, index=False)
    assert docs.leak(ledger, str(manifest), str(folder)) == (
        "WARNING: 5 of 6 test images show a photograph that is in train too"
    )
    finished(ledger, str(manifest))
    finished(ledger, str(folder))
    docs.splits("splits.png", "compare-castings-manifest", "compare-castings")
    assert (docs.FIGURES / "splits.png").read_bytes().startswith(PNG)
    with pytest.raises(SystemExit, match="no campaigns of a comparison nope"):
        docs.splits("splits.png", "nope", "compare-castings")


def test_curves_are_of_campaigns_that_are_finished_and_paired(docs: ModuleType, ledger: Ledger):
    options = finished(ledger, "tiles")
    pretend(ledger, one_of(options, "bald", 7), options.campaign.rounds)  # random has no seed 7
    curves, _ = docs.curves_of(ledger, "compare-tiles", "test/accuracy")
    assert list(curves.by_strategy) == ["random", "bald"]
    assert len(curves.by_strategy["random"]) == 3
    pretend(ledger, one_of(options, "random", 8), 1)
    with pytest.raises(SystemExit, match="compare-tiles-random-8 is not finished"):
        docs.curves_of(ledger, "compare-tiles", "test/accuracy")
