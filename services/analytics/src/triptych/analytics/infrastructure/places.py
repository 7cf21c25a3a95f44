"""Tables, each where it is: in the lake, or in a warehouse."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa

from triptych.analytics.application.ports import (
    AsOf,
    Explained,
    Part,
    Query,
    Tables,
    TableVersion,
    TimeRange,
    Version,
    Versions,
)
from triptych.analytics.domain.columns import Cell
from triptych.analytics.infrastructure.lake import LakeTables
from triptych.analytics.infrastructure.warehouse import WarehouseTables
from triptych.core.errors import Kind, TriptychError


class TablesApart(TriptychError):
    """A question is about tables that are in different places."""

    kind = Kind.CONFLICT
    hint = "Let one pipeline write all tables of a metric, to the lake or to the warehouse."


@dataclass(frozen=True, slots=True)
class Places:
    """Answers from tables, each where it is. Thread-safe."""

    lake: LakeTables
    warehouse: WarehouseTables | None = None

    def near(self, names: Iterable[str]) -> bool:
        """Whether it costs next to nothing to see which versions these tables have."""
        return all(self._place(name) is self.lake for name in names)

    def names(self) -> Sequence[str]:
        """See `Tables.names`."""
        return sorted({*self.lake.names(), *(self.warehouse.names() if self.warehouse else ())})

    def version(self, name: str, as_of: AsOf = None) -> TableVersion:
        """See `Tables.version`."""
        return self._place(name).version(name, as_of)

    def history(self, name: str, limit: int) -> Sequence[Version]:
        """See `Tables.history`."""
        return self._place(name).history(name, limit)

    def page(self, query: Query, versions: Versions, part: Part) -> pa.Table:
        """See `Tables.page`."""
        return self._common(versions).page(query, versions, part)

    def stream(self, query: Query, versions: Versions, part: Part) -> Iterator[pa.Table]:
        """See `Tables.stream`."""
        return self._common(versions).stream(query, versions, part)

    def last_key(self, query: Query, versions: Versions, part: Part) -> Sequence[Cell] | None:
        """See `Tables.last_key`."""
        return self._common(versions).last_key(query, versions, part)

    def count(self, query: Query, versions: Versions) -> int:
        """See `Tables.count`."""
        return self._common(versions).count(query, versions)

    def explain(self, query: Query, versions: Versions, part: Part) -> Explained:
        """See `Tables.explain`."""
        return self._common(versions).explain(query, versions, part)

    def time_range(self, table: TableVersion, column: str) -> TimeRange:
        """See `Tables.time_range`."""
        return self._place(table.name).time_range(table, column)

    def _place(self, name: str) -> Tables:
        if self.warehouse is not None and name in self.warehouse.targets:
            return self.warehouse
        return self.lake

    def _common(self, versions: Versions) -> Tables:
        first, *others = {id(place): place for place in map(self._place, versions)}.values()
        if others:
            raise TablesApart(", ".join(versions))
        return first
