"""A table does what a list of sets of rows does, whatever is done to it in whatever order."""

import os
import shutil
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from triptych.lake.change import (
    Append,
    Change,
    DataFile,
    Mode,
    Partition,
    Progress,
    Replace,
    ReplacePartitions,
    Rewrite,
)
from triptych.lake.errors import ConcurrentCommit, NoSuchVersion, Rewritten
from triptych.lake.lake import Lake
from triptych.lake.table import Snapshot

Row = tuple[str | None, int]
DAYS = st.sampled_from(["mon", "tue", None])
ROWS = st.lists(st.tuples(DAYS, st.integers(0, 99)), max_size=5)
SCHEMA = pa.schema([("day", pa.string()), ("n", pa.int64())])


@dataclass
class Writer:
    """Somebody who commits, and how far they have come."""

    name: str
    position: int = 0

    def next(self) -> Progress:
        return Progress(self.name, self.position, self.position + 1)


@dataclass
class Model:
    """The rows of every version, and the versions that are still whole."""

    versions: list[Counter[Row]] = field(default_factory=list)
    grown: list[bool] = field(default_factory=list)
    """Whether a version took nothing away from the one before it."""
    oldest: int = 0

    @property
    def now(self) -> Counter[Row]:
        return self.versions[-1] if self.versions else Counter()

    def add(self, rows: Counter[Row], grown: bool) -> None:
        self.versions.append(rows)
        self.grown.append(grown)


