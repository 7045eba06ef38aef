"""Live facts: every number with the versions between which it held, every version, and what nodes run of them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Two tables, and three columns of the nodes."""
    op.create_table(
        "facts",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("item", sa.Text(), nullable=False),
        sa.Column("since_version", sa.BigInteger(), nullable=False),
        sa.Column("until_version", sa.BigInteger(), nullable=True),
        sa.Column("value", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("name", "item", "since_version", name="facts_pkey"),
    )
    op.create_index("facts_until_version_idx", "facts", ["until_version"], unique=False)
    op.create_table(
        "fact_sheets",
        sa.Column("version", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("issued_ms", sa.BigInteger(), nullable=False),
        sa.Column("expires_ms", sa.BigInteger(), nullable=False),
        sa.Column("halted", sa.Boolean(), nullable=False),
        sa.Column("numbers", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("version", name="fact_sheets_pkey"),
    )
    op.add_column("nodes", sa.Column("facts_version", sa.BigInteger(), nullable=True))
    op.add_column("nodes", sa.Column("facts_code", sa.Text(), nullable=True))
    op.add_column("nodes", sa.Column("facts_detail", sa.Text(), nullable=True))
