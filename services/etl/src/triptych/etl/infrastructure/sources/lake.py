"""The source `lake`: a table of the lake, or what is new in it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import pyarrow as pa
from pydantic import Field
from sqlglot import exp

from triptych.core.documents import Part
from triptych.etl.application.ports import Batches, Format, Reading, Scan
from triptych.etl.domain.plugins import Rule
from triptych.etl.domain.relation import Relation


class LakeTable(Part):
    """Read a table of the lake: what is new in it, or all of it where everything is read."""

    whole: ClassVar = False

    table: str = Field(pattern=r"^[a-z][a-z0-9_]{0,62}$", examples=["sales"])
    version: int | None = Field(
        default=None, ge=0, description="The version to read; the newest if it is left out."
    )

    @property
    def origin(self) -> str:
        """See `Source.origin`."""
        return self.table

    def newest(self, reading: Reading, after: int) -> int:
        """See `Source.newest`. Positions are one ahead of versions: 0 is before the first."""
        if self.version is not None:
            return self.version + 1
        table = reading.resources.lake.table(self.table)
        return max(after, table.snapshot().version + 1) if table.exists() else after

    def read(self, reading: Reading, after: int, until: int) -> Scan:
        """See `Source.read`.

        Raises:
            NoSuchTable, NoSuchVersion: the table or its version is not there.
            Rewritten: since `after`, not all versions have only added rows.
        """
        table = reading.resources.lake.table(self.table)
        whole = table.snapshot(until - 1 if until else None)
        new = table.added(after - 1, until - 1) if after else whole.stored
        return Scan(tuple(str(file.path) for file in new), Format.PARQUET, whole.schema)

    def given(self, rows: Sequence[Mapping[str, Any]]) -> Batches:
        """See `Source.given`."""
        table = pa.Table.from_pylist([dict(row) for row in rows])
        return Batches(table.schema, table.to_batches())

    def written(self, raw: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """See `Source.written`."""
        return raw

    def decode(self, raw: Relation) -> exp.Select:
        """See `Source.decode`."""
        return raw.all()

    def rules(self, raw: Relation) -> Iterator[Rule]:
        """See `Source.rules`. A table holds nothing that cannot be read."""
        yield from ()
