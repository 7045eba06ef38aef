"""Erasure and retention: who asked, which node has carried it out, which numbers are past without a record."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Three tables, and a column of the erasures."""
    op.add_column("erasures", sa.Column("forever", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.create_table(
        "erasure_requests",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("producer", sa.Text(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("time_ms", sa.BigInteger(), nullable=False),
        sa.Column("certificate", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("producer", "seq", name="erasure_requests_pkey"),
    )
    op.create_index("erasure_requests_certificate_idx", "erasure_requests", ["certificate"], unique=False)
    op.create_table(
        "node_erasures",
        sa.Column("node", sa.Text(), nullable=False),
        sa.Column("log", sa.Text(), nullable=False),
        sa.Column("through", sa.BigInteger(), nullable=False),
        sa.Column("updated_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("node", name="node_erasures_pkey"),
    )
    op.create_table(
        "passed_marks",
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("producer", sa.Text(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("subject", "producer", name="passed_marks_pkey"),
    )
