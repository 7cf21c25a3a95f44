"""Whose turn it is, what all servers sign alike, and an index to what was remembered last."""

import secrets

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add what several servers need in order to share the work."""
    op.create_index("ix_etl_memories_pipeline", "etl_memories", ["pipeline", "position"])
    op.create_table(
        "etl_turns",
        sa.Column("pipeline", sa.Text, primary_key=True),
        sa.Column("last_at", sa.DateTime, nullable=False),
        sa.Column("owner", sa.Text),
        sa.Column("ends_at", sa.DateTime),
    )
    table = op.create_table(
        "etl_secrets",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("value", sa.LargeBinary, nullable=False),
    )
    op.bulk_insert(table, [{"name": "cursor", "value": secrets.token_bytes(32)}])
