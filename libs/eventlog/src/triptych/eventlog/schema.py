"""Tables and the way from each of their versions to the next (Alembic)."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import sqlalchemy as sa
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError

from triptych.core.errors import Kind, TriptychError
from triptych.eventlog.database import reading, writing

# It tells at each look which database it looks at.
logging.getLogger("alembic.runtime.migration").setLevel(logging.WARNING)


class SchemaTooOld(TriptychError):
    """The database's tables are older than this program."""

    kind = Kind.CONFLICT
    hint = "Make a backup, then run: ingestion migrate."


class SchemaTooNew(TriptychError):
    """The database's tables are newer than this program."""

    kind = Kind.CONFLICT
    hint = "Run the release that made them, or a newer one."


@dataclass(frozen=True)
class Schema:
    """The tables that one package keeps in a database."""

    name: str
    migrations: Path
    """A folder with a file for each version, made for Alembic."""

    @property
    def version_table(self) -> str:
        """The table that says which version the tables have."""
        return f"{self.name}_version"

    @cached_property
    def script(self) -> ScriptDirectory:
        """The versions, as Alembic knows them."""
        return ScriptDirectory(self.migrations, version_locations=[str(self.migrations)])

    def version(self, connection: sa.Connection) -> str | None:
        """The version of the tables in a database, or `None` when they were never versioned."""
        options = {"version_table": self.version_table}
        return MigrationContext.configure(connection, opts=options).get_current_revision()

    def upgrade(self, connection: sa.Connection) -> None:
        """Bring the tables to the newest version, as a part of the caller's transaction."""

        def steps(revision: object, _: object) -> object:
            return self.script._upgrade_revs("head", revision)  # type: ignore[arg-type]  # noqa: SLF001  # as Alembic's own command does

        with EnvironmentContext(Config(), self.script, fn=steps) as environment:
            environment.configure(connection=connection, version_table=self.version_table)
            environment.run_migrations()

    def check(self, connection: sa.Connection) -> None:
        """Check that the tables are of the version that this program knows.

        Raises:
            SchemaTooOld, SchemaTooNew: they are not.
        """
        version, newest = self.version(connection), self.script.get_current_head()
        if version == newest:
            return
        try:
            self.script.get_revision(version or "base")
        except CommandError:
            raise SchemaTooNew(f"{self.name} is at {version}, this is {newest}") from None
        raise SchemaTooOld(f"{self.name} is at {version or 'no version'}, this is {newest}")


_MIGRATION_LOCK = 0x7472_6970_7479_6368  # "triptych": one at a time, whoever else uses the server


def migrate(engine: sa.Engine, schemas: Sequence[Schema], *, only_if_empty: bool = False) -> None:
    """Bring all tables to their newest versions, in one transaction; with `only_if_empty`, make them
    in a database that has none and leave any other as it is.

    Raises:
        SchemaTooNew: some are newer than this program.
        DatabaseAway: the database cannot be used.
    """
    with writing(engine) as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_MIGRATION_LOCK)))
        if only_if_empty and sa.inspect(connection).get_table_names():
            return
        for schema in schemas:
            try:
                schema.check(connection)
            except SchemaTooOld:
                schema.upgrade(connection)


def check(engine: sa.Engine, schemas: Sequence[Schema]) -> None:
    """Check that all tables are of the versions that this program knows.

    Raises:
        SchemaTooOld, SchemaTooNew: they are not.
        DatabaseAway: the database cannot be used.
    """
    with reading(engine) as connection:
        for schema in schemas:
            schema.check(connection)
