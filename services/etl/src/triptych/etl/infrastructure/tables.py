"""The tables of etl's own database: what sources remember, and what runs did."""

from pathlib import Path
from typing import Final

import sqlalchemy as sa

from triptych.eventlog.database import UtcDateTime, reading
from triptych.eventlog.schema import Schema, check, migrate

SCHEMA: Final = Schema("etl", Path(__file__).parent / "migrations")

metadata = sa.MetaData()

memories = sa.Table(
    "etl_memories",
    metadata,
    sa.Column("position", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True),
    sa.Column("pipeline", sa.Text, nullable=False),
    sa.Column("state", sa.JSON, nullable=False),
    sqlite_autoincrement=True,
)
"""How far sources have come, where a number alone does not say it. Nothing in it ever changes."""

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


def prepare(engine: sa.Engine) -> None:
    """Make the tables where there are none; elsewhere check that they are those of this release.

    Raises:
        SchemaTooOld, SchemaTooNew: they are not.
        DatabaseAway: the database cannot be used.
    """
    with reading(engine) as connection:
        missing = SCHEMA.version(connection) is None
    if missing:
        migrate(engine, [SCHEMA])
    check(engine, [SCHEMA])
