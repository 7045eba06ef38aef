"""The lake: which old records lie in which Parquet file."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """A table, and a column of the two that it concerns; what is there stays in the database until it is moved."""
    op.create_table(
        "partitions",
        sa.Column("partition", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("month", sa.Text(), nullable=False),
        sa.Column("file", sa.Text(), nullable=False),
        sa.Column("first_position", sa.BigInteger(), nullable=False),
        sa.Column("last_position", sa.BigInteger(), nullable=False),
        sa.Column("records", sa.BigInteger(), nullable=False),
        sa.Column("is_stale", sa.Boolean(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("partition", name="partitions_pkey"),
    )
    op.add_column("events", sa.Column("partition", sa.BigInteger(), nullable=True))
    op.add_column("decisions", sa.Column("partition", sa.BigInteger(), nullable=True))
