"""Campaigns of seconds."""

from dataclasses import replace
from pathlib import Path

from jobs.campaign.answers import standing
from jobs.campaign.ports import Context
from jobs.options import RunOptions


def small(data: Path, **changes: object) -> RunOptions:
    """A campaign of seconds: three rounds at 32 px, a few steps each."""
    base = RunOptions(
        data=str(data), rounds=3, batch=5, initial=10, passes=8, steps=3, image_size=32
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def labels_of(context: Context) -> dict[str, str]:
    """What counts in the label set of the ledger's first campaign."""
    said = context.ledger.labels(context.ledger.campaigns()[0].label_set)
    return {casting: word.label for casting, word in standing(said).items()}
