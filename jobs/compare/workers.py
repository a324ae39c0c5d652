"""Worker processes that run whole campaigns, a few at a time.

Each campaign is a process of its own with one torch thread: nothing is shared but the ledger, the
tracking server and one scoring service. The campaigns' locks make a second start harmless.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import asdict, dataclass, replace
from typing import IO, TYPE_CHECKING

from jobs.campaign.rank import asks_the_service
from jobs.options import RunOptions
from jobs.processes.child_process import end_children, start_child
from models.acquisition.strategies.table import find_strategy

if TYPE_CHECKING:
    from jobs.processes.local_service import LocalService

_LOOK = 0.5  # seconds between two looks at the workers
_TAIL = 2000  # characters of a failed worker's log that are told
_TRIES = 2  # a lock that a killed worker still held, a busy database: the second time it works
_OF_THE_OWNER = ("MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_ID", "MLFLOW_EXPERIMENT_NAME")


@dataclass(frozen=True)
class Ended:
    """A campaign whose worker has ended; `error` is the tail of its log if it failed."""

    options: RunOptions
    error: str | None


RunAll = Callable[[Sequence[RunOptions]], Generator[Ended | None]]
"""Runs campaigns, and yields each when it has ended, None while nothing has."""


@dataclass(frozen=True)
class _Worker:
    options: RunOptions
    process: subprocess.Popen[bytes]
    log: IO[str]

    def ended(self) -> Ended:
        self.log.seek(0)
        tail = self.log.read()[-_TAIL:].strip()
        _stop([self])
        code = self.process.returncode
        return Ended(self.options, None if code == 0 else f"exit code {code}: {tail}")


@dataclass(frozen=True)
class Workers:
    """A pool of worker processes."""

    count: int  # at a time
    say: Callable[[str], None]
    local_service: "Callable[[str, Mapping[str, str]], AbstractContextManager[LocalService]]"
    environment: Mapping[str, str]  # of campaigns and service
    command: tuple[str, ...] = (sys.executable, "-m", "jobs", "run")  # takes options

    def __call__(self, campaigns: Sequence[RunOptions]) -> Generator[Ended | None]:
        """Run campaigns in order, as `RunAll` says.

        One that fails is tried again after the others. When the iterator is closed, or this
        process dies, the workers are stopped.

        Raises:
            ServiceError: the scoring service that they need does not come up.
        """
        with ExitStack() as stack:
            service = self._service(campaigns, stack)
            url = campaigns[0].service_url if service is None else service.url
            waiting = [(replace(c, service_url=url), 1) for c in campaigns]
            running: list[tuple[_Worker, int]] = []
            stack.callback(lambda: _stop([worker for worker, _ in running]))
            while waiting or running:
                while waiting and len(running) < self.count:
                    options, attempt = waiting.pop(0)
                    running.append((_start(self.command, options, self.environment), attempt))
                time.sleep(_LOOK)
                if service is not None:
                    service.revive()
                for worker, attempt in [w for w in running if w[0].process.poll() is not None]:
                    running.remove((worker, attempt))
                    ended = worker.ended()
                    if ended.error is not None and attempt < _TRIES:
                        self.say(f"{ended.options.name} failed, to be tried again: {ended.error}")
                        waiting.append((ended.options, attempt + 1))
                    else:
                        yield ended
                yield None

    def _service(self, campaigns: Sequence[RunOptions], stack: ExitStack) -> "LocalService | None":
        """The one service that all share; none is started where nobody asks it."""
        first, strategies = campaigns[0], (find_strategy(c.strategy) for c in campaigns)
        if first.service_url != "auto" or not any(map(asks_the_service, strategies)):
            return None
        environment = {"OMP_NUM_THREADS": "1", **self.environment}
        pinned = environment.get("CASTING_PINNED") or "0"
        if pinned.isdecimal():  # what is none the service refuses
            environment["CASTING_PINNED"] = str(max(int(pinned), self.count + 1))
        self.say("starting a scoring service for all campaigns")
        return stack.enter_context(self.local_service(first.model_name, environment))


def _start(command: Sequence[str], options: RunOptions, environment: Mapping[str, str]) -> _Worker:
    """Start a campaign's process; it ends when this one does."""
    kept = {k: v for k, v in environment.items() if k not in _OF_THE_OWNER}
    flags = [f"--{k.replace('_', '-')}={v}" for k, v in asdict(options).items()]
    log = tempfile.TemporaryFile("w+")  # noqa: SIM115 -- it lives as long as the worker
    child = start_child([*command, *flags], {"OMP_NUM_THREADS": "1", **kept}, log)
    return _Worker(options, child, log)


def _stop(workers: Sequence[_Worker]) -> None:
    end_children(*(worker.process for worker in workers))
    for worker in workers:
        worker.log.close()
