"""Where a campaign stands: derived from the ledger each time, held nowhere else."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from jobs.campaign.opening import Campaign
from jobs.campaign.ports import Asked, Context, Trained
from jobs.datasets.castings import Casting, Side
from jobs.datasets.split import part_hash

Step = Literal["ask", "label", "train", "done"]


@dataclass(frozen=True)
class State:
    """Where a campaign stands, read from the ledger.

    Attributes:
        asked: every casting it asked for, in order.
        labels: label of each of these that has one.
        trained: its finished trainings, in order.
        gone: castings it asked for that its data set no longer has.
    """

    asked: Sequence[Asked]
    labels: Mapping[str, str]
    trained: Sequence[Trained]
    gone: frozenset[str]

    def batch(self, number: int) -> list[Asked]:
        """The batch to be labelled for training `number`."""
        return [asked for asked in self.asked if asked.round == number]

    def unlabelled(self) -> list[Asked]:
        """What was asked for and awaits its label; what is gone cannot be looked at."""
        done = self.labels.keys() | self.gone
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


def read_state(context: Context, campaign: Campaign) -> State:
    """Read where the campaign stands."""
    asked = context.ledger.asked(campaign.options.name)
    labels = context.ledger.labels()
    return State(
        asked=asked,
        labels={a.casting: labels[a.casting] for a in asked if a.casting in labels},
        trained=context.ledger.rounds(campaign.options.name),
        gone=frozenset(a.casting for a in asked if a.casting not in campaign.castings),
    )


def pool(campaign: Campaign, now: State, side: Side = "train") -> list[Casting]:
    """The castings of a side that were not asked for, in order of id."""
    taken = {asked.casting for asked in now.asked}
    return [
        casting
        for casting in campaign.data.castings
        if campaign.sides[casting.id] == side and casting.id not in taken
    ]


def castings_to_test_on(campaign: Campaign, now: State) -> list[tuple[Casting, str]]:
    """The labelled castings that `test/` metrics are computed on, with their labels.

    All of the test side that is labelled, but for the half of the audit that calibrates.
    """
    elsewhere = {casting.id for casting, _ in castings_to_calibrate_on(campaign, now)}
    elsewhere |= {asked.casting for asked in now.asked if asked.use == "train"}
    labelled = ((c, now.labels.get(c.id, c.label)) for c in campaign.data.castings)
    return [
        (casting, label)
        for casting, label in labelled
        if label is not None
        and campaign.sides[casting.id] == "test"
        and casting.id not in elsewhere
    ]


def castings_to_calibrate_on(campaign: Campaign, now: State) -> list[tuple[Casting, str]]:
    """The half of the audit that sets temperature and threshold, with its labels."""
    audited = [asked.casting for asked in now.paid() if now.use(asked) == "audit"]
    return [
        (campaign.casting(casting), now.labels[casting])
        for casting in audited
        if _calibrates(campaign.casting(casting))
    ]


def _calibrates(casting: Casting) -> bool:
    """Whether an audited casting sets thresholds, rather than measure what they give."""
    return part_hash(f"audit:{casting.part_key}", seed=0) < 0.5  # noqa: PLR2004 -- half of them
