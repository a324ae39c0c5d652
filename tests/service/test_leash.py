import os
import subprocess
import sys

import pytest

from service.leash import Process


@pytest.fixture
def child():
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield process
    process.kill()
    process.communicate()


def test_this_process_is_alive():
    assert Process.find(os.getpid()).alive


def test_a_zombie_is_not(child):
    watched = Process.find(child.pid)
    assert watched.alive
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # dead, but not reaped yet
    assert not watched.alive
    child.wait()
    assert not watched.alive


def test_a_later_process_of_the_same_number_is_another():
    assert not Process(os.getpid(), started="1").alive


def test_a_number_that_nobody_has_is_not_alive():
    assert not Process.find(2**22 + 1).alive
