"""Pairs of records that are probably one person, and what people said of them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """One table."""
    op.create_table(
        "suggestions",
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("left_subject", sa.Text(), nullable=False),
        sa.Column("right_subject", sa.Text(), nullable=False),
        sa.Column("probability", sa.Double(), nullable=False),
        sa.Column("evidence", sa.JSON(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("found_ms", sa.BigInteger(), nullable=False),
        sa.Column("decided_ms", sa.BigInteger(), nullable=True),
        sa.Column("who", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("number", name="suggestions_pkey"),
        sa.UniqueConstraint("left_subject", "right_subject", name="suggestions_left_subject_right_subject_key"),
    )
    op.create_index("suggestions_right_subject_idx", "suggestions", ["right_subject"], unique=False)
    op.create_index("suggestions_state_idx", "suggestions", ["state"], unique=False)
