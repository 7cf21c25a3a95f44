"""Ask tables, page by page: every page of a walk is of the same versions."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import chain

import pyarrow as pa

from triptych.analytics.application.errors import VersionGone
from triptych.analytics.application.ports import AsOf, Part, Query, Tables, TableVersion, Versions
from triptych.analytics.domain.columns import Cell, UnknownColumn, type_of
from triptych.analytics.domain.cursors import Cursors, Place
from triptych.analytics.domain.filters import Filter
from triptych.analytics.domain.query import ROW, Order, RowQuery
from triptych.core.errors import Kind, TriptychError

CELLS_A_UNIT = 1_000_000
"""How many cells are read for what one unit of a quota is worth."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A question, and the versions that answer it."""

    query: Query
    versions: Versions
    part: Part

    @property
    def scope(self) -> str:
        """By which the question is told from others, whatever the versions are."""
        return hashlib.sha256(repr(self.query).encode()).hexdigest()[:32]

    @property
    def key(self) -> str:
        """By which its answer is told from all others, for ever."""
        versions = sorted((table.name, table.version) for table in self.versions.values())
        return f"{self.scope}|{versions}|{self.part}"

    @property
    def cost(self) -> int:
        """Units of a quota: one, and one for every million cells that are read."""
        columns = len(self.query.columns) + 1
        cells = sum(table.rows for table in self.versions.values()) * columns
        return 1 + cells // CELLS_A_UNIT


@dataclass(frozen=True, slots=True)
class Page:
    """Some rows of an answer, and the cursors of the pages beside it."""

    rows: pa.Table
    next: str | None
    prev: str | None


@dataclass(frozen=True, slots=True)
class Export:
    """Many rows of an answer as they come, and the cursors of the pages beside them."""

    tables: Iterator[pa.Table]
    """All of one schema, and at least one."""
    next: str | None
    prev: str | None


@dataclass(frozen=True, slots=True)
class Ask:
    """Asks tables. Thread-safe."""

    tables: Tables
    cursors: Cursors

    def versions(self, names: Sequence[str], as_of: AsOf) -> Versions:
        """These tables, as they stand now, or stood then."""
        return {name: self.tables.version(name, as_of) for name in names}

    def placed(self, asked: Asked, cursor: str, now: datetime) -> Asked:
        """The same question, for the page that a cursor leads to, in its versions.

        Raises:
            WrongCursor: it leads nowhere.
            VersionGone: it leads into a version that has been removed.
        """
        place = self.cursors.read(cursor, asked.scope, now)
        try:
            versions = {n: self.tables.version(n, v) for n, v in place.versions.items()}
        except TriptychError as error:
            if error.kind is not Kind.NOT_FOUND:
                raise
            raise VersionGone(str(error)) from None
        return replace(asked, versions=versions, part=replace(asked.part, place=place))

    def page(self, asked: Asked, today: datetime) -> Page:
        """The answer's page.

        Raises:
            TriptychError: see `Tables`.
        """
        part = asked.part
        found = self.tables.page(asked.query, asked.versions, part)
        more = found.num_rows > part.limit
        rows = found.slice(0, part.limit)
        backwards = part.place is not None and part.place.backwards
        if backwards:
            rows = rows.take(list(range(rows.num_rows - 1, -1, -1)))
        has_next = rows.num_rows and (more or backwards)
        has_prev = rows.num_rows and (more if backwards else part.place is not None)
        last, first = rows.num_rows - 1, 0
        return Page(
            rows.drop_columns([ROW]) if ROW in rows.column_names else rows,
            self._cursor(asked, rows, last, today, backwards=False) if has_next else None,
            self._cursor(asked, rows, first, today, backwards=True) if has_prev else None,
        )

    def export(self, asked: Asked, today: datetime) -> Export:
        """The same rows as `page` has, of an answer that is read forwards.

        Raises:
            TriptychError: see `Tables`; while it is read, too.
        """
        query, versions, part = asked.query, asked.versions, asked.part
        whole = isinstance(query, RowQuery) and versions[query.table].rows <= part.limit
        last = None if whole else self.tables.last_key(query, versions, part)
        tables = self.tables.stream(query, versions, part)
        first = next(tables)
        has_prev = part.place is not None and first.num_rows
        return Export(
            (t.drop_columns([ROW]) if ROW in t.column_names else t for t in chain([first], tables)),
            None if last is None else self._write(asked, last, today, backwards=False),
            self._cursor(asked, first, 0, today, backwards=True) if has_prev else None,
        )

    def _cursor(
        self, asked: Asked, rows: pa.Table, number: int, today: datetime, *, backwards: bool
    ) -> str:
        key = [rows[o.column][number].as_py() for o in asked.query.sorted_by()]
        return self._write(asked, key, today, backwards=backwards)

    def _write(self, asked: Asked, key: Sequence[Cell], today: datetime, *, backwards: bool) -> str:
        versions = {name: table.version for name, table in asked.versions.items()}
        return self.cursors.write(Place(tuple(key), backwards, versions), asked.scope, today)


def row_query(
    table: TableVersion, columns: Sequence[str], order: Sequence[Order], where: Filter | None
) -> RowQuery:
    """A question about a table's rows; of all columns, if none are named.

    Raises:
        UnknownColumn: it has no such column.
    """
    for name in [*columns, *(each.column for each in order)]:
        type_of(name, table.columns)
    wanted = tuple(dict.fromkeys(columns)) or tuple(table.columns)
    hidden = [each.column for each in order if each.column not in wanted]
    if hidden:
        raise UnknownColumn(f"order: {hidden[0]!r} is not among the columns that are asked for")
    return RowQuery(table.name, wanted, where, tuple(order))
