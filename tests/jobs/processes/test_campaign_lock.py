import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from jobs.processes.campaign_lock import hold_campaign
from models.errors import CampaignError

HOLDER = """
import sys, time
from jobs.processes.campaign_lock import hold_campaign
with hold_campaign(sys.argv[1], "a"):
    print("held", flush=True)
    time.sleep(60)
"""


def _url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'ledger.db'}"


def test_a_second_job_is_refused_with_the_process_id_of_the_first(tmp_path: Path):
    with (
        hold_campaign(_url(tmp_path), "a"),
        pytest.raises(CampaignError, match=rf"worked on by process {os.getpid()};"),
        hold_campaign(_url(tmp_path), "a"),
    ):
        pass


def test_jobs_of_other_campaigns_go_on(tmp_path: Path):
    with hold_campaign(_url(tmp_path), "a"), hold_campaign(_url(tmp_path), "b/../c"):
        assert len(list(tmp_path.glob("*.lock"))) == 2


def test_the_lock_dies_with_its_holder(tmp_path: Path):
    command = [sys.executable, "-c", HOLDER, _url(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with (
            pytest.raises(CampaignError, match=str(holder.pid)),
            hold_campaign(_url(tmp_path), "a"),
        ):
            pass
        holder.kill()
        holder.wait()
    with hold_campaign(_url(tmp_path), "a"):
        pass


def test_no_file_is_left_when_the_work_is_over_or_has_failed(tmp_path: Path):
    with hold_campaign(_url(tmp_path), "a"):
        pass
    with (
        pytest.raises(CampaignError, match="no such strategy"),
        hold_campaign(_url(tmp_path), "a"),
    ):
        raise CampaignError("no such strategy")
    assert list(tmp_path.iterdir()) == []


def test_of_many_jobs_that_take_turns_never_two_hold_it_at_once(tmp_path: Path):
    turns = """if True:
        import os, sys, time
        from jobs.processes.campaign_lock import hold_campaign
        from models.errors import CampaignError
        taken = 0
        while taken < 50:
            try:
                with hold_campaign(sys.argv[1], "a"):
                    os.close(os.open(sys.argv[2], os.O_CREAT | os.O_EXCL))
                    os.unlink(sys.argv[2])
                    taken += 1
            except CampaignError:
                pass
    """
    command = [sys.executable, "-c", turns, _url(tmp_path), str(tmp_path / "one at a time")]
    jobs = [subprocess.Popen(command) for _ in range(3)]
    assert [job.wait(60) for job in jobs] == [0, 0, 0]
    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder_is_an_error_and_stays_missing(tmp_path: Path):
    with (
        pytest.raises(FileNotFoundError, match="nowhere"),
        hold_campaign(_url(tmp_path / "nowhere"), "a"),
    ):
        pass
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes to every folder")
def test_a_folder_that_nobody_may_write_to_is_an_error(tmp_path: Path):
    tmp_path.chmod(0o500)
    with (
        pytest.raises(PermissionError, match=r"ledger\.db\.a\.lock"),
        hold_campaign(_url(tmp_path), "a"),
    ):
        pass


@pytest.fixture
def postgresql() -> Iterator[str]:
    """The address of a database on a server of one's own."""
    pytest.importorskip("psycopg", reason="a driver for PostgreSQL is needed")
    control = shutil.which("pg_ctl")
    if control is None:
        pytest.skip("pg_ctl of PostgreSQL is needed")
    user = "nobody" if os.geteuid() == 0 else None  # the server does not start for root
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        run = partial(subprocess.run, check=True, user=user, cwd=folder, stdout=subprocess.DEVNULL)
        run([control, "initdb", "-D", f"{folder}/data", "-o", "-A trust -U me"])
        options = f"-k {folder} -c listen_addresses=''"
        run([control, "start", "-w", "-D", f"{folder}/data", "-o", options])
        yield f"postgresql+psycopg://me@/postgres?host={folder}"
        run([control, "stop", "-m", "immediate", "-D", f"{folder}/data"])


def test_a_job_of_another_machine_is_refused_where_the_ledger_is_in_postgresql(
    postgresql: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "elsewhere").mkdir()
    with hold_campaign(postgresql, "a"):
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "elsewhere"))
        with (
            pytest.raises(CampaignError, match=rf"by castings {os.getpid()} on \S+; wait for it"),
            hold_campaign(postgresql, "a"),
        ):
            pass
        with hold_campaign(postgresql, "b"):
            pass
    with hold_campaign(postgresql, "a"):
        pass
