import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

JOB = """
import sys, time
from jobs.processes.parent_watchdog import end_with_starter
end_with_starter()
print("working", flush=True)
time.sleep(60)
"""
STARTER = """
import subprocess, sys
subprocess.run(sys.argv[1:])
"""


@pytest.mark.parametrize("shell", [[], ["bash", "-c", '"$@"; exit $?', "sh"]])
def test_a_job_ends_with_the_process_that_started_it(shell: list[str], tmp_path: Path):
    command = [*shell, sys.executable, "-c", JOB]
    with subprocess.Popen(
        [sys.executable, "-c", STARTER, *command], stdout=subprocess.PIPE, text=True
    ) as starter:
        assert starter.stdout is not None
        assert starter.stdout.readline() == "working\n"
        *_, job = psutil.Process(starter.pid).children(recursive=True)
        starter.kill()
        starter.wait()
        deadline = time.monotonic() + 10
        while job.is_running() and job.status() != psutil.STATUS_ZOMBIE:
            assert time.monotonic() < deadline
            time.sleep(0.1)


def test_who_started_the_starter_may_leave():
    leaves = "import subprocess, sys; subprocess.Popen(sys.argv[1:]); input()"
    command = [sys.executable, "-c", STARTER, sys.executable, "-c", JOB]
    with subprocess.Popen(
        [sys.executable, "-c", leaves, *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as login:
        assert login.stdout is not None
        assert login.stdout.readline() == "working\n"
        starter, job = psutil.Process(login.pid).children(recursive=True)
        login.kill()
        login.wait()
        time.sleep(1.5)  # three looks
        runs = job.is_running()
        starter.kill()
        psutil.wait_procs([job], timeout=10)
    assert runs
