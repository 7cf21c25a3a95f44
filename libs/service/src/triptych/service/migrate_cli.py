"""The door for whoever updates a service: `migrate` of its command line."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Annotated

import sqlalchemy as sa
import typer

from triptych.database.schema import Schema, check, migrate


def migrate_command(
    database: Callable[[], AbstractContextManager[sa.Engine]], schemas: Sequence[Schema]
) -> Callable[..., None]:
    """The command that brings a database's tables to this release; `database` opens it as it is."""

    def migrate_tables(
        only_check: Annotated[
            bool,
            typer.Option(
                "--check", help="Change nothing; exit with 1 if there is something to do."
            ),
        ] = False,
    ) -> None:
        """Bring the tables of the service's own database to this release. Make a backup before."""
        with database() as engine:
            if not only_check:
                migrate(engine, schemas)
            check(engine, schemas)
        typer.echo("The tables are those of this release.")

    return migrate_tables
