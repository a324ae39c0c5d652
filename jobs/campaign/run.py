"""A campaign from wherever it stands to its end, or until people's labels are awaited."""

from typing import Any

from jobs.campaign.acquire import ask
from jobs.campaign.label import ask_oracle
from jobs.campaign.opening import Campaign, refresh, worked_on
from jobs.campaign.ports import Context
from jobs.campaign.promote import offer
from jobs.campaign.state import read_state
from jobs.campaign.train import train_round
from jobs.options import RunOptions


def run(context: Context, options: RunOptions) -> dict[str, Any]:
    """Begin or continue a campaign and return its result.

    Raises:
        CastingError: it cannot go on; what is recorded stays, and the same call continues.
    """
    with worked_on(context, options) as opened:
        campaign, state, hint = _rounds(context, opened)
    return result(context, campaign, state, hint)


def _rounds(context: Context, campaign: Campaign) -> tuple[Campaign, str, str | None]:
    """Take steps until there is none left.

    Returns:
        The campaign as it was last seen, its state, and how to promote if that was not done.
    """
    hint = None
    while True:
        now = ask_oracle(context, campaign, read_state(context, campaign))
        if now.trained:
            latest = now.trained[-1]
            hint = offer(context, campaign, latest.version)
        step = now.next_step(campaign.options.rounds)
        if step == "done":
            return campaign, "finished", hint
        if step == "train":
            train_round(context, campaign, now)
        elif step == "label":
            return campaign, "awaiting labels", hint
        elif not ask(context, campaign, now):
            return campaign, "finished: no castings are left to ask for", hint
        campaign = refresh(context, campaign)


def result(context: Context, campaign: Campaign, state: str, hint: str | None) -> dict[str, Any]:
    """What the command prints: where the campaign stands and what it found."""
    now = read_state(context, campaign)
    found: dict[str, Any] = {
        "campaign": campaign.options.name,
        "state": state,
        "model": campaign.options.model_name,
        "mlflow_run": campaign.run_id,
        "awaiting": len(now.unlabelled()),
        "rounds": [
            {
                "round": trained.round,
                "labels": trained.labels_total,
                "version": trained.version,
                "run_id": trained.run_id,
                "metrics": dict(trained.metrics),
            }
            for trained in now.trained
        ],
    }
    if state.startswith("finished"):
        found["next"] = "lengthen it with a larger --rounds, or begin another with --campaign NAME"
    if hint is not None:
        found["promote"] = hint
    return found
