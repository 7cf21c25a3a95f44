"""What the use cases need from the world."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, TypeAlias

import pyarrow as pa

from triptych.analytics.domain.columns import Cell, Columns
from triptych.analytics.domain.cursors import Place
from triptych.analytics.domain.query import MetricQuery, RowQuery

AsOf: TypeAlias = int | datetime | None


@dataclass(frozen=True, slots=True)
class TableVersion:
    """A table as it stands in one version, which never changes."""

    name: str
    version: int
    columns: Columns
    rows: int
    committed_at: datetime
    handle: object = field(repr=False, compare=False, default=None)
    """What whoever reads it finds it by."""


@dataclass(frozen=True, slots=True)
class Version:
    """An entry in a table's history."""

    number: int
    at: datetime
    operation: str


@dataclass(frozen=True, slots=True)
class Part:
    """Which rows of an answer are wanted."""

    limit: int
    place: Place | None = None


@dataclass(frozen=True, slots=True)
class Explained:
    """How a query would be answered."""

    sql: str
    parameters: Sequence[object]


Query: TypeAlias = MetricQuery | RowQuery
TimeRange: TypeAlias = tuple[datetime | None, datetime | None]
"""The first moment that there is, and the last; none of no rows."""
Versions: TypeAlias = Mapping[str, TableVersion]


class Tables(Protocol):
    """Tables, and answers that are computed from them. Thread-safe.

    All raise TriptychErrors: of kind NOT_FOUND when a table has no version yet, GONE when a version
    has been removed, CONFLICT when a column cannot be computed with, TIMED_OUT when an answer takes too
    long, TOO_LARGE when it needs too much memory, UNAVAILABLE when a table cannot be read.
    """

    def names(self) -> Sequence[str]:
        """The tables that there are."""
        ...

    def version(self, name: str, as_of: AsOf = None) -> TableVersion:
        """A table's newest version, or the one of this number, or the newest of that time."""
        ...

    def history(self, name: str, limit: int) -> Sequence[Version]:
        """A table's versions, the newest first."""
        ...

    def page(self, query: Query, versions: Versions, part: Part) -> pa.Table:
        """Some rows of an answer, in its order; one more than the limit, if there are more. Before
        a place, what is nearest to it comes first. Of a table's rows, a last column tells them
        apart: `_row`."""
        ...

    def stream(self, query: Query, versions: Versions, part: Part) -> Iterator[pa.Table]:
        """The same rows without the one more, in tables of any length that have one schema, of
        which there is at least one. They are computed as they are asked for, and not held."""
        ...

    def last_key(self, query: Query, versions: Versions, part: Part) -> Sequence[Cell] | None:
        """The last of these rows by the columns of the answer's order, if there are more after it."""
        ...

    def count(self, query: Query, versions: Versions) -> int:
        """How many rows the whole answer has."""
        ...

    def explain(self, query: Query, versions: Versions, part: Part) -> Explained:
        """How the answer would be computed."""
        ...

    def time_range(self, table: TableVersion, column: str) -> TimeRange:
        """The first and the last time in a column."""
        ...
