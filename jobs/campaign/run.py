"""A campaign from wherever it stands to its end, or until people's labels are awaited."""

import shlex
from dataclasses import replace
from typing import Any

from jobs.campaign.acquire import ask
from jobs.campaign.dry_run import in_words, understood
from jobs.campaign.label import ask_oracle
from jobs.campaign.label_files import counted
from jobs.campaign.opening import working_on
from jobs.campaign.ports import Context, Tracker, Trained
from jobs.campaign.promote import Left, offer
from jobs.campaign.session import Session
from jobs.campaign.train import train_round
from jobs.options import RunOptions
from models.errors import VersionNotFound
from models.registry.version import ALIAS


def run(context: Context, options: RunOptions) -> dict[str, Any]:
    """Begin or continue a campaign and return its result; after an error the same call goes on."""
    with working_on(context, options) as opened:
        _say_what_is_understood(opened)
        session, outcome, hint = _rounds(opened)
    return result(session, outcome, hint)


def _say_what_is_understood(session: Session) -> None:
    """Say what the data set was understood as, while something is to be trained on it."""
    campaign = session.campaign
    if len(session.state.trained) < campaign.options.rounds:
        found = understood(
            campaign.options, campaign.data, campaign.sides, campaign.channels, campaign.bits.bits
        )
        for line in in_words(campaign.data, found):
            session.context.say(line)


def _rounds(session: Session) -> tuple[Session, str, str | None]:
    """Take steps to the end: the session there, how it ended, how to promote if that is undone."""
    left: Left | None = None
    while True:
        session = ask_oracle(session)
        if session.state.trained:
            left = _offer(session, before=left)
        hint = left.command if left else None
        step = session.state.next_step(session.campaign.options.rounds)
        if step == "done":
            return session, "finished", hint
        if step == "train":
            train_round(session)
        elif step == "label":
            return session, "awaiting labels", hint
        elif not ask_by_model(session):
            if not session.changed_labels():
                return session, "finished: no castings are left to ask for", hint
            train_round(session, without_batch=True)
        session = session.with_inventory()


def _changed(session: Session) -> str | None:
    """What to do about labels that the latest round has not seen as they are now."""
    session = session.reread()
    changed, trained = session.changed_labels(), session.state.trained
    if not changed:
        return None
    return (
        f"{counted(len(changed), 'label')} changed since round {trained[-1].round}; "
        f"--rounds {len(trained) + 1} trains on them as they are now"
    )


def _offer(session: Session, before: Left | None) -> Left | None:
    """Offer the latest version, and say why it is not current; the same is said once."""
    left = offer(session, session.state.trained[-1].version)
    if left is not None and left != before:
        way_out = f"; to make it {ALIAS}: {left.command}" if left.command else ""
        session.context.say(left.reason + way_out)
    return left


def ask_by_model(session: Session) -> bool:
    """Ask for a batch as `ask`; a model that was deleted in MLflow is trained again before.

    The ledger keeps what the round was; its labels are those of now.
    """
    state, tracker = session.state, session.context.tracker
    name = session.campaign.options.model_name
    if state.trained and not _is_there(tracker, name, state.trained[-1]):
        latest = state.trained[-1]
        session.context.say(
            f"version {latest.version} of {name} or its run {latest.run_id} is no longer in "
            f"MLflow: round {latest.round} is trained again"
        )
        earlier = state.trained[:-1]
        again = train_round(replace(session, state=replace(state, trained=earlier)))
        session = replace(session, state=replace(state, trained=[*earlier, again]))
        _offer(session, before=None)
    return ask(session)


def _is_there(tracker: Tracker, name: str, trained: Trained) -> bool:
    """Whether MLflow still has a round's run, and its version under that number."""
    try:
        version = tracker.find(name, trained.version)
    except VersionNotFound:
        return False
    return version.run_id == trained.run_id and tracker.has_run(trained.run_id)


def result(session: Session, outcome: str, hint: str | None) -> dict[str, Any]:
    """What the command prints: where the campaign stands and what it found."""
    campaign, state = session.campaign, session.reread().state
    printed: dict[str, Any] = {
        "campaign": campaign.name,
        "state": outcome,
        "model": campaign.options.model_name,
        "mlflow_run": campaign.run_id,
        "awaiting": len(state.unlabelled()),
        "rounds": [
            {
                "round": trained.round,
                "labels": trained.labels_total,
                "version": trained.version,
                "run_id": trained.run_id,
                "metrics": dict(trained.metrics),
            }
            for trained in state.trained
        ],
    }
    if outcome == "awaiting labels":
        printed["next"] = [
            f"python -m jobs label {verb} labels.csv --campaign {shlex.quote(campaign.name)}"
            for verb in ("export", "import")
        ]
    if outcome.startswith("finished"):
        printed["next"] = (
            "lengthen it with a larger --rounds, or begin another with --campaign NAME"
        )
        changed = _changed(session)
        if changed is not None:
            printed["next"] = changed
            session.context.say(changed)
    if hint is not None:
        printed["promote"] = hint
    return printed
