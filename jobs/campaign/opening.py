"""Beginning a campaign, or finding the one of that name again."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace

from jobs.campaign.moved import follow_data
from jobs.campaign.ports import CampaignRow, Context
from jobs.campaign.session import Campaign, Session
from jobs.datasets.inventory import take_inventory
from jobs.datasets.survey import survey
from jobs.options import RunOptions, class_names_in
from models.acquisition.strategies.table import STRATEGIES, find_strategy
from models.acquisition.strategy import Strategy, starts_cold
from models.errors import CampaignError, DataError
from models.images import BitsInUse
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
    if recorded is not None:
        channels, bits = recorded.channels, BitsInUse(*recorded.bits)
    else:
        found = survey(data, context.progress)
        (channels, why), bits = found.channels(options.channels), found.bits
        context.say(f"{why}; {bits.bits} bits in use")
    run_id = (recorded.run_id if recorded else None) or ""
    campaign = Campaign(options, strategy, cold_start, data, sides, channels, bits, run_id, "")
    classes, good = campaign.classes(())  # options that cannot be met fail here
    label_set = recorded.label_set if recorded else _label_set(context, options, classes)
    campaign = replace(campaign, label_set=label_set)
    if recorded is not None and good is None:
        _check_still_good(campaign, recorded)
    if recorded is None:
        check_weights(options.weights, options.backbone)
        count = Counter(sides.values())
        audit = min(options.audited(options.initial), count["test"])
        check_initial(options, count["train"], audit)
    return campaign


def _check_still_good(campaign: Campaign, recorded: CampaignRow) -> None:
    """Refuse a new class after which the name of the good one is no longer the only such."""
    options = replace(campaign.options, classes=recorded.options.get("classes", "auto"))
    good = replace(campaign, options=options).classes(())[1]
    if good is not None:
        raise CampaignError(
            f"--classes {campaign.options.classes}: {good} is the good class of campaign "
            f"{options.name} as the only one whose name starts with ok or good; call the new "
            f"class something else"
        )


def _label_set(context: Context, options: RunOptions, classes: Sequence[str]) -> str:
    """The question that a campaign's labels answer: which of its classes a casting is of.

    It is that of the campaigns on the same data set which ask the same, also where they came to
    ask it when their classes grew, or where they were begun before there were label sets. It is
    named after where the data set lay when it was first seen.
    """
    first, rows = context.ledger.known_as(options.source), context.ledger.campaigns()
    on_it = [row for row in rows if row.options.get("data") in {options.source, first}]
    given = {row.name: class_names_in(row.options.get("classes", "auto")) for row in on_it}
    for row in on_it:
        asks_it = set(given[row.name]) == set(classes)
        if asks_it or (not row.label_set and not given[row.name] and not options.class_list):
            return row.label_set
    label_set = f"{first}: {', '.join(sorted(classes))}"
    grown = any(row.label_set == label_set and given[row.name] for row in on_it)
    return f"{label_set} ({options.name})" if grown else label_set


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
    identity, label_set = options.identity(), campaign.label_set
    row = CampaignRow(
        *(name, identity, options.rounds, campaign.channels),
        bits=campaign.bits,
        label_set=label_set,
    )
    recorded = ledger.begin(row)
    if recorded.rounds != options.rounds:
        ledger.lengthen(name, options.rounds)
    if class_names_in(recorded.options.get("classes", "auto")) != options.class_list:
        ledger.widen(name, options.classes)
        context.say(f"campaign {name} has the classes {options.classes} from now on")
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
