"""The engine `spark`: a Spark Connect server, for what one machine cannot hold."""

import shutil
import tempfile
import uuid
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field
from sqlglot import exp

from triptych.core.documents import Part
from triptych.core.errors import Kind, TriptychError
from triptych.etl.application.ports import Batches, Format, QueryFailed, Rows, Scan, Written
from triptych.etl.domain.relation import ROW, Relation
from triptych.etl.domain.secrets import Hidden
from triptych.etl.infrastructure.arrow import relation
from triptych.etl.infrastructure.engines.duckdb import DuckDb, DuckDbEngine
from triptych.etl.infrastructure.engines.spark_sql import statement
from triptych.lake.change import DataFile
from triptych.lake.errors import LakeAway

if TYPE_CHECKING:
    from pyspark.sql import DataFrame
    from pyspark.sql.connect.session import SparkSession

_CONFIGURATION: Final = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "true",  # as in DuckDB, what cannot be computed is an error
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
}
_RETRIES: Final = 4  # within about 10 s; Spark's own 15 would take ten minutes
_AWAY: Final = frozenset({"UNAVAILABLE", "DEADLINE_EXCEEDED", "UNAUTHENTICATED"})


class NoSparkClient(TriptychError):
    """The engine `spark` needs a package that is not installed"""

    kind = Kind.INVALID
    hint = "Install it: pip install 'triptych-etl[spark]'."


class EngineAway(TriptychError):
    """The server that runs pipelines cannot be reached"""

    kind = Kind.UNAVAILABLE
    hint = "Nothing was committed. Check TRIPTYCH_ENGINE__SPARK__URL and the server; run it again."


class Spark(Part):
    """Run the pipeline on a Spark cluster, by way of its Spark Connect server."""

    url: Hidden = Field(
        description="The server; `${NAME}` stands for a variable of the environment.",
        examples=["sc://spark.example:15002"],
    )
    scratch: Path | None = Field(
        default=None,
        description="A folder that the cluster and this process share under one path, for what is"
        " computed once; a temporary one if left out, which does for a server on this machine.",
    )

    @contextmanager
    def open(self) -> Iterator["SparkEngine"]:
        """See `EngineFactory.open`.

        Raises:
            NoSparkClient: the extra `spark` is not installed.
            EngineAway: the server cannot be reached.
        """
        if find_spec("pyspark") is None:
            raise NoSparkClient("pyspark-client is missing")
        session = _connect(self.url.get_secret_value())
        try:
            with (
                DuckDb().open() as empty,
                tempfile.TemporaryDirectory(
                    prefix="etl-", dir=self.scratch, ignore_cleanup_errors=True
                ) as scratch,
            ):
                yield SparkEngine(session, Path(scratch), empty)
        finally:
            with suppress(Exception):  # a server that is gone has nothing to release
                session.stop()


def _connect(url: str) -> "SparkSession":
    with warnings.catch_warnings():
        # It warns of the newest pandas, which nothing here uses.
        warnings.simplefilter("ignore", FutureWarning)
        from pyspark.sql.connect.client.retries import DefaultPolicy  # noqa: PLC0415
        from pyspark.sql.connect.session import SparkSession  # noqa: PLC0415

    with _reporting("the engine spark"):
        session = SparkSession.builder.remote(url).create()
        session.client.set_retry_policies([DefaultPolicy(max_retries=_RETRIES)])
        for name, value in _CONFIGURATION.items():
            session.conf.set(name, value)
    return session


