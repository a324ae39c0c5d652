"""What an annotator last called a casting is looked up, where all of theirs was read before."""

from alembic import op

revision, down_revision = "0002", "0001"


def upgrade() -> None:
    """Put an index on both in the place of the one on castings."""
    op.create_index("ix_labels_casting_annotator", "labels", ["casting", "annotator"])
    op.drop_index("ix_labels_casting", "labels")
