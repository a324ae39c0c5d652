"""Workers that are small programs; `tests/test_compare_end_to_end.py` has real ones."""

import os
import sys
import time
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import pytest

from jobs.compare import workers as workers_module
from jobs.compare.workers import Workers
from jobs.options import RunOptions
from jobs.processes.local_service import LocalService

# notes the start of each campaign, fails or sleeps as its seed says
WORKER = """
import json, os, sys, time
from pathlib import Path
for flags in json.loads(sys.argv[1]):
    seed, folder = flags["seed"], Path(flags["data"])
    note = folder / f"{seed}-{os.getpid()}"
    note.write_text(" ".join(k for k in ("MLFLOW_RUN_ID", "OMP_NUM_THREADS") if k in os.environ))
    if seed == 1 or (seed == 2 and len(list(folder.glob("2-*"))) == 1):
        sys.exit("bad luck")
    if seed == 9:
        time.sleep(60)
    with open(sys.argv[2], "a") as done:
        done.write(f"{seed}\\n")
"""


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers_module, "_LOOK", 0.02)


def campaigns(folder: Path, *seeds: int) -> list[RunOptions]:
    return [replace(RunOptions(data=str(folder), strategy="random"), seed=s) for s in seeds]


def no_service(*_: object) -> AbstractContextManager[LocalService]:
    raise AssertionError("nobody asks it")


def workers(said: list[str], count: int = 2) -> Workers:
    return Workers(count, said.append, no_service, os.environ, (sys.executable, "-c", WORKER))


def started(folder: Path, seed: int) -> list[int]:
    return [int(note.name.partition("-")[2]) for note in folder.glob(f"{seed}-*")]


def alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def test_one_that_fails_is_tried_again_and_then_told(quick: None, tmp_path: Path):
    said: list[str] = []
    ended = [e for e in workers(said)(campaigns(tmp_path, 0, 1, 2, 3)) if e is not None]
    assert {e.options.seed: e.error for e in ended} == {
        0: None,
        1: "exit code 1: bad luck",
        2: None,
        3: None,
    }
    assert {s: len(started(tmp_path, s)) for s in range(4)} == {0: 1, 1: 2, 2: 2, 3: 1}
    assert sum("failed, to be tried again: exit code 1: bad luck" in line for line in said) == 2


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_process_runs_several_and_loses_none_when_one_of_them_fails(
    quick: None, tmp_path: Path, count: int
):
    asked = campaigns(tmp_path, 3, 4, 1, 5, 2, 6, 7, 8)
    ended = [e for e in workers([], count)(asked) if e is not None]
    assert sorted(e.options.seed for e in ended) == [1, 2, 3, 4, 5, 6, 7, 8]
    assert [e.options.seed for e in ended if e.error is not None] == [1]
    assert {s: len(started(tmp_path, s)) for s in range(1, 9)} == {
        1: 2, 2: 2, 3: 1, 4: 1, 5: 1, 6: 1, 7: 1, 8: 1,
    }  # fmt: skip
    if count == 1:
        assert started(tmp_path, 3) == started(tmp_path, 4)


def test_workers_have_one_thread_and_not_the_run_that_was_handed_to_their_owner(
    quick: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("MLFLOW_RUN_ID", "abc")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    list(workers([])(campaigns(tmp_path, 0)))
    assert next(tmp_path.glob("0-*")).read_text() == "OMP_NUM_THREADS"
    assert os.environ["MLFLOW_RUN_ID"] == "abc"


def test_no_more_than_so_many_run_at_a_time_and_closing_ends_them(quick: None, tmp_path: Path):
    events = workers([])(campaigns(tmp_path, 9, 9, 9))
    deadline = time.monotonic() + 20
    while len(started(tmp_path, 9)) < 2 and time.monotonic() < deadline:
        next(events)
    events.close()
    pids = started(tmp_path, 9)
    assert len(pids) == 2
    assert not any(alive(pid) for pid in pids)


def test_a_given_service_is_handed_on(quick: None, tmp_path: Path):
    asked = [replace(c, strategy="bald", service_url="http://x") for c in campaigns(tmp_path, 0)]
    ended = [e for e in workers([])(asked) if e is not None]
    assert ended[0].options.service_url == "http://x"
