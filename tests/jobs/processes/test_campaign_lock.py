import os
import subprocess
import sys
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
