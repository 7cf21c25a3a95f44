"""Rows that are in a table's folder already, and in no version of it yet."""

from collections.abc import Mapping
from dataclasses import dataclass

from triptych.lake.change import Change, Progress
from triptych.lake.table import Table


@dataclass
class StagedFiles:
    """Parquet files in the table's folder that no version holds yet."""

    table: Table
    change: Change
    progress: tuple[Progress, ...]
    rows: int
    committed: bool = False

    def commit(self, notes: Mapping[str, str]) -> int:
        """See `Staged.commit`. Without rows, the progress alone is committed."""
        self.committed = True  # or the lake removes the files
        return self.table.commit(self.change, self.progress, notes)

    def discard(self) -> None:
        """See `Staged.discard`."""
        if not self.committed:
            for file in self.change.files:
                file.path.unlink(missing_ok=True)