class SparkEngine:
    """One session of a Spark Connect server, for one run. For one thread."""

    def __init__(self, session: "SparkSession", scratch: Path, empty: DuckDbEngine) -> None:
        self._session = session
        self._scratch = scratch
        self._empty = empty
        """The same relations without rows: they tell of which types DuckDB's results are."""
        self._views: dict[str, str] = {}
        """What the session calls each relation, whose own name may be any text."""

    def load(self, name: str, rows: Rows, label: str) -> Relation:
        """See `Engine.load`. The numbers are stored with the rows, or they would change."""
        from pyspark.sql.connect import functions as f  # noqa: PLC0415

        with _reporting(label):
            raw = self._read(rows, label)
            columns = [f.col(_quoted(column)) for column in raw.columns]
            numbered = raw.select(f.monotonically_increasing_id().alias(ROW), *columns)
            return self._name(name, self._stored(numbered))

    def attach(self, name: str, rows: Rows, label: str) -> Relation:
        """See `Engine.attach`."""
        with _reporting(label):
            return self._name(name, self._read(rows, label))

    def view(self, name: str, query: exp.Query, label: str) -> Relation:
        """See `Engine.view`."""
        with _reporting(label):
            return self._name(name, self._checked(query, label))

    def table(self, name: str, query: exp.Query, label: str) -> Relation:
        """See `Engine.table`."""
        with _reporting(label):
            return self._name(name, self._stored(self._checked(query, label)))

    def stream(self, query: exp.Query, label: str) -> Batches:
        """See `Engine.stream`."""
        with _reporting(label):
            found = self._ask(query)
            arrow = found.toArrow()
            return Batches(
                _nullable(arrow.schema), arrow.cast(_nullable(arrow.schema)).to_batches()
            )

    def write(self, query: exp.Query, folder: Path, partition_by: tuple[str, ...] = ()) -> Written:
        """See `Engine.write`."""
        staging = folder / f"staging-{uuid.uuid4().hex}"
        try:
            staging.mkdir()
        except OSError as error:
            raise LakeAway(str(error)) from None
        try:
            with _reporting("what is written"):
                found = self._ask(query)
                schema = _schema(found)
                files = tuple(self._written(found, schema, staging, partition_by))
            return Written(schema, files)
        finally:
            shutil.rmtree(staging, ignore_errors=True)

    def _written(
        self, found: "DataFrame", schema: pa.Schema, staging: Path, partition_by: Sequence[str]
    ) -> Iterator[DataFile]:
        from pyspark.sql.connect import functions as f  # noqa: PLC0415

        # Spark takes the columns that it divides by out of the files: so it divides by copies,
        # which no value can spoil the folder's name with.
        copies = {
            f"_partition_{number}": f.coalesce(
                f.concat(f.lit("v"), f.hex(f.col(_quoted(name)).cast("string"))), f.lit("null")
            )
            for number, name in enumerate(partition_by)
        }
        target = staging / "rows"
        if copies:
            divided = found.select("*", *(copy.alias(name) for name, copy in copies.items()))
            divided = divided.repartition(*copies)
            divided.write.partitionBy(*copies).parquet(str(target))
        else:
            found.repartition(1).write.parquet(str(target))
        written = sorted(target.rglob("*.parquet"))
        if not written and not copies:
            written = [staging / "empty.parquet"]
            pq.write_table(schema.empty_table(), written[0], store_schema=False)
        for file in written:
            lifted = staging.parent / f"{uuid.uuid4().hex}.parquet"
            file.rename(lifted)
            values = (
                [_value(part) for part in file.relative_to(target).parts[:-1]] if copies else []
            )
            partition = tuple(zip(partition_by, values, strict=True))
            yield DataFile(lifted, pq.read_metadata(lifted).num_rows, partition)

    def _read(self, rows: Rows, label: str) -> "DataFrame":
        if isinstance(rows, Batches):
            return self._brought(rows)
        if rows.files and rows.format is Format.PARQUET and rows.file_column is None:
            from pyspark.sql.pandas.types import from_arrow_schema  # noqa: PLC0415

            schema = from_arrow_schema(rows.schema, prefer_timestamp_ntz=True)
            return self._session.read.schema(schema).parquet(*rows.files)
        return self._brought(_text(rows, label))

    def _brought(self, rows: Batches) -> "DataFrame":
        """Rows that this process has: by way of a file, as there may be more than memory holds."""
        file = self._scratch / f"{uuid.uuid4().hex}.parquet"
        with pq.ParquetWriter(file, rows.schema, store_schema=False) as writer:
            for batch in rows.batches:
                writer.write_batch(batch)
        return self._session.read.parquet(str(file))

    def _stored(self, rows: "DataFrame") -> "DataFrame":
        folder = str(self._scratch / uuid.uuid4().hex)
        rows.write.parquet(folder)
        return self._session.read.schema(rows.schema).parquet(folder)

    def _ask(self, query: exp.Query) -> "DataFrame":
        """What a query gives, of the types that it has on DuckDB: a table keeps them."""
        from pyspark.sql.connect import functions as f  # noqa: PLC0415
        from pyspark.sql.pandas.types import from_arrow_schema  # noqa: PLC0415

        asked = statement(query, self._views)
        found = self._session.sql(asked.sql, dict(asked.secrets))
        nothing = exp.select("*").from_(query.copy().subquery("made")).limit(0)
        try:
            wanted = self._empty.stream(nothing, "types").schema
        except QueryFailed:  # it is for Spark alone
            return found
        there = _schema(found)
        if there == wanted or there.names != wanted.names or len(set(there.names)) < len(there):
            return found
        columns = [
            f.col(_quoted(field.name)).cast(field.dataType).alias(field.name)
            for field in from_arrow_schema(wanted)
        ]
        return found.select(*columns)

    def _checked(self, query: exp.Query, label: str) -> "DataFrame":
        found = self._ask(query)
        seen: set[str] = set()
        for name in map(str.lower, found.columns):
            if name in seen:
                raise QueryFailed(f"{label}: there are two columns {name!r}")
            seen.add(name)
        return found

    def _name(self, name: str, rows: "DataFrame") -> Relation:
        view = f"relation_{uuid.uuid4().hex}"
        rows.createTempView(view)
        self._views[name] = view
        schema = _schema(rows)
        self._empty.attach(name, Batches(schema, []), name)
        return relation(name, schema)


