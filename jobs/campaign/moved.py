"""A data set that lies elsewhere by now: told by its castings, not by its path."""

from dataclasses import replace
from pathlib import Path

from jobs.campaign.ports import CampaignRow, Context
from jobs.datasets.reader import read_data_set
from jobs.options import SYNTHETIC, RunOptions, stem_of
from models.errors import CampaignError

_NEARLY_ALL = 0.9  # of its castings; some may have been sorted out on the way


def follow_data(context: Context, options: RunOptions, begun: str) -> None:
    """Have a campaign go on with its data set where that lies now, and record it.

    Raises:
        CampaignError: what lies there is another data set than it was `begun` with.
    """
    ledger, there = context.ledger, options.source
    was = ledger.located(begun)
    if there == was:
        return
    found, before = _still_there(context, there, begun)
    if not before or found < _NEARLY_ALL * before:
        raise CampaignError(
            f"campaign {options.name} exists with another data set: --data is {there}, it was "
            f"begun with {begun}, and of the {before} castings there {found} are in {there}. "
            f"Give the old value to continue it, or --campaign NAME to begin another"
        )
    context.say(
        f"{found} of the {before} castings of {was} lie in {there} now: campaign "
        f"{options.name} goes on with them"
    )
    ledger.record_move(begun, there)


def continued(context: Context, options: RunOptions) -> RunOptions:
    """The options with the name of the campaign that they continue.

    A campaign without a name of its own is named after its data set; where that was moved or
    renamed, the same command with the new path still means it.
    """
    ledger = context.ledger
    if options.campaign != "auto" or ledger.campaign(options.name) is not None:
        return options
    for row in ledger.campaigns():
        if _is_moved(context, options, row):
            return replace(options, campaign=row.name)
    return options


def _is_moved(context: Context, options: RunOptions, row: CampaignRow) -> bool:
    """Whether this is a campaign with the same options, whose data set is where they say now."""
    begun = str(row.options["data"])
    try:
        options.check_same({**row.options, "data": options.source})
        as_begun = RunOptions.recorded("auto", row.options, row.rounds)
    except CampaignError:
        return False
    was = Path(context.ledger.located(begun))
    stays = was.exists() and str(was.resolve()) != options.source  # a copy is another data set
    # a link in the place of the data set would name it after what it points at
    if stays or row.name != f"{stem_of(begun)}-{as_begun.suffix}":
        return False
    found, before = _still_there(context, options.source, begun)
    return before > 0 and found >= _NEARLY_ALL * before


def _still_there(context: Context, there: str, begun: str) -> tuple[int, int]:
    """How many of the castings of a data set lie at another path, and how many there were."""
    seen = context.ledger.seen(begun)
    before = [casting for casting, found in seen.items() if found.unreadable is None]
    if SYNTHETIC in {there, begun} or not Path(there).exists():
        return 0, len(before)
    data = read_data_set(Path(there), context.ledger.seen(), context.progress)
    return sum(casting in data.inventory for casting in before), len(before)
