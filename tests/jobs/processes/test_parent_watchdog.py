import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

JOB = """
import sys, time
from jobs.processes.parent_watchdog import end_with_parent
end_with_parent()
print("working", flush=True)
time.sleep(60)
"""
PARENT = """
import subprocess, sys
subprocess.run(sys.argv[1:])
"""


@pytest.mark.parametrize("shell", [[], ["bash", "-c", '"$@"; exit $?', "sh"]])
def test_a_job_ends_with_the_process_that_started_it(shell: list[str], tmp_path: Path):
    command = [*shell, sys.executable, "-c", JOB]
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, *command], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "working\n"
        *_, job = psutil.Process(parent.pid).children(recursive=True)
        parent.kill()
        parent.wait()
        deadline = time.monotonic() + 10
        while job.is_running() and job.status() != psutil.STATUS_ZOMBIE:
            assert time.monotonic() < deadline
            time.sleep(0.1)


def test_the_parents_own_parent_may_leave():
    leaves = "import subprocess, sys; subprocess.Popen(sys.argv[1:]); input()"
    command = [sys.executable, "-c", PARENT, sys.executable, "-c", JOB]
    with subprocess.Popen(
        [sys.executable, "-c", leaves, *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as login:
        assert login.stdout is not None
        assert login.stdout.readline() == "working\n"
        parent, job = psutil.Process(login.pid).children(recursive=True)
        login.kill()
        login.wait()
        time.sleep(1.5)  # three looks
        runs = job.is_running()
        parent.kill()
        psutil.wait_procs([job], timeout=10)
    assert runs
