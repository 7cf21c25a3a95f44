"""The engine `duckdb`: DuckDB inside this process, for what one machine can hold."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

import duckdb
import pyarrow as pa
from sqlglot import exp

from triptych.core.documents import Part
from triptych.etl.application.ports import QueryFailed
from triptych.etl.domain.expressions import DIALECT
from triptych.etl.domain.plan import table
from triptych.lake.errors import LakeAway


class DuckDb(Part):
    """Run the pipeline on DuckDB inside this process."""

    @contextmanager
    def open(self) -> Iterator["DuckDbEngine"]:
        """See `EngineFactory.open`."""
        with duckdb.connect(":memory:") as connection:
            connection.execute("SET TimeZone = 'UTC'")
            yield DuckDbEngine(connection)


class DuckDbEngine:
    """One in-memory database, for one run. For one thread."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection

    def load(self, relation: str, batches: Iterable[pa.RecordBatch]) -> int:
        """See `Engine.load`."""
        remaining = iter(batches)
        first = next(remaining, None)
        if first is None:
            return 0
        reader = pa.RecordBatchReader.from_batches(first.schema, chain([first], remaining))
        self._connection.register("arriving", reader)
        try:
            query = exp.select(exp.Star()).from_(table("arriving"))
            return self.table(relation, query, "source")
        finally:
            self._connection.unregister("arriving")

    def count(self, relation: str) -> int:
        """See `Engine.count`."""
        return self._number(
            exp.select(exp.Count(this=exp.Star())).from_(table(relation)).sql(DIALECT)
        )

    def view(self, relation: str, query: exp.Query, label: str) -> None:
        """See `Engine.view`."""
        self._create("VIEW", relation, query, label)

    def table(self, relation: str, query: exp.Query, label: str) -> int:
        """See `Engine.table`."""
        self._create("TABLE", relation, query, label)
        return self.count(relation)

    def schema(self, query: exp.Query) -> pa.Schema:
        """See `Engine.schema`."""
        none = query.limit(0) if isinstance(query, exp.Select) else query
        return self._connection.sql(none.sql(DIALECT)).to_arrow_table().schema

    def write(self, query: exp.Query, path: Path) -> int:
        """See `Engine.write`."""
        copy = exp.Copy(
            this=exp.Subquery(this=query.copy()),
            kind=False,
            files=[exp.Literal.string(str(path))],
            params=[exp.CopyParameter(this=exp.var("FORMAT"), expression=exp.var("PARQUET"))],
        )
        with _reporting("checks, or a step before them"):
            try:
                return self._number(copy.sql(DIALECT))
            except duckdb.IOException as error:  # a full disk, a forbidden folder
                raise LakeAway(str(error).splitlines()[0]) from None

    def _create(self, what: str, relation: str, query: exp.Query, label: str) -> None:
        create = exp.Create(this=table(relation), kind=what, expression=query.copy())
        with _reporting(label):
            _refuse_doubles(self._connection.sql(query.sql(DIALECT)).columns, label)
            self._connection.execute(create.sql(DIALECT)).fetchall()

    def _number(self, sql: str) -> int:
        [[number]] = self._connection.execute(sql).fetchall()
        return int(number)


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
    except duckdb.Error as error:
        raise QueryFailed(f"{label}: {str(error).splitlines()[0]}") from None