class TableMachine(RuleBasedStateMachine):
    """Commits of every mode by two writers, crashes, vacuums, and looks at any version."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.table = Lake.open(str(self.folder)).table("days")
        self.model = Model()
        self.writers = (Writer("one"), Writer("two"))
        self.files = 0

    def teardown(self) -> None:
        shutil.rmtree(self.folder)

    def write(self, rows: list[Row]) -> tuple[DataFile, ...]:
        """A file for each day, as an engine would write them."""
        written = []
        for day in dict.fromkeys(day for day, _ in rows):
            numbers = [n for d, n in rows if d == day]
            path = self.table.new_file(f"{self.files}.parquet")
            self.files += 1
            pq.write_table(pa.table({"day": [day] * len(numbers), "n": numbers}, SCHEMA), path)
            written.append(DataFile(path, len(numbers), (("day", day),)))
        return tuple(written)

    def commit(self, rows: list[Row], mode: Mode, writer: Writer) -> int:
        change = Change(self.write(rows), SCHEMA, mode=mode, partition_by=("day",))
        version = self.table.commit(change, [writer.next()], {"by": writer.name})
        writer.position += 1
        return version

    @rule(rows=ROWS, who=st.integers(0, 1))
    def append(self, rows: list[Row], who: int) -> None:
        version = self.commit(rows, Append(), self.writers[who])

        self.model.add(self.model.now + Counter(rows), grown=True)
        assert version == len(self.model.versions) - 1

    @rule(rows=ROWS, who=st.integers(0, 1))
    def replace(self, rows: list[Row], who: int) -> None:
        gone = bool(self.model.now)
        self.commit(rows, Replace(), self.writers[who])

        self.model.add(Counter(rows), grown=not gone)

    @rule(rows=ROWS, who=st.integers(0, 1))
    def replace_partitions(self, rows: list[Row], who: int) -> None:
        days = {day for day, _ in rows}
        partitions: frozenset[Partition] = frozenset({(("day", day),) for day in days})
        self.commit(rows, ReplacePartitions(partitions), self.writers[who])

        kept = Counter({row: n for row, n in self.model.now.items() if row[0] not in days})
        self.model.add(kept + Counter(rows), grown=kept == self.model.now)

    @precondition(lambda self: self.model.versions)
    @rule(least=st.integers(0, 99), who=st.integers(0, 1))
    def rewrite(self, least: int, who: int) -> None:
        """Take the rows below a number away: read the files that hold some, write the others."""
        base = self.table.snapshot()
        touched = [f for f in base.stored if any(n < least for _, n in rows_of(f))]
        kept = [row for file in touched for row in rows_of(file) if row[1] >= least]
        mode = Rewrite(base.version, tuple(str(file.path) for file in touched))
        self.commit(kept, mode, self.writers[who])

        rows = Counter({row: n for row, n in self.model.now.items() if row[1] >= least})
        self.model.add(rows, grown=not touched)

    @precondition(lambda self: self.model.versions)
    @rule(rows=ROWS)
    def two_at_once(self, rows: list[Row]) -> None:
        """Of two who rewrite the same version, and of two runs of one writer, one commits."""
        base = self.table.snapshot()
        slow = self.write(rows)
        self.append(rows, 0)

        change = Change(slow, SCHEMA, mode=Rewrite(base.version, base.files), partition_by=("day",))
        with pytest.raises(ConcurrentCommit):
            self.table.commit(change, [self.writers[1].next()])
        again = Change(self.write(rows), SCHEMA, partition_by=("day",))
        with pytest.raises(ConcurrentCommit):
            self.table.commit(again, [Progress("one", self.writers[0].position - 1, 99)])

        assert not any(file.path.exists() for file in slow)

    @rule(rows=ROWS)
    def crash(self, rows: list[Row]) -> None:
        """Somebody dies after they wrote their files: a day later, a vacuum finds them."""
        old = (datetime.now(UTC) - timedelta(days=2)).timestamp()
        for file in self.write(rows):
            os.utime(file.path, (old, old))

    @precondition(lambda self: self.model.versions)
    @rule(keep=st.integers(1, 3))
    def vacuum(self, keep: int) -> None:
        tomorrow = datetime.now(UTC) + timedelta(days=2)
        would = self.table.vacuum(keep, tomorrow, dry_run=True)

        assert self.table.vacuum(keep, tomorrow) == would

        self.model.oldest = max(self.model.oldest, len(self.model.versions) - keep)
        kept = range(self.model.oldest, len(self.model.versions))
        held = {path for v in kept for path in self.table.snapshot(v).files}
        assert {str(path) for path in self.table.folder.glob("*.parquet")} == held

    @precondition(lambda self: self.model.versions)
    @rule(data=st.data())
    def travel(self, data: st.DataObject) -> None:
        version = data.draw(st.integers(0, len(self.model.versions) - 1))
        try:
            found = self.table.snapshot(version)
        except NoSuchVersion:
            assert version < self.model.oldest
        else:
            assert read(found) == self.model.versions[version]

    @precondition(lambda self: self.model.versions)
    @rule(data=st.data())
    def look_what_was_added(self, data: st.DataObject) -> None:
        last = len(self.model.versions) - 1
        after = data.draw(st.integers(min(self.model.oldest, last), last))
        grown = all(self.model.grown[after + 1 :])
        try:
            added = self.table.added(after, last)
        except Rewritten:
            assert not grown
        else:
            found = Counter(row for file in added for row in rows_of(file))
            assert found == self.model.now - self.model.versions[after]

    @invariant()
    def the_newest_version_holds_what_it_should(self) -> None:
        if self.model.versions:
            newest = self.table.snapshot()
            assert newest.version == len(self.model.versions) - 1
            assert read(newest) == self.model.now
            assert newest.rows == self.model.now.total()
        for writer in self.writers:
            assert self.table.position(writer.name) == writer.position


def rows_of(file: DataFile) -> list[Row]:
    return [(row["day"], row["n"]) for row in pq.read_table(file.path).to_pylist()]


def read(snapshot: Snapshot) -> Counter[Row]:
    return Counter(row for file in snapshot.stored for row in rows_of(file))


TestTable = TableMachine.TestCase
TestTable.settings = settings(max_examples=30, stateful_step_count=20, deadline=None)


def test_other_programs_read_a_divided_table(tmp_path: Path) -> None:
    machine = TableMachine()
    machine.append([("mon", 1), ("tue", 2), (None, 3)], 0)

    seen = DeltaTable(machine.table.folder.as_uri()).to_pyarrow_table().to_pylist()

    assert Counter((row["day"], row["n"]) for row in seen) == machine.model.now
    machine.teardown()
