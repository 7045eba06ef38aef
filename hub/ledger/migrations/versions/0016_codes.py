"""Budgets of promotion codes: what was lent to nodes, and what was redeemed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Seven tables."""
    op.create_table(
        "code_promotions",
        sa.Column("promotion", sa.Text(), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("lent", sa.BigInteger(), nullable=False),
        sa.Column("open", sa.BigInteger(), nullable=False),
        sa.Column("redeemed", sa.BigInteger(), nullable=False),
        sa.Column("terms", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("promotion", name="code_promotions_pkey"),
    )
    op.create_table(
        "code_keys",
        sa.Column("promotion", sa.Text(), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("made_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("promotion", "generation", name="code_keys_pkey"),
    )
    op.create_table(
        "code_leases",
        sa.Column("lease", sa.Text(), nullable=False),
        sa.Column("promotion", sa.Text(), nullable=False),
        sa.Column("node", sa.Text(), nullable=False),
        sa.Column("incarnation", sa.Text(), nullable=False),
        sa.Column("first", sa.BigInteger(), nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.Column("taken", sa.BigInteger(), nullable=False),
        sa.Column("until_ms", sa.BigInteger(), nullable=False),
        sa.Column("last_day", sa.BigInteger(), nullable=False),
        sa.Column("ends_ms", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("lease", name="code_leases_pkey"),
        sa.UniqueConstraint("promotion", "first", name="code_leases_promotion_first_key"),
    )
    op.create_index("code_leases_state_ends_ms_idx", "code_leases", ["state", "ends_ms"], unique=False)
    op.create_table(
        "code_redemptions",
        sa.Column("promotion", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("order_sha256", sa.Text(), nullable=False),
        sa.Column("time_ms", sa.BigInteger(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("promotion", "number", name="code_redemptions_pkey"),
    )
    op.create_table(
        "code_holders",
        sa.Column("promotion", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("time_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("promotion", "number", name="code_holders_pkey"),
    )
    op.create_index("code_holders_subject_idx", "code_holders", ["subject"], unique=False)
    op.create_table(
        "code_revocations",
        sa.Column("promotion", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("time_ms", sa.BigInteger(), nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("promotion", "number", name="code_revocations_pkey"),
    )
    op.create_table(
        "code_denials",
        sa.Column("promotion", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("promotion", "reason", name="code_denials_pkey"),
    )
