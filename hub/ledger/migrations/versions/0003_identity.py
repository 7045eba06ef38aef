"""Identity: links between subjects, what people stated of them, whose they are, and the rules in force."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from hub.ledger.dialect import Position

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Four tables."""
    op.create_table(
        "links",
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("identifier", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("subject_kind", sa.Text(), nullable=False),
        sa.Column("first_ms", sa.BigInteger(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("vouched", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("subject", "identifier", "kind", name="links_pkey"),
    )
    op.create_index("links_identifier_kind_idx", "links", ["identifier", "kind"], unique=False)
    op.create_table(
        "identity_statements",
        sa.Column("position", Position, autoincrement=False, nullable=False),
        sa.Column("time_ms", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("left_subject", sa.Text(), nullable=False),
        sa.Column("right_subject", sa.Text(), nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("position", name="identity_statements_pkey"),
    )
    op.create_index("identity_statements_left_subject_idx", "identity_statements", ["left_subject"], unique=False)
    op.create_index("identity_statements_right_subject_idx", "identity_statements", ["right_subject"], unique=False)
    op.create_table(
        "persons",
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("person", sa.Text(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("subject", name="persons_pkey"),
    )
    op.create_index("persons_person_idx", "persons", ["person"], unique=False)
    op.create_index("persons_revision_idx", "persons", ["revision"], unique=False)
    op.create_table(
        "identity_rules",
        sa.Column("revision", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("revision", name="identity_rules_pkey"),
    )
