"""The quarantine of a pipeline: a table of the lake, with every row that was found at fault."""

from collections.abc import Mapping
from dataclasses import dataclass

from triptych.etl.application.execution import RAW, Execution
from triptych.etl.application.pipeline import Pipeline
from triptych.etl.domain.faults import quarantined
from triptych.etl.domain.pipeline import Refresh
from triptych.lake.change import Append, Change, Progress, Replace
from triptych.lake.errors import ConcurrentCommit
from triptych.lake.lake import Lake
from triptych.lake.table import Table


@dataclass(frozen=True, slots=True)
class Quarantine:
    """The rows of one pipeline that were found at fault."""

    lake: Lake
    pipeline: Pipeline

    @property
    def table(self) -> Table:
        """Where they are kept."""
        return self.lake.table(self.pipeline.quarantine)

    def positions(self) -> dict[str, int]:
        """How far the rows at fault of each branch have been committed."""
        table = self.table
        names = [branch.name for branch in self.pipeline.branches]
        return {name: table.position(self._writer(name)) for name in names}

    def stage(
        self, execution: Execution, after: int, until: int, run_id: str
    ) -> "StagedQuarantine":
        """Write the rows at fault of those branches whose rows are not committed yet.

        Raises:
            ConcurrentCommit: another run has meanwhile committed some of them.
        """
        at = self.positions()
        if any(after < position < until for position in at.values()):
            raise ConcurrentCommit(f"{self.table.name!r}: another run has moved it past {after}")
        new = {name: steps for name, steps in execution.faulty.items() if at[name] < until}
        progress = tuple(Progress(self._writer(name), at[name], until) for name in new)
        steps = [step for found in new.values() for step in found]
        full = self.pipeline.file.refresh is Refresh.FULL
        if steps:
            query = quarantined(execution.steps[RAW], steps, run_id)
            rows = execution.engine.view("quarantine", query, "the quarantine")
            written = execution.engine.write(rows.all(), self.table.new_folder())
            change = Change(written.files, written.schema, mode=Replace() if full else Append())
        elif full and self.table.exists():
            change = Change((), self.table.snapshot().schema, mode=Replace())
        else:
            return StagedQuarantine(self.table, None, ())
        return StagedQuarantine(self.table, change, progress)

    def _writer(self, branch: str) -> str:
        return f"{self.pipeline.writer}/{branch}"


@dataclass
class StagedQuarantine:
    """Rows at fault that are written and not committed: nobody sees them."""

    table: Table
    change: Change | None
    progress: tuple[Progress, ...]

    def commit(self, notes: Mapping[str, str]) -> None:
        """Make them visible, together with how far they reach."""
        if self.change is not None:
            change, self.change = self.change, None
            self.table.commit(change, self.progress, notes)

    def discard(self) -> None:
        """Remove them, unless they are committed."""
        if self.change is not None:
            for file in self.change.files:
                file.path.unlink(missing_ok=True)