def _text(scan: Scan, label: str) -> Batches:
    """Text is read here, as DuckDB reads it: no two readers of CSV and JSON agree on all files."""
    with DuckDb().open() as reader:
        read = reader.attach("text", scan, label)
        names = [exp.column(name, quoted=True) for name in read.types]
        found = reader.stream(exp.select(*names).from_(read.table), label)
        return Batches(found.schema, list(found.batches))


def _schema(rows: "DataFrame") -> pa.Schema:
    from pyspark.sql.pandas.types import to_arrow_schema  # noqa: PLC0415

    return _nullable(to_arrow_schema(rows.schema, timezone="UTC"))


def _nullable(schema: pa.Schema) -> pa.Schema:
    """Any column may be null, as in DuckDB: a table must not learn otherwise from one run."""
    return pa.schema([(field.name, field.type) for field in schema])


def _quoted(name: str) -> str:
    return f"`{name.replace('`', '``')}`"


def _value(folder: str) -> str | None:
    """What the name of a partition's folder says of its value."""
    told = folder.partition("=")[2]
    return None if told == "null" else bytes.fromhex(told[1:]).decode()


@contextmanager
def _reporting(label: str) -> Iterator[None]:
    from pyspark.errors import PySparkException  # noqa: PLC0415
    from pyspark.errors.exceptions.connect import SparkConnectGrpcException  # noqa: PLC0415
    from pyspark.sql.connect.client.retries import RetryException  # noqa: PLC0415

    try:
        with warnings.catch_warnings():
            # The error says it, too.
            warnings.filterwarnings("ignore", r"\[RETRIES_EXCEEDED\]", UserWarning)
            yield
    except (PySparkException, RetryException, pa.ArrowException) as error:
        told = f"{label}: {(str(error).strip() or type(error).__name__).splitlines()[0]}"
        away = isinstance(error, RetryException)
        if isinstance(error, SparkConnectGrpcException):
            away = away or error.getGrpcStatusCode().name in _AWAY
        raise (EngineAway if away else QueryFailed)(told) from None
