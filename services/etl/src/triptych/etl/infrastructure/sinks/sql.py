"""The sink `sql`: a table of any database that SQLAlchemy has a driver for.

Rows are staged in a temporary table, which only their connection sees. A commit is one transaction:
it moves the position, which has to be where the run began, and brings the rows into the table.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum, auto
from typing import Self

import sqlalchemy as sa
from pydantic import Field, model_validator
from sqlglot import exp

from triptych.core.documents import Part
from triptych.database.positions import positions
from triptych.etl.application.ports import Effects, Resources, Writing
from triptych.etl.domain.plugins import Rule
from triptych.etl.domain.relation import Relation, column
from triptych.etl.domain.secrets import Secret
from triptych.etl.infrastructure.databases import connect, reporting, sql_type, transaction
from triptych.etl.infrastructure.sinks.keys import refuse_doubles
from triptych.lake.change import Progress
from triptych.lake.errors import ConcurrentCommit, SchemaChanged


class How(StrEnum):
    """How the rows of a run meet those of earlier ones."""

    APPEND = auto()
    """They are added."""
    UPSERT = auto()
    """They take the place of those with the same keys; the others are added."""
    REPLACE = auto()
    """They take the place of all."""


class SqlSink(Part):
    """Write the rows to a table of a SQL database, in one transaction a run."""

    url: Secret = Field(
        description="The database, as an SQLAlchemy URL.", examples=["${WAREHOUSE_DATABASE}"]
    )
    table: str = Field(
        pattern=r"^[a-z][a-z0-9_]{0,62}$",
        description="It is made if there is none.",
        examples=["sales"],
    )
    schema_: str | None = Field(
        default=None, alias="schema", min_length=1, description="The schema that has the table."
    )
    mode: How = Field(default=How.APPEND, description="How rows meet those of earlier runs.")
    keys: tuple[str, ...] = Field(
        default=(), description="What `upsert` knows a row by.", examples=[["order_id"]]
    )

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if bool(self.keys) != (self.mode is How.UPSERT):
            raise ValueError("'keys' belong to the mode 'upsert', which needs them")
        return self

    @property
    def target(self) -> str:
        """See `Sink.target`."""
        return self.table if self.schema_ is None else f"{self.schema_}.{self.table}"

    @property
    def replaces(self) -> bool:
        """See `Sink.replaces`."""
        return self.mode is How.REPLACE

    def position(self, resources: Resources, writer: str) -> int:
        """See `Sink.position`."""
        with self._connected() as connection, transaction(connection):
            if not sa.inspect(connection).has_table(positions.name):
                return 0
            mine = sa.select(positions.c.position).where(_row(writer, self.target))
            return connection.execute(mine).scalar_one_or_none() or 0

    def rules(self, resources: Resources, rows: Relation) -> Iterator[Rule]:
        """See `Sink.rules`."""
        rows.check_has(self.keys)
        for name in rows.columns:
            sql_type(rows.types[name])
        for name in self.keys:
            yield Rule(f"{name} is missing", column(name).is_(exp.null()).not_())

    def columns(self, resources: Resources) -> dict[str, str]:
        """See `Sink.columns`: with the database's own names of types."""
        with self._connected() as connection, transaction(connection):
            inspector = sa.inspect(connection)
            if not inspector.has_table(self.table, self.schema_):
                return {}
            found = inspector.get_columns(self.table, self.schema_)
            return {one["name"]: str(one["type"]).lower() for one in found}

    def effects(self, writing: Writing, rows: Relation) -> Effects:
        """See `Sink.effects`: they are tried, and rolled back."""
        staged = self.stage(writing, rows, Progress("", 0, 0))
        try:
            return staged.try_out()
        finally:
            staged.discard()

    def stage(self, writing: Writing, rows: Relation, progress: Progress) -> "StagedRows":
        """See `Sink.stage`."""
        refuse_doubles(writing.engine, rows, self.keys, f"sink {self.target}")
        with reporting():
            connection = connect(self.url).connect()
        try:
            table = sa.Table(
                self.table,
                sa.MetaData(),
                *self._columns(rows, keys=self.keys),
                schema=self.schema_,
            )
            self._check_fit(connection, table)
            arriving = sa.Table(
                f"{self.table}_arriving",
                sa.MetaData(),
                *self._columns(rows),
                prefixes=["TEMPORARY"],
            )
            number = self._fill(connection, arriving, writing, rows)
        except BaseException:
            connection.close()
            raise
        return StagedRows(self, connection, table, arriving, progress, number)

    def _columns(self, rows: Relation, keys: tuple[str, ...] = ()) -> list[sa.Column[object]]:
        return [
            sa.Column(name, sql_type(rows.types[name]), primary_key=name in keys)
            for name in rows.columns
        ]

    def _check_fit(self, connection: sa.Connection, table: sa.Table) -> None:
        with transaction(connection):
            inspector = sa.inspect(connection)
            if not inspector.has_table(self.table, self.schema_):
                return
            there = {one["name"] for one in inspector.get_columns(self.table, self.schema_)}
        if new := [one.name for one in table.c if one.name not in there]:
            raise SchemaChanged(f"{self.target!r} has no {', '.join(new)}")

    def _fill(
        self, connection: sa.Connection, arriving: sa.Table, writing: Writing, rows: Relation
    ) -> int:
        number = 0
        query = exp.select(*(column(name) for name in rows.columns)).from_(rows.table)
        with transaction(connection):
            arriving.create(connection)
            for batch in writing.engine.stream(query, f"sink {self.target}").batches:
                if batch.num_rows:
                    connection.execute(sa.insert(arriving), batch.to_pylist())
                    number += batch.num_rows
        return number

    @contextmanager
    def _connected(self) -> Iterator[sa.Connection]:
        with reporting(), connect(self.url).connect() as connection:
            yield connection


