"""The engine `duckdb`: DuckDB inside this process, for what one machine can hold."""

import shutil
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, cast

import duckdb
import pyarrow as pa
from pydantic import Field
from sqlglot import exp

from triptych.core.documents import Part
from triptych.core.errors import Kind, TriptychError
from triptych.etl.application.ports import Batches, Format, QueryFailed, Rows, Scan, Written
from triptych.etl.domain.expressions import DIALECT
from triptych.etl.domain.relation import ROW, Relation, column, named, text
from triptych.etl.infrastructure.arrow import relation
from triptych.etl.infrastructure.engines.scans import reads
from triptych.lake.change import DataFile
from triptych.lake.errors import LakeAway

_BATCH: Final = 65_536  # rows


class MemoryFull(TriptychError):
    """The engine has not enough memory, nor room to spill to."""

    kind = Kind.UNAVAILABLE
    hint = "Nothing was written. Allow more: TRIPTYCH_ENGINE__DUCKDB__MEMORY, or room for `spill`."


class DuckDb(Part):
    """Run the pipeline on DuckDB inside this process."""

    memory: str = Field(
        default="80%",
        pattern=r"^[1-9][0-9]*(%| ?[KMGT]i?B)$",
        description="How much memory it may take; what is more is spilled to disk.",
        examples=["4GB"],
    )
    spill: Path | None = Field(
        default=None, description="Where it spills to; a temporary folder if it is left out."
    )
    threads: int | None = Field(default=None, ge=1, description="All of the machine's if left out.")

    @contextmanager
    def open(self) -> Iterator["DuckDbEngine"]:
        """See `EngineFactory.open`."""
        with (
            TemporaryDirectory(prefix="triptych-etl-") as temporary,
            duckdb.connect() as connection,
        ):
            connection.execute("SET GLOBAL TimeZone = 'UTC'")
            connection.execute("SET memory_limit = $1", [self.memory])
            connection.execute("SET temp_directory = $1", [str(self.spill or temporary)])
            if self.threads is not None:
                connection.execute("SET threads = $1", [self.threads])
            yield DuckDbEngine(connection)


