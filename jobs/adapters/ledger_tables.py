"""The ledger's tables, as `migrations` make them.

campaigns   name, the options it was begun with
runs        the MLflow run of a campaign
lengths     how many rounds a campaign was asked for, latest counts
castings    where in a data set a casting was seen, and why it is unreadable, latest counts
sides       on which side of a split a part lies, or a casting where the data gives the split
batches     castings that a campaign asked for, by the round they are labelled for
labels      who called a casting what, and when, latest counts
rounds      trainings that are finished, with run, version and metrics
"""

import sqlalchemy as sa

META = sa.MetaData()

campaigns = sa.Table(
    "campaigns",
    META,
    sa.Column("name", sa.String, primary_key=True),
    sa.Column("options", sa.Text, nullable=False),
    sa.Column("channels", sa.Integer, nullable=False),
    sa.Column("at", sa.String, nullable=False),
)
runs = sa.Table(
    "runs",
    META,
    sa.Column("campaign", sa.String, primary_key=True),
    sa.Column("run_id", sa.String, nullable=False),
)
lengths = sa.Table(
    "lengths",
    META,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("campaign", sa.String, nullable=False, index=True),
    sa.Column("rounds", sa.Integer, nullable=False),
    sa.Column("at", sa.String, nullable=False),
)
castings = sa.Table(
    "castings",
    META,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("data", sa.String, nullable=False, index=True),
    sa.Column("casting", sa.String, nullable=False),
    sa.Column("path", sa.Text, nullable=False),
    sa.Column("unreadable", sa.Text),
)
sides = sa.Table(
    "sides",
    META,
    sa.Column("data", sa.String, primary_key=True),
    sa.Column("split", sa.String, primary_key=True),
    sa.Column("part", sa.String, primary_key=True),
    sa.Column("stratum", sa.String, nullable=False),
    sa.Column("side", sa.String, nullable=False),
)
batches = sa.Table(
    "batches",
    META,
    sa.Column("campaign", sa.String, primary_key=True),
    sa.Column("round", sa.Integer, primary_key=True),
    sa.Column("rank", sa.Integer, primary_key=True),
    sa.Column("casting", sa.String, nullable=False),
    sa.Column("use", sa.String, nullable=False),
    sa.UniqueConstraint("campaign", "casting"),
)
labels = sa.Table(
    "labels",
    META,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("casting", sa.String, nullable=False),
    sa.Column("label", sa.String, nullable=False),
    sa.Column("annotator", sa.String, nullable=False),
    sa.Column("at", sa.String, nullable=False),
    sa.Index("ix_labels_casting_annotator", "casting", "annotator"),
)
rounds = sa.Table(
    "rounds",
    META,
    sa.Column("campaign", sa.String, primary_key=True),
    sa.Column("round", sa.Integer, primary_key=True),
    sa.Column("run_id", sa.String, nullable=False),
    sa.Column("version", sa.String, nullable=False),
    sa.Column("labels_total", sa.Integer, nullable=False),
    sa.Column("metrics", sa.Text, nullable=False),
    sa.Column("at", sa.String, nullable=False),
)
