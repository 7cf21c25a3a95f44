"""What every sink promises."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import pyarrow as pa
import pytest

from triptych.etl.application.ports import Batches, Engine, Resources, Sink, Staged, Writing
from triptych.etl.infrastructure.engines.duckdb import DuckDb
from triptych.etl.testing.configuration import Conformance
from triptych.lake.change import Progress
from triptych.lake.errors import ConcurrentCommit

NOTES: Final[Mapping[str, str]] = {"run_id": "1"}
_WRITER: Final = "etl:test"


@dataclass(frozen=True)
class Written:
    """A sink that a test writes numbers to: rows of one column, `n`."""

    sink: Sink
    resources: Resources
    engine: Engine

    def stage(self, numbers: list[int], before: int, after: int, writer: str = _WRITER) -> Staged:
        """Write these numbers, without committing them."""
        table = pa.table({"n": pa.array(numbers, pa.int64())})
        name = f"r{len(numbers)}_{after}"
        rows = self.engine.load(name, Batches(table.schema, table.to_batches()), "source")
        progress = Progress(writer, before, after)
        return self.sink.stage(Writing(self.resources, self.engine), rows, progress)

    def position(self, writer: str = _WRITER) -> int:
        """How far a writer has come."""
        return self.sink.position(self.resources, writer)


class SinkConformance(Conformance):
    """Derive from it, say how to look at what the sink wrote, and run it with pytest.

    The configuration has to make it add rows to those that are there.
    """

    def resources(self, folder: Path) -> Resources:
        """What the sink is connected to, new for each test; a folder is there for it."""
        nothing = cast("Any", None)
        return Resources(nothing, folder, nothing, nothing)

    def numbers(self, resources: Resources) -> list[int] | None:
        """The numbers that can be read where the sink writes; none before a first commit."""
        raise NotImplementedError

    def target(self) -> str:
        """What the sink calls the place that it writes to."""
        raise NotImplementedError

    @contextmanager
    def opened(self, folder: Path) -> Iterator[Written]:
        """The sink, and an engine that has rows for it."""
        with DuckDb().open() as engine:
            yield Written(self.configured(), self.resources(folder), engine)

    def test_a_writer_begins_at_the_beginning(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as out:
            self._check_position(out, 0)

    def test_rows_are_invisible_until_they_are_committed(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as out:
            staged = out.stage([1, 2], 0, 5)

            if staged.rows != len([1, 2]):
                pytest.fail(f"2 rows were written, and it tells of {staged.rows}")
            self._check(out, None)
            self._check_position(out, 0)

    def test_rows_are_committed_together_with_the_position(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as out:
            out.stage([1, 2], 0, 5).commit(NOTES)

            self._check(out, [1, 2])
            self._check_position(out, 5)

    def test_versions_grow_by_one_and_rows_add_up(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as out:
            first = out.stage([1], 0, 5).commit(NOTES)
            second = out.stage([2, 3], 5, 9).commit(NOTES)

            if second != first + 1:
                pytest.fail(f"version {second} came after {first}")
            self._check(out, [1, 2, 3])

    def test_a_commit_without_rows_moves_the_position_alone(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as out:
            out.stage([1], 0, 5).commit(NOTES)
            out.stage([], 5, 9).commit(NOTES)

            self._check(out, [1])
            self._check_position(out, 9)

    def test_what_is_discarded_is_gone(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as out:
            out.stage([1], 0, 5).discard()

            self._check(out, None)
            if left := [path.name for path in tmp_path.rglob("*.parquet")]:
                pytest.fail(f"rows that were discarded are still there: {left}")

    def test_what_is_committed_cannot_be_discarded(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as out:
            staged = out.stage([1], 0, 5)
            staged.commit(NOTES)
            staged.discard()

            self._check(out, [1])

    def test_of_two_that_start_at_one_position_one_is_committed(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as out:
            fast, slow = out.stage([1], 0, 5), out.stage([1, 2], 0, 6)
            fast.commit(NOTES)

            try:
                slow.commit(NOTES)
            except ConcurrentCommit:
                slow.discard()
                return self._check(out, [1])
            pytest.fail("two runs committed the same rows: raise ConcurrentCommit for the second")

    def test_each_writer_has_a_position_of_its_own(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as out:
            out.stage([1], 0, 5, "etl:one").commit(NOTES)
            out.stage([2, 3], 0, 3, "etl:other").commit(NOTES)

            self._check_position(out, 5, "etl:one")
            self._check_position(out, 3, "etl:other")
            self._check(out, [1, 2, 3])

    def test_a_sink_tells_people_where_its_rows_go(self) -> None:
        if (target := self.configured().target) != self.target():
            pytest.fail(f"it calls its target {target!r}, not {self.target()!r}")

    def _check(self, out: Written, expected: list[int] | None) -> None:
        if (found := self.numbers(out.resources)) != expected:
            pytest.fail(f"{found} can be read, not {expected}")

    def _check_position(self, out: Written, expected: int, writer: str = _WRITER) -> None:
        if (found := out.position(writer)) != expected:
            pytest.fail(f"the position of {writer} is {found}, not {expected}")
