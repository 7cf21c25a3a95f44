"""Answers from a warehouse: tables in PostgreSQL, whose commits are numbered: see `triptych.database.positions`.

PostgreSQL keeps no earlier version of a table. So an answer is computed in one snapshot, in which the
table is of the version that is asked for; once it has moved on, that version is gone.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Final

import pyarrow as pa
import sqlalchemy as sa
from opentelemetry import trace

from triptych.analytics.application.errors import (
    AnswerTooLarge,
    QueryTooSlow,
    UnfitColumn,
    VersionGone,
)
from triptych.analytics.application.ports import (
    AsOf,
    Part,
    Query,
    TableVersion,
    Version,
    Versions,
)
from triptych.analytics.infrastructure.paging import (
    BATCH_ROWS,
)
from triptych.analytics.infrastructure.postgresql import POSTGRESQL, column_type
from triptych.analytics.infrastructure.sql_tables import SqlTables
from triptych.core.documents import nearest
from triptych.core.errors import Kind, TriptychError
from triptych.database.engine import (
    DatabaseAway,
    Unstorable,
    WrongDatabase,
    opened_database,
    reading,
)
from triptych.database.positions import Commit, newest

SETTING: Final = "TRIPTYCH_WAREHOUSE__URL"
_TRACER: Final = trace.get_tracer("triptych.analytics")


class NotCommitted(TriptychError):
    """Nothing was ever committed to the table in PostgreSQL."""

    kind = Kind.NOT_FOUND
    hint = "Run the pipeline whose sink `sql` writes it."


class NotYetCommitted(TriptychError):
    """The table has no such version yet."""

    kind = Kind.NOT_FOUND
    hint = "Its schema tells which version it has."


class WarehouseTables(SqlTables):
    """Answers from tables of a PostgreSQL database. Thread-safe."""

    def __init__(self, engine: sa.Engine, targets: Sequence[str], seconds: float) -> None:
        super().__init__(POSTGRESQL)
        self._engine = engine.execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        )
        self.targets: Mapping[str, str] = {target.rpartition(".")[2]: target for target in targets}
        self._seconds = seconds
        self._known: dict[str, TableVersion] = {}

    def names(self) -> Sequence[str]:
        """See `Tables.names`."""
        with self._reading() as connection:
            return sorted(n for n, target in self.targets.items() if newest(connection, target))

    def check(self) -> None:
        """Touch the database.

        Raises:
            DatabaseAway: it cannot be read.
        """
        with self._reading() as connection:
            connection.execute(sa.select(1))

    def version(self, name: str, as_of: AsOf = None) -> TableVersion:
        """See `Tables.version`."""
        with self._reading() as connection:
            commit = self._newest(connection, name)
            known = self._known.get(name)
            if known is None or known.version != commit.version:
                known = self._known[name] = self._described(connection, name, commit)
        if isinstance(as_of, int) and as_of > known.version:
            raise NotYetCommitted(f"{name!r} has no version {as_of}")
        later = as_of < known.committed_at if isinstance(as_of, datetime) else False
        if later or (isinstance(as_of, int) and as_of < known.version):
            raise VersionGone(f"{name!r} is at version {known.version}, PostgreSQL keeps no other")
        return known

    def history(self, name: str, limit: int) -> Sequence[Version]:
        """See `Tables.history`: there is but one."""
        table = self.version(name)
        return [Version(table.version, table.committed_at, "")]

    def stream(self, query: Query, versions: Versions, part: Part) -> Iterator[pa.Table]:
        """See `Tables.stream`."""
        statement = self._paged(query, versions, part).limit(part.limit)
        with self._answering(versions) as connection:
            at_once = {"yield_per": BATCH_ROWS}
            found = connection.execute(statement, execution_options=at_once)
            schema, rows = _schema(found, statement), None
            for rows in found.partitions():
                yield _table(rows, schema)
            if rows is None:
                yield schema.empty_table()

    def _fetch(self, statement: sa.Select[Any], versions: Versions) -> pa.Table:
        with self._answering(versions) as connection:
            found = connection.execute(statement)
            schema = _schema(found, statement)
            return _table(found.all(), schema)

    @contextmanager
    def _answering(self, versions: Versions) -> Iterator[sa.Connection]:
        """A transaction in which the tables are of these versions."""
        told = {f"{table.name}.version": table.version for table in versions.values()}
        span = _TRACER.start_as_current_span("tables.query", attributes=told)
        with span, self._reading() as connection:
            for name, table in versions.items():
                if (now := self._newest(connection, name).version) != table.version:
                    raise VersionGone(f"{name!r} has moved on from {table.version} to {now}")
            yield connection

    @contextmanager
    def _reading(self) -> Iterator[sa.Connection]:
        limit = sa.func.set_config("statement_timeout", f"{self._seconds * 1000:.0f}ms", sa.true())
        try:
            with reading(self._engine) as connection:
                connection.execute(sa.select(limit))
                yield connection
        except (DatabaseAway, Unstorable) as error:
            match getattr(getattr(error.__cause__, "orig", None), "sqlstate", None) or "":
                case "57014":
                    raise QueryTooSlow(f"after {self._seconds:g} s") from None
                case "53200" | "53400":  # out of memory, or of what temporary files may take
                    raise AnswerTooLarge(str(error)) from None
                case state if state.startswith(("22", "42")):  # the wrong data, or the wrong type
                    raise UnfitColumn(str(error)) from None
            raise

    def _newest(self, connection: sa.Connection, name: str) -> Commit:
        if (target := self.targets.get(name)) is None:
            raise NotCommitted(f"{name!r}: {nearest(name, self.targets)}")
        if (commit := newest(connection, target)) is None:
            raise NotCommitted(repr(name))
        return commit

    def _described(self, connection: sa.Connection, name: str, commit: Commit) -> TableVersion:
        schema, _, table = self.targets[name].rpartition(".")
        found = sa.Table(table, sa.MetaData(), schema=schema or None, autoload_with=connection)
        columns = {column.name: column_type(column.type) for column in found.c}
        rows = connection.execute(sa.select(sa.func.count()).select_from(found)).scalar_one()
        return TableVersion(name, commit.version, columns, rows, commit.at, found)


@contextmanager
def open_warehouse(url: str, targets: Sequence[str], seconds: float) -> Iterator[WarehouseTables]:
    """These tables of a database: `sales`, or `warehouse.sales` in a schema of that name.

    Raises:
        WrongDatabase: it is no PostgreSQL.
    """
    with opened_database(url, setting=SETTING) as engine:
        if engine.dialect.name != "postgresql":
            raise WrongDatabase(f"{SETTING}: it is no URL of a PostgreSQL")
        yield WarehouseTables(engine, targets, seconds)


# By the numbers of types in PostgreSQL's catalogue; a decimal is of the scale that its column has.
_ARROW: Final[Mapping[int, pa.DataType]] = {
    16: pa.bool_(),
    20: pa.int64(),
    21: pa.int64(),
    23: pa.int64(),
    700: pa.float64(),
    701: pa.float64(),
    1082: pa.date32(),
    1184: pa.timestamp("us", "UTC"),
}
_NUMERIC: Final = 1700
_LONGEST: Final = 38  # digits of a decimal


def _schema(found: sa.CursorResult[Any], statement: sa.Select[Any]) -> pa.Schema:
    """What the rows are; decimals are of the scale of the column that they come from."""
    assert found.cursor is not None  # noqa: S101  # it returns rows
    kinds = {column.name: column.type_code for column in found.cursor.description}  # type: ignore[attr-defined]
    scales = {column.name: _scale(column.type) for column in statement.selected_columns}
    return pa.schema(
        [
            (
                name,
                (
                    pa.decimal128(_LONGEST, scales[name])
                    if kind == _NUMERIC
                    else _ARROW.get(kind, pa.string())
                ),
            )
            for name, kind in kinds.items()
        ]
    )


def _scale(kind: sa.types.TypeEngine[Any]) -> int:
    """Digits behind the point: none of a sum of whole numbers, half of all where nothing is said."""
    if isinstance(kind, sa.Integer):
        return 0
    scale = kind.scale if isinstance(kind, sa.Numeric) else None
    return _LONGEST // 2 if scale is None else scale


def _table(rows: Sequence[sa.Row[Any]], schema: pa.Schema) -> pa.Table:
    columns = list(zip(*rows, strict=True)) or [()] * len(schema)
    try:
        arrays = [pa.array(each, field.type) for each, field in zip(columns, schema, strict=True)]
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise UnfitColumn(str(error).splitlines()[0]) from error
    return pa.table(arrays, schema=schema)
