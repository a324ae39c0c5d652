"""Labels come in: from the data set that plays the oracle, or from people by a file."""

from collections import Counter
from collections.abc import Mapping, Sequence, Set
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobs.campaign.answers import disagreements
from jobs.campaign.label_files import (
    Filled,
    counted,
    named,
    read_filled,
    told_otherwise,
    write_form,
)
from jobs.campaign.ports import ORACLE, SKIP
from jobs.campaign.state import State
from models.errors import CampaignError, DataError, listed

if TYPE_CHECKING:
    from jobs.campaign.session import Session


def ask_oracle(session: "Session") -> "Session":
    """Let the data set label what was asked for, and return where the campaign stands then.

    Where the data set calls a casting otherwise than before, that counts; what people said stays.
    """
    campaign, answers = session.campaign, session.state.answers
    truth = {c.id: c.label for c in campaign.data.castings if c.label is not None}
    news, changed = [], []
    for casting in (asked.casting for asked in session.state.asked if asked.casting in truth):
        word = answers.get(casting)
        if word is None or (word.annotator == ORACLE and word.label != truth[casting]):
            news.append((casting, truth[casting], ORACLE))
            changed += [] if word is None else [campaign.casting(casting).paths[0]]
    if changed:
        session.context.say(f"{len(changed)} castings have another label now: {listed(changed)}")
    if not news:
        return session
    session.context.ledger.record_labels(campaign.label_set, news)
    return session.reread()


def export_labels(session: "Session", file: Path) -> int:
    """Write the castings that await a label, in order of choice, and return how many."""
    campaign, waiting = session.campaign, session.state.unlabelled()
    if not waiting:
        raise CampaignError(
            f"campaign {campaign.name} awaits no labels; `run` takes its next step"
        )
    classes = _classes(session)
    _refuse_to_overwrite(file, session.state, classes)
    rows = [
        (
            asked.casting,
            campaign.data.root / campaign.casting(asked.casting).paths[0],
            asked.reason,
        )
        for asked in waiting
    ]
    write_form(file, rows, classes)
    return len(waiting)


def _classes(session: "Session") -> tuple[str, ...]:
    """What people may call a casting."""
    campaign = session.campaign
    return campaign.options.class_list or campaign.classes(session.state.labels.values())[0]


def _refuse_to_overwrite(file: Path, state: State, classes: Sequence[str]) -> None:
    """Keep a file that people have filled in."""
    if file.exists():
        known = {casting: word.label for casting, word in state.answers.items()}
        new = [row for row in read_filled(file, classes) if known.get(row.casting) != row.label]
        if new:
            raise CampaignError(
                f"{file} holds {len(new)} labels that were not imported; `label import` it first, "
                f"or name another file"
            )


def import_labels(session: "Session", file: Path) -> dict[str, Any]:
    """Take in a file of labels, whole or not at all; lines without a label are left for later.

    Returns how many labels it had, how many of them are news, how many castings were skipped, how
    many of its castings people call differently, and what was read otherwise than it was written.

    Raises:
        DataError: a line names an unknown casting or class, or contradicts another one.
    """
    campaign, classes = session.campaign, _classes(session)
    filled = read_filled(file, classes)
    known = campaign.castings.keys() | {a.casting for a in session.state.asked}
    _check(file, filled, known, classes)
    ledger = session.context.ledger
    said = [(row.casting, str(row.label), row.annotator) for row in filled]
    news = ledger.record_labels(campaign.label_set, said)
    castings = {row.casting for row in filled}
    differing = disagreements(
        w for w in ledger.labels(campaign.label_set) if w.casting in castings
    )
    notes = told_otherwise(filled) + _in_words(session, differing)
    for note in notes:
        session.context.say(note)
    skipped = sum(row.label == SKIP for row in filled)
    return {
        "labels": len(filled) - skipped,
        "news": news,
        "skipped": skipped,
        "disagreements": len(differing),
        "notes": notes,
    }


def label_status(campaign: str, state: State) -> dict[str, Any]:
    """How many castings were asked for, how many have labels, and of which class they are."""
    asked = {a.casting for a in state.asked}
    return {
        "campaign": campaign,
        "label_set": state.label_set,
        "asked": len(asked),
        "labelled": len(state.labels),
        "skipped": len(asked & state.skipped),
        "awaiting": len(state.unlabelled()),
        "disagreements": len(disagreements(word for word in state.said if word.casting in asked)),
        "labels": dict(sorted(Counter(state.labels.values()).items())),
    }


def _check(file: Path, filled: Sequence[Filled], known: Set[str], classes: Sequence[str]) -> None:
    strangers = [
        f"line {row.line}: no casting {row.casting[:12] or 'id'} in this campaign's data set"
        for row in filled
        if row.casting not in known
    ]
    nameless = [
        f"line {row.line}: no class {row.written.strip()!r}, there are {', '.join(classes)}"
        for row in filled
        if row.label is None
    ]
    oracles = [
        f"line {row.line}: annotator {ORACLE} is what the data set itself is called"
        for row in filled
        if row.annotator.casefold() == ORACLE
    ]
    faults = strangers + nameless + oracles + _contradictions(filled)
    if faults:
        grow = f"; `run --classes {','.join(classes)},NAME` adds a class" if nameless else ""
        raise DataError(f"{file}: {len(faults)} faults, nothing was taken: {listed(faults)}{grow}")


def _contradictions(filled: Sequence[Filled]) -> list[str]:
    """Lines in which one annotator calls a casting something else than in an earlier line."""
    said: dict[tuple[str, str], Filled] = {}
    faults = []
    for row in filled:
        earlier = said.setdefault((row.annotator, row.casting), row)
        if earlier.label != row.label and None not in {earlier.label, row.label}:
            faults.append(
                f"line {row.line}: {named(str(row.label))}, but {named(str(earlier.label))} "
                f"in line {earlier.line}"
            )
    return faults


def _in_words(session: "Session", differing: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Who calls which casting what, where people do not agree."""
    if not differing:
        return []
    castings, lines = session.campaign.castings, []
    for casting, by in differing.items():
        path = castings[casting].paths[0] if casting in castings else casting[:12]
        words = " and ".join(f"{named(label)} by {annotator}" for annotator, label in by.items())
        lines.append(f"{path} ({words})")
    return [
        f"{counted(len(lines), 'casting')} labelled differently: {listed(lines)}; "
        f"the latest label counts"
    ]