class DuckDbEngine:
    """One in-memory database, for one run. For one thread."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        self._read_later: list[Scan] = []  # what holds their files goes with the engine

    def load(self, name: str, rows: Rows, label: str) -> Relation:
        """See `Engine.load`."""
        with _renaming(rows):
            if isinstance(rows, Scan) and rows.files and rows.format is Format.PARQUET:
                self._read_later.append(rows)
                # Rows of columnar files have numbers already: their places in the files.
                return self.view(name, reads(rows, numbered=True), label)
            raw = self.attach(f"{name}_arriving", rows, label)
            # A table's rows have numbers, which a join finds them by.
            self._create("TABLE", f"{name}_rows", raw.all(), label)
        numbered = [named(exp.column("rowid"), ROW), *(column(n) for n in raw.columns)]
        query = exp.select(*numbered).from_(exp.table_(f"{name}_rows", quoted=True))
        return self.view(name, query, label)

    def attach(self, name: str, rows: Rows, label: str) -> Relation:
        """See `Engine.attach`."""
        if isinstance(rows, Scan):
            if not rows.files:
                return self.attach(name, Batches(rows.schema, []), label)
            return self.view(name, reads(rows), label)
        raised: list[TriptychError] = []
        reader = pa.RecordBatchReader.from_batches(rows.schema, _noting(rows.batches, raised))
        arriving = f"arriving_{uuid.uuid4().hex}"
        self._connection.register(arriving, reader)
        try:
            query = exp.select(exp.Star()).from_(exp.table_(arriving, quoted=True))
            with _reporting(label):
                self._execute_create("TABLE", name, query)  # it can be read but once
        except QueryFailed:
            if raised:  # it is the source that failed
                raise raised[0] from None
            raise
        finally:
            self._connection.unregister(arriving)
        return relation(name, self._schema(exp.select("*").from_(exp.table_(name, quoted=True))))

    def view(self, name: str, query: exp.Query, label: str) -> Relation:
        """See `Engine.view`."""
        return self._create("VIEW", name, query, label)

    def table(self, name: str, query: exp.Query, label: str) -> Relation:
        """See `Engine.table`."""
        return self._create("TABLE", name, query, label)

    def stream(self, query: exp.Query, label: str) -> Batches:
        """See `Engine.stream`."""
        with _reporting(label):
            reader = self._reader(query)
        return Batches(reader.schema, _reading(reader, label))

    def write(self, query: exp.Query, folder: Path, partition_by: tuple[str, ...] = ()) -> Written:
        """See `Engine.write`."""
        name = uuid.uuid4().hex
        target = folder / (f"staging-{name}" if partition_by else f"{name}.parquet")
        with _reporting("what is written"), _removing(target):
            schema = self._schema(query)
            try:
                found = self._connection.execute(_copy(query, target, partition_by)).fetchall()
            except duckdb.IOException as error:  # a full disk, a forbidden folder
                raise LakeAway(str(error).splitlines()[0]) from None
            if not partition_by:
                rows = sum(rows for _, rows, *_ in found)
                return Written(schema, (DataFile(target, rows),))
            files = (
                DataFile(_lifted(Path(path), folder), rows, tuple(partition.items()))
                for path, rows, _, _, _, partition, *_ in found
            )
            return Written(schema, tuple(files))

    def _execute_create(self, what: str, name: str, query: exp.Query) -> None:
        table = exp.table_(name, quoted=True)
        create = exp.Create(this=table, kind=what, expression=query.copy(), replace=True)
        self._connection.execute(create.sql(DIALECT)).fetchall()

    def _schema(self, query: exp.Query) -> pa.Schema:
        none = exp.select("*").from_(query.copy().subquery()).limit(0)
        return self._reader(none).schema

    def _reader(self, query: exp.Query) -> pa.RecordBatchReader:
        """What a query gives: on a cursor of its own, so that others may run meanwhile."""
        found = self._connection.cursor().sql(query.sql(DIALECT))
        return cast("pa.RecordBatchReader", found.to_arrow_reader(_BATCH))

    def _create(self, what: str, name: str, query: exp.Query, label: str) -> Relation:
        with _reporting(label):
            found = self._connection.cursor().sql(query.sql(DIALECT))
            _refuse_doubles(found.columns, label)
            schema = self._schema(query)
            self._execute_create(what, name, query)
        return relation(name, schema)


@contextmanager
def _renaming(rows: Rows) -> Iterator[None]:
    """Call files what people call them, should one not be readable."""
    try:
        yield
    except QueryFailed as error:
        if isinstance(rows, Scan) and rows.renamed is not None:
            raise QueryFailed(str(error).replace(*rows.renamed)) from None
        raise


def _copy(query: exp.Query, target: Path, partition_by: tuple[str, ...]) -> str:
    options: dict[str, exp.Expr] = {"FORMAT": exp.var("PARQUET"), "RETURN_STATS": exp.true()}
    if partition_by:
        columns = exp.Tuple(expressions=[exp.to_identifier(n, quoted=True) for n in partition_by])
        options |= {"PARTITION_BY": columns, "WRITE_PARTITION_COLUMNS": exp.true()}
        options |= {"FILENAME_PATTERN": text("{uuid}")}
    return exp.Copy(
        this=exp.Subquery(this=query.copy()),
        kind=False,
        files=[text(str(target))],
        params=[
            exp.CopyParameter(this=exp.var(name), expression=value)
            for name, value in options.items()
        ],
    ).sql(DIALECT)


def _lifted(file: Path, folder: Path) -> Path:
    """The file, moved out of the folders of its partition."""
    target = folder / f"{uuid.uuid4().hex}.parquet"
    file.rename(target)
    return target


@contextmanager
def _removing(target: Path) -> Iterator[None]:
    """Leave no half of a file behind, and no empty folders."""
    try:
        yield
    except BaseException:
        target.unlink(missing_ok=True) if target.suffix else None
        raise
    finally:
        if not target.suffix:
            shutil.rmtree(target, ignore_errors=True)


def _reading(reader: pa.RecordBatchReader, label: str) -> Iterator[pa.RecordBatch]:
    with _reporting(label):
        yield from reader


def _noting(
    batches: Iterable[pa.RecordBatch], raised: list[TriptychError]
) -> Iterator[pa.RecordBatch]:
    """The batches; DuckDB keeps no more of what their source raises than its text."""
    try:
        yield from batches
    except TriptychError as error:
        raised.append(error)
        raise


def _refuse_doubles(columns: list[str], label: str) -> None:
    """DuckDB would rename the second of two columns, and compute with the wrong one."""
    seen: set[str] = set()
    for name in map(str.lower, columns):
        if name in seen:
            raise QueryFailed(f"{label}: there are two columns {name!r}")
        seen.add(name)


@contextmanager
def _reporting(label: str) -> Iterator[None]:
    try:
        yield
    except duckdb.OutOfMemoryException as error:
        raise MemoryFull(f"{label}: {str(error).splitlines()[0]}") from None
    except (duckdb.Error, pa.ArrowException) as error:
        raise QueryFailed(f"{label}: {_said(str(error))}") from None


def _said(message: str) -> str:
    """What DuckDB says, in a line: of a file, also which it is, and not what is in it."""
    first, *others = (line.strip() for line in message.splitlines())
    telling = [
        line for line in others if line.startswith(("file = ", "Expected Number", "Value with"))
    ]
    return "; ".join([first, *telling])
