"""Beginning a campaign, or finding the one of that name again."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

from jobs.campaign.moved import follow_data
from jobs.campaign.ports import CampaignRow, Context
from jobs.campaign.session import Campaign, Session
from jobs.datasets.inventory import take_inventory
from jobs.datasets.reader import count_channels
from jobs.options import RunOptions
from models.acquisition.strategies.table import STRATEGIES, find_strategy
from models.acquisition.strategy import Strategy, starts_cold
from models.errors import CampaignError, DataError
from models.network.start import check_weights


def look_up(context: Context, options: RunOptions) -> Campaign:
    """Read a campaign's data set and place its castings; nothing is begun.

    Raises:
        CampaignError: there is one of that name with other options.
        DataError: its data set or an option is not usable.
    """
    recorded = context.ledger.campaign(options.name)
    if recorded is not None:
        options.check_same({**recorded.options, "data": options.source})
        follow_data(context, options, str(recorded.options["data"]))
    strategy, cold_start = find_strategy(options.strategy), _cold_start(options.cold_start)
    data, sides = take_inventory(context.ledger, options, context.progress, context.say)
    channels = recorded.channels if recorded else count_channels(data)
    run_id = (recorded.run_id if recorded else None) or ""
    campaign = Campaign(options, strategy, cold_start, data, sides, channels, run_id)
    campaign.classes(())  # options that cannot be met fail here
    if recorded is None:
        check_weights(options.weights, options.backbone)
        count = Counter(sides.values())
        audit = min(options.audited(options.initial), count["test"])
        check_initial(options, count["train"], audit)
    return campaign


def check_initial(options: RunOptions, train: int, audit: int) -> int:
    """How many castings of the first batch are trained on; CampaignError if there are fewer."""
    wanted = options.initial - audit
    if train < wanted:
        raise CampaignError(
            f"--initial {options.initial} wants {wanted} castings to train on, only {train} of "
            f"the train side are unlabelled; give a smaller --initial"
        )
    return wanted


def _cold_start(name: str) -> Strategy:
    strategy = find_strategy(name)
    if not starts_cold(strategy):
        others = ", ".join(other for other in STRATEGIES if starts_cold(find_strategy(other)))
        raise DataError(f"--cold-start {name}: needs a model or labels; {others} do not")
    return strategy


@contextmanager
def working_on(context: Context, options: RunOptions) -> Iterator[Session]:
    """Begin or continue a campaign as `open_campaign`; its MLflow run is ended at the end."""
    session = open_campaign(context, options)
    with ending_run(context, session.campaign.run_id):
        yield session


@contextmanager
def ending_run(context: Context, run_id: str) -> Iterator[None]:
    """End an MLflow run at the end, as failed after an error."""
    try:
        yield
    except BaseException:
        with suppress(Exception):  # the tracking server may be what failed; continuing ends it too
            context.tracker.close_run(run_id, failed=True)
        raise
    context.tracker.close_run(run_id)


def open_campaign(context: Context, options: RunOptions) -> Session:
    """Begin a campaign, or continue the one of that name; refused as `look_up` refuses.

    The ledger knows of it before MLflow does: so a job that dies in between finds its run again.
    """
    campaign = look_up(context, options)
    name, ledger = options.name, context.ledger
    row = CampaignRow(name, options.identity(), options.rounds, campaign.channels)
    recorded = ledger.begin(row)
    if recorded.rounds != options.rounds:
        ledger.lengthen(name, options.rounds)
    tags = campaign.tags() | {"begun": recorded.begun}
    run_id = context.tracker.open_campaign(name, recorded.run_id, campaign.parameters(), tags)
    ledger.record_run(name, run_id)
    session = Session.begin(context, replace(campaign, run_id=run_id))
    if recorded.run_id not in {None, run_id}:
        context.say(
            f"run {recorded.run_id} of campaign {name} is no longer in MLflow: it goes on in run "
            f"{run_id}, with the metrics of its rounds as the ledger has them"
        )
        for trained in session.state.trained:
            context.tracker.log_metrics(run_id, trained.metrics, trained.labels_total)
    session.log_data_set(run_id)
    return session
