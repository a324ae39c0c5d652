"""Data sets may lie elsewhere than where a campaign first found them."""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0006", "0005"


def upgrade() -> None:
    """Make the table; a data set without a row lies where it lay first."""
    op.create_table(
        "moves",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("data", sa.String, nullable=False),
        sa.Column("path", sa.String, nullable=False),
        sa.Column("at", sa.String, nullable=False),
    )
