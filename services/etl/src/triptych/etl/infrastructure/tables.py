"""The tables of etl's own database: what sources remember, what runs did, whose turn it is."""

from pathlib import Path
from typing import Final

import sqlalchemy as sa

from triptych.database.engine import UtcDateTime
from triptych.database.schema import Schema
from triptych.service.tables import access_schema

MIGRATE: Final = "etl migrate"
SCHEMAS: Final = (
    Schema("etl", Path(__file__).parent / "migrations", MIGRATE),
    access_schema(MIGRATE),
)

metadata = sa.MetaData()

memories = sa.Table(
    "etl_memories",
    metadata,
    sa.Column("position", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True),
    sa.Column("pipeline", sa.Text, nullable=False),
    sa.Column("state", sa.JSON, nullable=False),
    sa.Index("ix_etl_memories_pipeline", "pipeline", "position"),
    sqlite_autoincrement=True,
)
"""How far sources have come, where a number alone does not say it. No row changes; those that nobody asks for any more go."""

runs = sa.Table(
    "etl_runs",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("pipeline", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("started_at", UtcDateTime, nullable=False),
    sa.Column("ended_at", UtcDateTime),
    sa.Column("outputs", sa.JSON, nullable=False),
    sa.Column("error", sa.Text),
    sa.Index("ix_etl_runs_started_at", "started_at"),
)
"""What runs did, or are doing."""


turns = sa.Table(
    "etl_turns",
    metadata,
    sa.Column("pipeline", sa.Text, primary_key=True),
    sa.Column("last_at", UtcDateTime, nullable=False),
    sa.Column("owner", sa.Text),
    sa.Column("ends_at", UtcDateTime),
)
"""Which server runs a pipeline, until when, and when it had its last turn."""
