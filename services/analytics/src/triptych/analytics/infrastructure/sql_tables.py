"""What every database of tables is asked alike: a question becomes a statement, and the statement rows."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from triptych.analytics.application.errors import WrongColumn
from triptych.analytics.application.ports import (
    Explained,
    Part,
    Query,
    TableVersion,
    TimeRange,
    Versions,
)
from triptych.analytics.domain.columns import Cell
from triptych.analytics.infrastructure.paging import bounded, counted, last_of, paged
from triptych.analytics.infrastructure.statements import Dialect, Statements, compiled


class SqlTables(ABC):
    """Answers that a database computes. What reads the rows is left to it."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._statements = Statements(dialect)

    def page(self, query: Query, versions: Versions, part: Part) -> pa.Table:
        """See `Tables.page`."""
        return self._fetch(self._paged(query, versions, part), versions)

    def last_key(self, query: Query, versions: Versions, part: Part) -> Sequence[Cell] | None:
        """See `Tables.last_key`."""
        whole = self._statements.whole(query, versions)
        return last_of(self._fetch(bounded(whole, query.sorted_by(), part), versions))

    def count(self, query: Query, versions: Versions) -> int:
        """See `Tables.count`."""
        [number] = self._fetch(counted(self._statements.whole(query, versions)), versions).column(0)
        return int(number.as_py())

    def explain(self, query: Query, versions: Versions, part: Part) -> Explained:
        """See `Tables.explain`."""
        sql, values = compiled(self._paged(query, versions, part))
        return Explained(sql, [value for value in values if not isinstance(value, list)])

    def time_range(self, table: TableVersion, column: str) -> TimeRange:
        """See `Tables.time_range`."""
        if column not in table.columns:
            raise WrongColumn(f"{table.name!r} has no column {column!r}")
        rows = self._dialect.source(table, "rows")
        times = sa.select(sa.func.min(rows.c[column]), sa.func.max(rows.c[column]))
        found = self._fetch(times, {table.name: table})
        first, last = (column[0].as_py() for column in found.columns)
        return first, last

    def _paged(self, query: Query, versions: Versions, part: Part) -> sa.Select[Any]:
        return paged(self._statements.whole(query, versions), query.sorted_by(), part)

    @abstractmethod
    def _fetch(self, statement: sa.Select[Any], versions: Versions) -> pa.Table:
        """All rows of a statement over tables of these versions."""
