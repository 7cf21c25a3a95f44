"""Positions by transaction in PostgreSQL, and a reader's way to the entries of one type."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Reading entries of a type from a position on becomes one walk along an index."""
    op.create_table("log_state", sa.Column("base", sa.BigInteger, nullable=False))
    op.execute("INSERT INTO log_state (base) VALUES (0)")
    op.drop_index("ix_events_type", "events")
    op.create_index("ix_events_type_position", "events", ["type", "position"])
