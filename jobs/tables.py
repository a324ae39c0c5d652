"""The ledger's tables, in SQLAlchemy.

campaigns   name, the options it was begun with, its MLflow run
lengths     how many rounds a campaign was asked for, latest counts
castings    which bytes are readable images, and why not, latest counts
parts       on which side of the split a part lies
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
    sa.Column("run_id", sa.String, nullable=False),
    sa.Column("at", sa.String, nullable=False),
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
    sa.Column("casting", sa.String, nullable=False),
    sa.Column("unreadable", sa.Text),
)
parts = sa.Table(
    "parts",
    META,
    sa.Column("data", sa.String, primary_key=True),
    sa.Column("split_seed", sa.Integer, primary_key=True),
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
    sa.Column("casting", sa.String, nullable=False, index=True),
    sa.Column("label", sa.String, nullable=False),
    sa.Column("annotator", sa.String, nullable=False),
    sa.Column("at", sa.String, nullable=False),
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
