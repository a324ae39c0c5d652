"""Labels come in: from the data set that plays the oracle, or from people by a CSV file."""

import csv
from collections import Counter
from collections.abc import Mapping, Sequence, Set
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobs.campaign.ports import ORACLE
from jobs.campaign.state import State
from jobs.datasets.manifest import Line, read_csv
from models.errors import CampaignError, DataError, listed

if TYPE_CHECKING:
    from jobs.campaign.session import Session

COLUMNS = ("casting", "path", "label", "annotator")
_NOBODY = "person"  # who labelled, where the file does not say


def ask_oracle(session: "Session") -> "Session":
    """Let the data set label what was asked for, and return where the campaign stands then.

    Where the data set calls a casting otherwise than before, that counts; what people said stays.
    """
    campaign, labels, ledger = session.campaign, session.state.labels, session.context.ledger
    truth = {c.id: c.label for c in campaign.data.castings if c.label is not None}
    asked = [a.casting for a in session.state.asked if a.casting in truth]
    news = [casting for casting in asked if labels.get(casting) != truth[casting]]
    if news:
        by_people = ledger.labelled_by_people()
        news = [casting for casting in news if casting not in by_people]
    changed = [campaign.casting(casting).paths[0] for casting in news if casting in labels]
    if changed:
        session.context.say(f"{len(changed)} castings have another label now: {listed(changed)}")
    ledger.record_labels([(casting, truth[casting], ORACLE) for casting in news])
    return session.reread() if news else session


def export_labels(session: "Session", file: Path) -> int:
    """Write the castings that await a label, in order of choice, and return how many."""
    campaign, waiting = session.campaign, session.state.unlabelled()
    if not waiting:
        raise CampaignError(
            f"campaign {campaign.name} awaits no labels; `run` takes its next step"
        )
    _refuse_to_overwrite(file, session.state)
    draft = file.with_name(f".{file.name}.draft")
    with draft.open("w", newline="", encoding="utf-8") as text:
        table = csv.writer(text, lineterminator="\n")
        table.writerow(COLUMNS)
        for asked in waiting:
            path = campaign.data.root / campaign.casting(asked.casting).paths[0]
            table.writerow((asked.casting, path, "", ""))
    draft.replace(file)
    return len(waiting)


def _refuse_to_overwrite(file: Path, state: State) -> None:
    """Keep a file that people have filled in."""
    if file.exists():
        new = [row for _, row in _read(file) if state.labels.get(row["casting"]) != row["label"]]
        if new:
            raise CampaignError(
                f"{file} holds {len(new)} labels that were not imported; `label import` it first, "
                f"or name another file"
            )


def import_labels(session: "Session", file: Path) -> dict[str, int]:
    """Take in a file of labels, whole or not at all; lines without a label are left for later.

    Raises:
        DataError: a line names an unknown casting or class, or contradicts another one.
    """
    rows = _read(file)
    campaign, state = session.campaign, session.state
    classes = campaign.options.class_list or campaign.classes(state.labels.values())[0]
    known = campaign.castings.keys() | {a.casting for a in state.asked}
    faults = [f"line {n}: {fault}" for n, row in rows if (fault := _fault(row, known, classes))]
    faults += _contradictions(rows)
    if faults:
        raise DataError(f"{file}: {len(faults)} faults, nothing was taken: {listed(faults)}")
    said = [(row["casting"], row["label"], row["annotator"]) for _, row in rows]
    news = session.context.ledger.record_labels(said)
    return {"labels": len(rows), "news": news}


def label_status(campaign: str, state: State) -> dict[str, Any]:
    """How many castings were asked for, how many have labels, and of which class they are."""
    return {
        "campaign": campaign,
        "asked": len(state.asked),
        "labelled": len(state.labels),
        "awaiting": len(state.unlabelled()),
        "labels": dict(sorted(Counter(state.labels.values()).items())),
    }


def _read(file: Path) -> list[Line]:
    """Lines that have a label, with their numbers."""
    lines = [(line, row) for line, row in read_csv(file, ("casting", "label")) if row["label"]]
    return [(line, row | {"annotator": row.get("annotator") or _NOBODY}) for line, row in lines]


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
