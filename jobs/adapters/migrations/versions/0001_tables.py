"""The tables as they were before there were versions; where they are there already, they stay."""

from functools import partial

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0001", None

_string = partial(sa.Column, type_=sa.String, nullable=False)
_integer = partial(sa.Column, type_=sa.Integer, nullable=False)
_text = partial(sa.Column, type_=sa.Text, nullable=False)
_key = partial(sa.Column, type_=sa.String, primary_key=True)
_number = partial(sa.Column, type_=sa.Integer, primary_key=True)
_table = partial(op.create_table, if_not_exists=True)


def upgrade() -> None:
    """Make what is missing."""
    _table("campaigns", _key("name"), _text("options"), _integer("channels"), _string("at"))
    _table("runs", _key("campaign"), _string("run_id"))
    _table("lengths", _number("id"), _string("campaign"), _integer("rounds"), _string("at"))
    _table(
        "castings",
        *(_number("id"), _string("data"), _string("casting"), _text("path")),
        sa.Column("unreadable", sa.Text),
    )
    _table("sides", _key("data"), _key("split"), _key("part"), _string("stratum"), _string("side"))
    _table(
        "batches",
        *(_key("campaign"), _number("round"), _number("rank"), _string("casting"), _string("use")),
        sa.UniqueConstraint("campaign", "casting"),
    )
    _table(
        "labels",
        *(_number("id"), _string("casting"), _string("label"), _string("annotator")),
        _string("at"),
    )
    _table(
        "rounds",
        *(_key("campaign"), _number("round"), _string("run_id"), _string("version")),
        *(_integer("labels_total"), _text("metrics"), _string("at")),
    )
    for table, column in (("lengths", "campaign"), ("castings", "data"), ("labels", "casting")):
        op.create_index(f"ix_{table}_{column}", table, [column], if_not_exists=True)
