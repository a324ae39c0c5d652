"""Labels belong to a label set; classes may grow, and a round knows the last label it saw."""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0005", "0004"


def upgrade() -> None:
    """Labels from before are of the set without a name, and so are the campaigns begun before."""
    number = sa.Column("id", sa.Integer, primary_key=True)
    key = sa.Column("campaign", sa.String, primary_key=True)
    op.create_table("label_sets", key, sa.Column("label_set", sa.String, nullable=False))
    names = ("campaign", "classes", "at")
    op.create_table("classes", number, *(sa.Column(n, sa.String, nullable=False) for n in names))
    op.create_index("ix_classes_campaign", "classes", ["campaign"])
    label_set = sa.Column("label_set", sa.String, nullable=False, server_default="")
    op.add_column("labels", label_set)
    op.create_index("ix_labels_label_set", "labels", ["label_set"])
    op.drop_index("ix_labels_casting_annotator", "labels")
    op.add_column("batches", sa.Column("reason", sa.Text))
    op.add_column("rounds", sa.Column("last_label", sa.Integer))
