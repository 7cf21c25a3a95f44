"""The versions of tables: which one a database has, and which one this program knows."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from triptych.core.errors import Kind, TriptychError
from triptych.database.engine import reading, writing

# It tells, once loaded, of its plugins, and at each look at which database it looks.
logging.getLogger("alembic").setLevel(logging.WARNING)


class SchemaTooOld(TriptychError):
    """The database's tables are older than this program."""

    kind = Kind.CONFLICT


class SchemaTooNew(TriptychError):
    """The database's tables are newer than this program."""

    kind = Kind.CONFLICT
    hint = "Run the release that made them, or a newer one."


@dataclass(frozen=True)
class Schema:
    """The tables that one package keeps in a database."""

    name: str
    migrations: Path
    """A folder with a file for each version, made for Alembic: v0001_events.py is version 0001."""
    migrate: str
    """The command that brings them to the newest version."""

    @property
    def version_table(self) -> str:
        """The table that says which version the tables have."""
        return f"{self.name}_version"

    def versions(self) -> list[str]:
        """The versions that this program knows, from the oldest to the newest."""
        return sorted(file.name[1:5] for file in self.migrations.glob("v[0-9][0-9][0-9][0-9]_*.py"))

    def version(self, connection: sa.Connection) -> str | None:
        """The version of the tables in a database, or `None` when they were never versioned."""
        if not sa.inspect(connection).has_table(self.version_table):
            return None
        table = sa.table(self.version_table, sa.column("version_num", sa.Text))
        return connection.scalar(sa.select(table.c.version_num))

    def check(self, connection: sa.Connection) -> None:
        """Check that the tables are of the version that this program knows.

        Raises:
            SchemaTooOld, SchemaTooNew: they are not.
        """
        version, known = self.version(connection), self.versions()
        if version == known[-1]:
            return
        if version is not None and version not in known:
            raise SchemaTooNew(f"{self.name} is at {version}, this is {known[-1]}")
        raise SchemaTooOld(
            f"{self.name} is at {version or 'no version'}, this is {known[-1]}",
            hint=f"Make a backup, then run: {self.migrate}.",
        )


_MIGRATION_LOCK = 0x7472_6970_7479_6368  # "triptych": one at a time, whoever else uses the server


def migrate(engine: sa.Engine, schemas: Sequence[Schema]) -> None:
    """Bring all tables to their newest versions, in one transaction.

    Raises:
        SchemaTooNew: some are newer than this program.
        DatabaseAway: the database cannot be used.
    """
    with writing(engine) as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_MIGRATION_LOCK)))
        for schema in schemas:
            try:
                schema.check(connection)
            except SchemaTooOld:
                # Importing Alembic takes as long as a short command, which mostly needs none of it.
                from triptych.database.upgrade import upgrade  # noqa: PLC0415

                upgrade(schema, connection)


def prepare(engine: sa.Engine, schemas: Sequence[Schema]) -> None:
    """Make the tables of which the database has never had any version; check the others.

    Raises:
        SchemaTooOld, SchemaTooNew: those are not of the versions that this program knows.
        DatabaseAway: the database cannot be used.
    """
    with reading(engine) as connection:
        missing = [schema for schema in schemas if schema.version(connection) is None]
    if missing:
        migrate(engine, missing)
    check(engine, schemas)


def check(engine: sa.Engine, schemas: Sequence[Schema]) -> None:
    """Check that all tables are of the versions that this program knows.

    Raises:
        SchemaTooOld, SchemaTooNew: they are not.
        DatabaseAway: the database cannot be used.
    """
    with reading(engine) as connection:
        for schema in schemas:
            schema.check(connection)
