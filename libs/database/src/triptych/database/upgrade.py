"""The way from each version of tables to the next, by Alembic."""

import sqlalchemy as sa
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory

from triptych.database.schema import Schema


def upgrade(schema: Schema, connection: sa.Connection) -> None:
    """Bring tables to their newest version, as a part of the caller's transaction."""
    script = ScriptDirectory(schema.migrations, version_locations=[str(schema.migrations)])

    def steps(revision: object, _: object) -> object:
        return script._upgrade_revs("head", revision)  # type: ignore[arg-type]  # noqa: SLF001  # as Alembic's own command does

    with EnvironmentContext(Config(), script, fn=steps) as environment:
        environment.configure(connection=connection, version_table=schema.version_table)
        environment.run_migrations()
