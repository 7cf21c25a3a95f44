"""The tables of etl's own database: what sources remember, what runs did, whose turn it is."""

from pathlib import Path
from typing import Final

import sqlalchemy as sa

from triptych.eventlog.database import UtcDateTime, reading
from triptych.eventlog.schema import Schema, SchemaTooOld, migrate

SCHEMA: Final = Schema("etl", Path(__file__).parent / "migrations")

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

secrets = sa.Table(
    "etl_secrets",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("value", sa.LargeBinary, nullable=False),
)
"""What all servers must sign alike: made at random, once."""


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
    check(engine)


def check(engine: sa.Engine) -> None:
    """Check that the tables are those of this release.

    Raises:
        SchemaTooOld, SchemaTooNew: they are not.
        DatabaseAway: the database cannot be used.
    """
    with reading(engine) as connection:
        try:
            SCHEMA.check(connection)
        except SchemaTooOld as error:
            hint = "Make a backup, then run: etl migrate."
            raise SchemaTooOld(str(error), hint=hint) from None
