"""The sink `lake`: a Delta table, and beside it the table of its quarantined rows."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

import pyarrow as pa
from pydantic import Field
from sqlglot import exp

from triptych.core.documents import Part
from triptych.etl.application.ports import Engine, Positions, Resources
from triptych.lake.change import Change, DataFile, Progress
from triptych.lake.table import Table

QUARANTINE: Final = "_quarantine"


class LakeSink(Part):
    """Write the rows to a table of the lake, in one atomic version a run."""

    table: str = Field(pattern=r"^[a-z][a-z0-9_]{0,50}$", examples=["sales"])
    mode: Literal["append"] = Field(default="append", description="How rows meet earlier ones.")

    def positions(self, resources: Resources, writer: str) -> Positions:
        """See `Sink.positions`."""
        lake = resources.lake
        return Positions(
            output=lake.table(self.table).position(writer),
            quarantine=lake.table(self.table + QUARANTINE).position(writer),
        )

    def quarantine(
        self, resources: Resources, engine: Engine, rows: exp.Query, progress: Progress
    ) -> "StagedFile":
        """See `Sink.quarantine`."""
        return _stage(resources.lake.table(self.table + QUARANTINE), engine, rows, progress)

    def output(
        self, resources: Resources, engine: Engine, rows: exp.Query, progress: Progress
    ) -> "StagedFile":
        """See `Sink.output`."""
        return _stage(resources.lake.table(self.table), engine, rows, progress)


@dataclass
class StagedFile:
    """A Parquet file in the table's folder that no version holds yet."""

    target: Table
    file: DataFile
    schema: pa.Schema
    progress: Progress
    committed: bool = False

    @property
    def rows(self) -> int:
        """See `Staged.rows`."""
        return self.file.rows

    def commit(self, notes: Mapping[str, str]) -> int:
        """See `Staged.commit`. Without rows, the progress alone is committed."""
        files = (self.file,) if self.rows else ()
        version = self.target.commit(Change(files, self.schema), self.progress, notes)
        self.committed = bool(files)
        return version

    def discard(self) -> None:
        """See `Staged.discard`."""
        if not self.committed:
            self.file.path.unlink(missing_ok=True)


def _stage(target: Table, engine: Engine, rows: exp.Query, progress: Progress) -> StagedFile:
    path = target.new_file(f"{uuid.uuid4().hex}.parquet")
    try:
        written = engine.write(rows, path)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return StagedFile(target, DataFile(path, written), engine.schema(rows), progress)
