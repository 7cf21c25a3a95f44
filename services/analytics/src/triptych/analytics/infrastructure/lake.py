"""Answers from the lake's tables, computed by DuckDB over the files of their versions."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import duckdb
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
    TimeRange,
    Version,
    Versions,
)
from triptych.analytics.domain.columns import ColumnType
from triptych.analytics.infrastructure.duckdb import DUCKDB
from triptych.analytics.infrastructure.paging import BATCH_ROWS
from triptych.analytics.infrastructure.sql_tables import SqlTables
from triptych.analytics.infrastructure.statements import compiled
from triptych.lake.errors import LakeAway
from triptych.lake.lake import Lake
from triptych.lake.table import Snapshot, Table

_TRACER: Final = trace.get_tracer("triptych.analytics")
_VERSIONS: Final = 256
"""How many versions that were named are remembered."""
_AGAIN_SECONDS: Final = 0.05


class LakeTables(SqlTables):
    """Answers from the versions of the lake's tables. Thread-safe."""

    def __init__(self, lake: Lake, connection: duckdb.DuckDBPyConnection, seconds: float) -> None:
        super().__init__(DUCKDB)
        self._lake = lake
        self._connection = connection
        self._seconds = seconds
        self._tables: dict[str, Table] = {}
        self._newest: dict[str, TableVersion] = {}
        self._named: dict[tuple[str, AsOf], TableVersion] = {}
        self._ranges: dict[tuple[str, str], tuple[int, TimeRange]] = {}

    def names(self) -> Sequence[str]:
        """See `Tables.names`."""
        return self._lake.names()

    def check(self) -> None:
        """Touch the lake.

        Raises:
            LakeAway: it cannot be read.
        """
        self._lake.names()

    def version(self, name: str, as_of: AsOf = None) -> TableVersion:
        """See `Tables.version`. While there is none newer, the newest costs a look at a folder."""
        # Asked at every request: only a table that was found is remembered, whatever names are asked for.
        table = self._tables.get(name) or self._lake.table(name)
        known = self._newest.get(name)
        if as_of is None:
            if known is None or table.moved_on(known.version):
                known = self._newest[name] = _version(table, table.snapshot())
                self._tables[name] = table
            return known
        # Who walks through pages asks for one version again and again.
        key = (name, as_of)
        found = known if known and known.version == as_of else self._named.get(key)
        if found is None or not _is_there(found):
            found = _version(table, table.snapshot(as_of))
            if isinstance(as_of, int):
                self._named[key] = found
                while len(self._named) > _VERSIONS:
                    self._named.pop(next(iter(self._named)), None)
        return found

    def history(self, name: str, limit: int) -> Sequence[Version]:
        """See `Tables.history`."""
        return [
            Version(entry.number, entry.at, entry.notes.get("operation", ""))
            for entry in self._lake.table(name).history(limit)
        ]

    def stream(self, query: Query, versions: Versions, part: Part) -> Iterator[pa.Table]:
        """See `Tables.stream`."""
        statement = self._paged(query, versions, part).limit(part.limit)
        with self._computing(versions) as cursor:
            sql, values = compiled(statement)
            reader = cursor.sql(sql, params=values).to_arrow_reader(BATCH_ROWS)
            batch = None
            for batch in reader:
                yield pa.Table.from_batches([batch])
            if batch is None:
                yield reader.schema.empty_table()

    def time_range(self, table: TableVersion, column: str) -> TimeRange:
        """See `Tables.time_range`: it is remembered for the newest version that was asked for."""
        known = self._ranges.get((table.name, column))
        if known is None or known[0] != table.version:
            known = table.version, super().time_range(table, column)
            self._ranges[table.name, column] = known
        return known[1]

    def _fetch(self, statement: sa.Select[Any], versions: Versions) -> pa.Table:
        sql, values = compiled(statement)
        with self._computing(versions) as cursor:
            found: pa.Table = cursor.sql(sql, params=values).to_arrow_table()
        return found

    @contextmanager
    def _computing(self, versions: Versions) -> Iterator[duckdb.DuckDBPyConnection]:
        told = {f"{table.name}.version": table.version for table in versions.values()}
        span = _TRACER.start_as_current_span("tables.query", attributes=told)
        with span, self._connection.cursor() as cursor, _ended_after(self._seconds, cursor) as stop:
            try:
                yield cursor
            except duckdb.InterruptException:
                if not stop.is_set():
                    raise
                raise QueryTooSlow(f"after {self._seconds:g} s") from None
            except (duckdb.BinderException, duckdb.ConversionException) as error:
                raise UnfitColumn(str(error).splitlines()[0]) from error
            except duckdb.OutOfMemoryException as error:
                raise AnswerTooLarge(str(error).splitlines()[0]) from error
            except duckdb.Error as error:
                _refuse_vacuumed(versions)
                raise LakeAway(str(error).splitlines()[0]) from error


