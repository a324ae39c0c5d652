"""Labels come in: from the data set that plays the oracle, or from people."""

from jobs.campaign import Campaign, World
from jobs.data import labelled
from jobs.ledger import ORACLE
from jobs.standing import Standing


def ask_oracle(world: World, campaign: Campaign, now: Standing) -> int:
    """Let the data set label what was asked for; returns how many castings it cannot label."""
    truth = dict(labelled(campaign.data.castings))
    missing = [asked.casting for asked in now.unlabelled()]
    known = [(casting, truth[casting]) for casting in missing if casting in truth]
    world.ledger.record_labels(known, ORACLE)
    return len(missing) - len(known)
