"""By which release and limits a casting is unreadable: when these change, it is tried again."""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0004", "0003"


def upgrade() -> None:
    """Make the table; what was unreadable before has no row, so it is tried again once."""
    op.create_table(
        "judges",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("casting", sa.String, nullable=False),
        sa.Column("judge", sa.Text, nullable=False),
    )
    op.create_index("ix_judges_casting", "judges", ["casting"])