@dataclass
class StagedRows:
    """Rows in a temporary table, on a connection of their own."""

    sink: SqlSink
    connection: sa.Connection
    table: sa.Table
    arriving: sa.Table
    progress: Progress
    rows: int

    def commit(self, notes: Mapping[str, str]) -> int:
        """See `Staged.commit`.

        Raises:
            ConcurrentCommit: the position is not where the run began.
            DatabaseFailed: the database refuses the rows; nothing is committed.
        """
        with transaction(self.connection, writes=True):
            version = self._advance()
            self._apply()
        self.connection.close()
        return version

    def discard(self) -> None:
        """See `Staged.discard`: the database drops the temporary table."""
        self.connection.close()

    def try_out(self) -> Effects:
        """What a commit would do."""
        with reporting(), self.connection.begin() as undone:
            effects = self._apply()
            undone.rollback()
        return effects

    def _advance(self) -> int:
        """Move the position from where the run began; the new version."""
        positions.create(self.connection, checkfirst=True)
        at, mine = positions.c, _row(self.progress.writer, self.sink.target)
        moved = self.connection.execute(
            sa.update(positions)
            .where(mine, at.position == self.progress.before)
            .values(
                position=self.progress.after, version=at.version + 1, committed_at=datetime.now(UTC)
            )
        )
        if moved.rowcount == 0:
            self._begin()
        version: int = self.connection.execute(sa.select(at.version).where(mine)).scalar_one()
        return version

    def _begin(self) -> None:
        progress = self.progress
        values = {"writer": progress.writer, "target": self.sink.target, "position": progress.after}
        taken = ConcurrentCommit(f"{self.sink.target!r}: another run has moved {progress.writer!r}")
        if progress.before:
            raise taken
        try:
            self.connection.execute(
                sa.insert(positions).values(**values, version=0, committed_at=datetime.now(UTC))
            )
        except sa.exc.IntegrityError:
            raise taken from None

    def _apply(self) -> Effects:
        self.table.create(self.connection, checkfirst=True)
        changed = removed = 0
        arriving = sa.select(self.arriving)
        if self.sink.mode is How.REPLACE:
            removed = self.connection.execute(sa.delete(self.table)).rowcount
        if self.sink.mode is How.UPSERT:
            changed = self._update()
            there = sa.select(sa.literal(1)).select_from(self.table).where(self._same())
            arriving = arriving.where(~there.exists())
        added = sa.select(sa.func.count()).select_from(arriving.subquery())
        number: int = self.connection.execute(added).scalar_one()
        names = [one.name for one in self.arriving.c]
        self.connection.execute(sa.insert(self.table).from_select(names, arriving))
        return Effects(self.rows, number, changed, removed)

    def _same(self) -> sa.ColumnElement[bool]:
        return sa.and_(*(self.table.c[key] == self.arriving.c[key] for key in self.sink.keys))

    def _update(self) -> int:
        """Only rows that differ are written to."""
        others = [one.name for one in self.table.c if one.name not in self.sink.keys]
        if not others:
            return 0
        differs = (self.table.c[n].is_distinct_from(self.arriving.c[n]) for n in others)
        values = {name: self.arriving.c[name] for name in others}
        update = sa.update(self.table).where(self._same(), sa.or_(*differs)).values(values)
        return self.connection.execute(update).rowcount


def _row(writer: str, target: str) -> sa.ColumnElement[bool]:
    return sa.and_(positions.c.writer == writer, positions.c.target == target)
