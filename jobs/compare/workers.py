"""Worker processes that run whole campaigns, a few at a time.

A process has one torch thread and runs some campaigns in turn: nothing is shared but the ledger,
the tracking server and one scoring service. The campaigns' locks make a second start harmless.
"""

import json
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
_TOGETHER = 8  # campaigns of a process: importing torch and MLflow costs as much as some rounds
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


Attempt = tuple[RunOptions, int]
"""A campaign, and how often it has been tried with this time."""


@dataclass
class _Worker:
    """A process that runs campaigns in turn, and what it has yet to end."""

    left: list[Attempt]
    process: subprocess.Popen[bytes]
    log: IO[str]
    done: IO[str]  # a line for each campaign that has ended

    def news(self) -> list[Attempt]:
        """The campaigns that have ended well since the last look."""
        count = len(self.done.read().splitlines())
        ended, self.left = self.left[:count], self.left[count:]
        return ended

    def last_words(self) -> str:
        """Why it ended; it is cleared away."""
        self.log.seek(0)
        tail = self.log.read()[-_TAIL:].strip()
        _stop([self])
        return f"exit code {self.process.returncode}: {tail}"


@dataclass(frozen=True)
class Workers:
    """A pool of worker processes."""

    count: int  # at a time
    say: Callable[[str], None]
    local_service: "Callable[[str, Mapping[str, str]], AbstractContextManager[LocalService]]"
    environment: Mapping[str, str]  # of campaigns and service
    command: tuple[str, ...] = (sys.executable, "-m", "jobs.commands.worker")

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
            running: list[_Worker] = []
            stack.callback(lambda: _stop(running))
            while waiting or running:
                while waiting and len(running) < self.count:
                    together = max(1, min(_TOGETHER, len(waiting) // self.count))
                    taken, waiting = waiting[:together], waiting[together:]
                    running.append(_start(self.command, taken, self.environment))
                time.sleep(_LOOK)
                if service is not None:
                    service.revive()
                for worker in list(running):
                    exited = worker.process.poll() is not None  # before what it has told is read
                    yield from (Ended(options, None) for options, _ in worker.news())
                    if exited:
                        running.remove(worker)
                        again, failed = self._after(worker)
                        waiting += again
                        yield from failed
                yield None

    def _after(self, worker: _Worker) -> tuple[list[Attempt], list[Ended]]:
        """What a worker that has ended leaves: campaigns to be tried again, and one given up."""
        error = worker.last_words()
        if not worker.left:
            return [], []
        (options, attempt), *others = worker.left
        if attempt >= _TRIES:
            return others, [Ended(options, error)]
        self.say(f"{options.name} failed, to be tried again: {error}")
        return [*others, (options, attempt + 1)], []

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


def _start(
    command: Sequence[str], campaigns: list[Attempt], environment: Mapping[str, str]
) -> _Worker:
    """Start a process for campaigns; it ends when this one does."""
    kept = {k: v for k, v in environment.items() if k not in _OF_THE_OWNER}
    options = json.dumps([asdict(campaign) for campaign, _ in campaigns])
    log = tempfile.TemporaryFile("w+")  # noqa: SIM115 -- they live as long as the worker
    done = tempfile.NamedTemporaryFile("w+")  # noqa: SIM115
    whole = [*command, options, done.name]
    return _Worker(campaigns, start_child(whole, {"OMP_NUM_THREADS": "1", **kept}, log), log, done)


def _stop(workers: Sequence[_Worker]) -> None:
    end_children(*(worker.process for worker in workers))
    for worker in workers:
        worker.log.close()
        worker.done.close()
