"""The weights that a campaign begins from are known by their SHA-256."""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0003", "0002"


def upgrade() -> None:
    """Make the table; campaigns that were begun before have no row until they go on."""
    name = sa.Column("campaign", sa.String, primary_key=True)
    op.create_table("starts", name, sa.Column("sha256", sa.String, nullable=False))
