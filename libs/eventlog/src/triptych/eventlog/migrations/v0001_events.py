"""The log of accepted events, as release 0.1.0 made it, without a version, in SQLite."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the table, unless it is there: then it becomes version 1."""
    position = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "events",
        sa.Column("position", position, primary_key=True, autoincrement="ignore_fk"),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(32), nullable=False),
        sa.Column("accepted_at", sa.DateTime, nullable=False),
        sa.Column("event", sa.Text, nullable=False),
        sa.UniqueConstraint("source", "id", name="events_source_id_key"),
        sqlite_autoincrement=True,
        if_not_exists=True,
    )
    op.create_index("ix_events_type", "events", ["type"], if_not_exists=True)