@contextmanager
def open_tables(
    lake: Lake, *, seconds: float = 30, memory: str = "80%", threads: int | None = None
) -> Iterator[LakeTables]:
    """The tables of a lake, read by a DuckDB that can reach nothing else."""
    with duckdb.connect(":memory:") as connection:
        # Global: each answer is computed by a cursor, and a cursor inherits nothing else.
        connection.execute("SET GLOBAL TimeZone = 'UTC'")
        connection.execute("SET GLOBAL memory_limit = $1", [memory])
        if threads is not None:
            connection.execute("SET GLOBAL threads = $1", [threads])
        # A query that does not fit is refused: nobody waits for one that lives on the disk.
        connection.execute("SET temp_directory = ''")
        connection.execute("SET parquet_metadata_cache = true")
        connection.execute("SET allowed_directories = $1", [[str(lake.root)]])
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        yield LakeTables(lake, connection, seconds)


def _version(table: Table, snapshot: Snapshot) -> TableVersion:
    entries = table.history()
    committed = next((e.at for e in entries if e.number == snapshot.version), entries[0].at)
    return TableVersion(
        snapshot.table,
        snapshot.version,
        {field.name: column_type(field.type) for field in snapshot.schema},
        snapshot.rows,
        committed,
        snapshot,
    )


def column_type(kind: pa.DataType) -> ColumnType:
    """What the values of an Arrow type are."""
    is_ = pa.types
    match kind:
        case _ if is_.is_string(kind) or is_.is_large_string(kind) or is_.is_string_view(kind):
            return ColumnType.TEXT
        case _ if is_.is_integer(kind):
            return ColumnType.INTEGER
        case _ if is_.is_decimal(kind):
            # Sums of whole numbers are decimals without decimals: they are whole numbers still.
            return ColumnType.DECIMAL if kind.scale else ColumnType.INTEGER
        case _ if is_.is_floating(kind):
            return ColumnType.DOUBLE
        case _ if is_.is_boolean(kind):
            return ColumnType.BOOLEAN
        case _ if is_.is_date(kind):
            return ColumnType.DATE
        case _ if is_.is_timestamp(kind):
            return ColumnType.TIME
        case _:
            return ColumnType.OTHER


@contextmanager
def _ended_after(seconds: float, cursor: duckdb.DuckDBPyConnection) -> Iterator[threading.Event]:
    """Interrupt what the cursor does when its time is over; the event tells that it was."""
    over, done = threading.Event(), threading.Event()

    def end() -> None:
        if not done.wait(seconds):
            over.set()
            # Again and again: what is interrupted before it has begun, begins all the same.
            cursor.interrupt()
            while not done.wait(_AGAIN_SECONDS):
                cursor.interrupt()

    watcher = threading.Thread(target=end, daemon=True)
    watcher.start()
    try:
        yield over
    finally:
        done.set()
        watcher.join()  # or it would interrupt a cursor that is closed


def _is_there(table: TableVersion) -> bool:
    """Whether no vacuum has removed it."""
    snapshot = table.handle
    assert isinstance(snapshot, Snapshot)  # noqa: S101  # as `version` made it
    return all(file.path.exists() for file in snapshot.stored)


def _refuse_vacuumed(versions: Versions) -> None:
    for table in versions.values():
        if not _is_there(table):
            raise VersionGone(f"{table.name!r}: version {table.version} was vacuumed")
