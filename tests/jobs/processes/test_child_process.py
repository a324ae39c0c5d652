"""Child processes whose owner ends them, or is killed."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from jobs.processes.child_process import end_children, start_child
from tests.processes import eventually, runs

# Says its number and its child's, and sleeps; with an argument it does not listen to SIGTERM.
STUBBORN = """
import os, signal, subprocess, sys, time
if sys.argv[1:]:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen(
    [sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True
)
print(os.getpid(), child.pid, flush=True)
time.sleep(60)
"""

# Has a child process, and sleeps.
OWNER = """
import os, sys, time
from jobs.processes.child_process import start_child
with open(sys.argv[1], "w") as log:
    print(start_child(sys.argv[2:], os.environ, log).pid, flush=True)
time.sleep(60)
"""


def stubborn(*argument: str) -> list[str]:
    return [sys.executable, "-c", STUBBORN, *argument]


def family(log: Path) -> list[int]:
    """The processes of which a log tells, once it does."""
    assert eventually(lambda: log.exists() and log.read_text().endswith("\n"))
    return [int(pid) for pid in log.read_text().split()]


@pytest.mark.parametrize("end", ["", "sys.exit(3)", "os.kill(os.getpid(), 15)"])
def test_its_end_is_told_as_a_shell_tells_it(tmp_path: Path, end: str):
    with (tmp_path / "log").open("w") as log:
        child = start_child([sys.executable, "-c", f"import os, sys; {end}"], os.environ, log)
    assert child.wait(30) == {"": 0, "sys.exit(3)": 3}.get(end, 128 + signal.SIGTERM)
    end_children(child)


def test_it_hears_nothing_and_says_all_to_the_log(tmp_path: Path):
    code = "import sys; print(repr(sys.stdin.read())); print(2, file=sys.stderr)"
    with (tmp_path / "log").open("w") as log:
        child = start_child([sys.executable, "-u", "-c", code], {}, log)
    child.wait(30)
    assert (tmp_path / "log").read_text() == "''\n2\n"
    end_children(child)


def test_it_can_import_this_project_and_what_was_there_before(tmp_path: Path):
    (tmp_path / "theirs.py").touch()
    with (tmp_path / "log").open("w") as log:
        environment = {"PYTHONPATH": str(tmp_path)}
        child = start_child([sys.executable, "-c", "import models, theirs"], environment, log)
    assert child.wait(30) == 0, (tmp_path / "log").read_text()
    end_children(child)


def test_it_ends_with_all_that_it_started(tmp_path: Path):
    logs = [tmp_path / "0", tmp_path / "1"]
    children = []
    for path in logs:
        with path.open("w") as log:
            children.append(start_child(stubborn(), os.environ, log))
    processes = [process for path in logs for process in family(path)]
    end_children(*children)
    assert eventually(lambda: not any(map(runs, processes)))
    end_children(*children)  # once more does no harm


def test_one_that_does_not_listen_is_made_to(tmp_path: Path):
    quick = """if True:
        import sys
        from jobs.processes import child_process
        child_process.GRACE = 0.1
        sys.exit(child_process._main(sys.argv[1:]))
    """
    path = tmp_path / "log"
    with path.open("w") as log:
        child = subprocess.Popen(
            [sys.executable, "-c", quick, *stubborn("deaf")],
            stdin=subprocess.PIPE, stdout=log,
        )  # fmt: skip
    processes = family(path)
    end_children(child)
    assert child.returncode == 128 + signal.SIGKILL
    assert eventually(lambda: not any(map(runs, processes)))


def test_it_ends_when_its_owner_is_killed(tmp_path: Path):
    path = tmp_path / "log"
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(path), *stubborn()], stdout=subprocess.PIPE
    )
    processes = family(path)
    assert owner.stdout is not None
    processes.append(int(owner.stdout.readline()))
    owner.kill()
    owner.communicate()
    assert eventually(lambda: not any(map(runs, processes)))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells of it")
def test_a_supervisor_that_is_killed_takes_the_command_along(tmp_path: Path):
    path = tmp_path / "log"
    with path.open("w") as log:
        supervisor = start_child(stubborn(), os.environ, log)
    command, grandchild = family(path)
    supervisor.kill()
    end_children(supervisor)
    assert eventually(lambda: not runs(command))
    os.kill(grandchild, signal.SIGKILL)  # which is not its own


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_to_the_supervisor_ends_it_too(tmp_path: Path, number: int):
    path = tmp_path / "log"
    with path.open("w") as log:
        child = start_child(stubborn(), os.environ, log)
    processes = family(path)
    child.send_signal(number)
    assert child.wait(30) == 128 + signal.SIGTERM
    assert eventually(lambda: not any(map(runs, processes)))
    end_children(child)


def test_what_it_leaves_behind_at_its_own_end_ends_too(tmp_path: Path):
    path = tmp_path / "log"
    code = """if True:
        import subprocess, sys
        sleep = [sys.executable, "-c", "import time; time.sleep(60)"]
        print(subprocess.Popen(sleep, start_new_session=True).pid, flush=True)
    """
    with path.open("w") as log:
        child = start_child([sys.executable, "-c", code], os.environ, log)
    (grandchild,) = family(path)
    assert child.wait(30) == 0
    assert eventually(lambda: not runs(grandchild))
    end_children(child)
