"""Where a campaign stands: derived from the ledger each time, held nowhere else."""

import hashlib
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from jobs.campaign.answers import standing
from jobs.campaign.ports import SKIP, Asked, Ledger, Said, Trained
from jobs.options import SYNTHETIC, RunOptions
from models.errors import CampaignError, did_you_mean

Step = Literal["ask", "label", "train", "done"]


@dataclass(frozen=True)
class State:
    """Where a campaign stands, read from the ledger."""

    asked: Sequence[Asked]  # every casting it asked for, in order
    label_set: str  # the question that its labels answer
    said: Sequence[Said]  # everything that was ever said in its label set, in order
    trained: Sequence[Trained]  # its finished trainings, in order
    gone: frozenset[str]  # castings it asked for that its data set no longer has

    @cached_property
    def answers(self) -> Mapping[str, Said]:
        """The word that counts on each casting of the label set, whoever asked."""
        return standing(self.said)

    @cached_property
    def labels(self) -> Mapping[str, str]:
        """The label of each casting asked for that has one."""
        labelled = {c: word.label for c, word in self.answers.items() if word.label != SKIP}
        return {a.casting: labelled[a.casting] for a in self.asked if a.casting in labelled}

    @cached_property
    def skipped(self) -> frozenset[str]:
        """The castings of the label set of which a person said that they cannot tell."""
        return frozenset(c for c, word in self.answers.items() if word.label == SKIP)

    def batch(self, number: int) -> list[Asked]:
        """The batch to be labelled for training `number`."""
        return [asked for asked in self.asked if asked.round == number]

    def unlabelled(self) -> list[Asked]:
        """What was asked for and awaits an answer; what is gone cannot be looked at."""
        done = self.labels.keys() | self.gone | self.skipped
        return [asked for asked in self.asked if asked.casting not in done]

    def paid(self) -> list[Asked]:
        """What was asked for and has its label."""
        return [asked for asked in self.asked if asked.casting in self.labels]

    def use(self, asked: Asked) -> str:
        """What the label of a casting is used for: train or audit, or nothing when it is gone."""
        return "gone" if asked.casting in self.gone else asked.use

    def trained_on(self) -> list[Asked]:
        """What the next training learns from: what is paid, no audit, and still there."""
        return [asked for asked in self.paid() if self.use(asked) == "train"]

    def next_step(self, rounds: int) -> Step:
        """What the campaign has to do next."""
        number = len(self.trained)
        if number >= rounds:
            return "done"
        if not self.batch(number):
            return "ask"
        return "label" if self.unlabelled() else "train"


def read_state(ledger: Ledger, campaign: str, label_set: str, present: Container[str]) -> State:
    """Read where a campaign stands whose data set has the castings `present`."""
    asked = ledger.asked(campaign)
    return State(
        asked=asked,
        label_set=label_set,
        said=ledger.labels(label_set),
        trained=ledger.rounds(campaign),
        gone=frozenset(a.casting for a in asked if a.casting not in present),
    )


def state_without_images(ledger: Ledger, options: RunOptions) -> State | None:
    """Where a campaign stands, if that can be told without reading its data set.

    None where a casting that awaits its label does not lie where it was last seen: it was moved or
    is gone, and only the data set tells which.
    """
    row = ledger.campaign(options.name)
    asked = {a.casting for a in ledger.asked(options.name)}
    state = read_state(ledger, options.name, row.label_set if row else "", asked)
    waiting = state.unlabelled()
    if not waiting:
        return state
    source, seen = Path(options.source), ledger.seen(options.source)
    root = source.parent if source.is_file() else source
    in_place = options.data != SYNTHETIC and all(
        a.casting in seen and _holds(root / seen[a.casting].path, a.casting) for a in waiting
    )
    return state if in_place else None


def _holds(file: Path, casting: str) -> bool:
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest() == casting
    except OSError:
        return False


def recorded_options(ledger: Ledger, name: str, service_url: str = "auto") -> RunOptions:
    """The options of a campaign in the ledger; `auto`: the only one, or only unfinished one.

    Raises:
        CampaignError: there is none of that name, or not exactly one that is unfinished.
    """
    rows = ledger.campaigns()
    known = ", ".join(row.name for row in rows) or "none"
    if name == "auto":
        unfinished = [r for r in rows if len(ledger.rounds(r.name)) < r.rounds]
        rows = rows if len(rows) == 1 else unfinished
        if len(rows) != 1:
            raise CampaignError(
                f"{len(rows)} unfinished campaigns in the ledger, which has: {known}; "
                f"say which with --campaign, or begin one with `run`"
            )
    else:
        rows = [row for row in rows if row.name == name]
        if not rows:
            meant = did_you_mean(name, known.split(", "))
            raise CampaignError(f"no campaign {name} in the ledger{meant}; there are: {known}")
    row = rows[0]
    options = {**row.options, "data": ledger.located(str(row.options["data"]))}
    return RunOptions.recorded(row.name, options, row.rounds, service_url)
