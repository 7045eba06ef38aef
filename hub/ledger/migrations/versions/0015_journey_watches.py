"""People whom a journey watches."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """One table."""
    op.create_table(
        "journey_watches",
        sa.Column("journey", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("look_ms", sa.BigInteger(), nullable=False),
        sa.Column("tries", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("journey", "subject", name="journey_watches_pkey"),
    )
    op.create_index("journey_watches_look_ms_idx", "journey_watches", ["look_ms"], unique=False)
