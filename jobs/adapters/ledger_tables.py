"""The ledger's tables, as `migrations` make them.

campaigns   name, the options it was begun with
runs        the MLflow run of a campaign
starts      the SHA-256 of the weights that a campaign begins from
label_sets  the question that the labels of a campaign answer
classes     the classes that a campaign grew to since it was begun, latest counts
lengths     how many rounds a campaign was asked for, latest counts
moves       where a data set lies by now, latest counts
castings    where in a data set a casting was seen, and why it is unreadable, latest counts
judges      by which release and limits a casting was unreadable, latest counts
sides       on which side of a split a part lies, or a casting where the data gives the split
batches     castings that a campaign asked for, by the round they are labelled for, and why
labels      who called a casting what in a label set, and when; no name: they cannot tell
rounds      trainings that are finished, with run, version, metrics and the last label they knew
"""

from functools import partial

import sqlalchemy as sa

META = sa.MetaData()
_string = partial(sa.Column[str], type_=sa.String, nullable=False)
_integer = partial(sa.Column[int], type_=sa.Integer, nullable=False)
_text = partial(sa.Column[str], type_=sa.Text, nullable=False)
_key = partial(sa.Column[str], type_=sa.String, primary_key=True)
_number = partial(sa.Column[int], type_=sa.Integer, primary_key=True)


def _table(name: str, *parts: sa.schema.SchemaItem) -> sa.Table:
    return sa.Table(name, META, *parts)


campaigns = _table(
    "campaigns", _key("name"), _text("options"), _integer("channels"), _string("at")
)
runs = _table("runs", _key("campaign"), _string("run_id"))
starts = _table("starts", _key("campaign"), _string("sha256"))
label_sets = _table("label_sets", _key("campaign"), _string("label_set"))
classes = _table(
    "classes", _number("id"), _string("campaign", index=True), _string("classes"), _string("at")
)
lengths = _table(
    "lengths", _number("id"), _string("campaign", index=True), _integer("rounds"), _string("at")
)
moves = _table("moves", _number("id"), _string("data"), _string("path"), _string("at"))
castings = _table(
    "castings",
    *(_number("id"), _string("data", index=True), _string("casting"), _text("path")),
    sa.Column("unreadable", sa.Text),
)
judges = _table("judges", _number("id"), _string("casting", index=True), _text("judge"))
sides = _table(
    "sides", _key("data"), _key("split"), _key("part"), _string("stratum"), _string("side")
)
batches = _table(
    "batches",
    *(_key("campaign"), _number("round"), _number("rank"), _string("casting"), _string("use")),
    sa.Column("reason", sa.Text),
    sa.UniqueConstraint("campaign", "casting"),
)
labels = _table(
    "labels",
    *(_number("id"), _string("casting"), _string("label"), _string("annotator"), _string("at")),
    _string("label_set", server_default="", index=True),
)
rounds = _table(
    "rounds",
    *(_key("campaign"), _number("round"), _string("run_id"), _string("version")),
    *(_integer("labels_total"), _text("metrics"), _string("at")),
    sa.Column("last_label", sa.Integer),
)
