"""Labels come in: from the data set that plays the oracle, or from people by a CSV file."""

from collections import Counter
from collections.abc import Mapping, Sequence, Set
from pathlib import Path
from typing import Any

import pandas as pd

from jobs.campaign.opening import Campaign
from jobs.campaign.ports import ORACLE, Context
from jobs.campaign.state import State, read_state
from jobs.datasets.manifest import Line, read_csv
from models.errors import CampaignError, DataError, listed

COLUMNS = ("casting", "path", "label", "annotator")
_NOBODY = "person"  # who labelled, where the file does not say


def ask_oracle(context: Context, campaign: Campaign, now: State) -> State:
    """Let the data set label what was asked for, and return where the campaign stands then.

    Where the data set calls a casting otherwise than before, that counts; what people said stays.
    """
    truth = {c.id: c.label for c in campaign.data.castings if c.label is not None}
    asked = [a.casting for a in now.asked if a.casting in truth]
    news = [casting for casting in asked if now.labels.get(casting) != truth[casting]]
    if news:
        by_people = context.ledger.labelled_by_people()
        news = [casting for casting in news if casting not in by_people]
    changed = [campaign.casting(casting).paths[0] for casting in news if casting in now.labels]
    if changed:
        context.say(f"{len(changed)} castings have another label now: {listed(changed)}")
    context.ledger.record_labels([(casting, truth[casting], ORACLE) for casting in news])
    return read_state(context, campaign) if news else now


def export_labels(campaign: Campaign, now: State, file: Path) -> int:
    """Write the castings that await a label, in order of choice, and return how many.

    Raises:
        CampaignError: none does, or the file holds labels that were not imported.
    """
    waiting = now.unlabelled()
    if not waiting:
        raise CampaignError(
            f"campaign {campaign.options.name} awaits no labels; `run` takes its next step"
        )
    _refuse_to_overwrite(file, now)
    rows = [
        {
            "casting": asked.casting,
            "path": str(campaign.data.root / campaign.casting(asked.casting).paths[0]),
            "label": "",
            "annotator": "",
        }
        for asked in waiting
    ]
    draft = file.with_name(f".{file.name}.draft")
    pd.DataFrame(rows, columns=list(COLUMNS)).to_csv(draft, index=False)
    draft.replace(file)
    return len(rows)


def _refuse_to_overwrite(file: Path, now: State) -> None:
    """Keep a file that people have filled in.

    Raises:
        CampaignError: it holds labels that were not imported.
    """
    if file.exists():
        new = [row for _, row in _read(file) if now.labels.get(row["casting"]) != row["label"]]
        if new:
            raise CampaignError(
                f"{file} holds {len(new)} labels that were not imported; `label import` it first, "
                f"or name another file"
            )


def import_labels(context: Context, campaign: Campaign, now: State, file: Path) -> dict[str, int]:
    """Take in a file of labels, whole or not at all; lines without a label are left for later.

    Returns:
        Lines with a label, and how many of them were news.

    Raises:
        DataError: a line names an unknown casting or class, or contradicts another one.
    """
    rows = _read(file)
    classes = campaign.options.class_list or campaign.classes(now.labels.values())[0]
    known = campaign.castings.keys() | {a.casting for a in now.asked}
    faults = [
        f"line {line}: {fault}"
        for line, row in rows
        if (fault := _fault(row, known, classes)) is not None
    ] + _contradictions(rows)
    if faults:
        raise DataError(f"{file}: {len(faults)} faults, nothing was taken: {listed(faults)}")
    said = [(row["casting"], row["label"], row["annotator"]) for _, row in rows]
    news = context.ledger.record_labels(said)
    return {"labels": len(rows), "news": news}


def label_status(campaign: Campaign, now: State) -> dict[str, Any]:
    """How many castings were asked for, how many have labels, and of which class they are."""
    return {
        "campaign": campaign.options.name,
        "asked": len(now.asked),
        "labelled": len(now.labels),
        "awaiting": len(now.unlabelled()),
        "labels": dict(sorted(Counter(now.labels.values()).items())),
    }


def _read(file: Path) -> list[Line]:
    """Lines that have a label, with their numbers.

    Raises:
        DataError: it is no such file.
    """
    lines = [
        (line, {column: row.get(column, "") for column in COLUMNS})
        for line, row in read_csv(file, ("casting", "label"))
    ]
    return [
        (line, row | {"annotator": row["annotator"] or _NOBODY})
        for line, row in lines
        if row["label"]
    ]


def _fault(row: Mapping[str, str], known: Set[str], classes: Sequence[str]) -> str | None:
    if row["casting"] not in known:
        return f"no casting {row['casting'][:12] or 'id'} in this campaign's data set"
    if row["label"] not in classes:
        return f"no class {row['label']!r}, there are {', '.join(classes)}"
    return None


def _contradictions(rows: Sequence[tuple[int, Mapping[str, str]]]) -> list[str]:
    """Lines in which one annotator calls a casting something else than in an earlier line."""
    said: dict[tuple[str, str], tuple[int, str]] = {}
    faults = []
    for line, row in rows:
        key = row["annotator"], row["casting"]
        earlier, label = said.setdefault(key, (line, row["label"]))
        if label != row["label"]:
            faults.append(f"line {line}: {row['label']}, but {label} in line {earlier}")
    return faults
