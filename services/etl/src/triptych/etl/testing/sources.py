"""What every source promises."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Final, cast

import pyarrow as pa
import pytest
from sqlglot import exp

from triptych.etl.application.ports import Reading, Resources, Rows, Source
from triptych.etl.infrastructure.engines.duckdb import DuckDb
from triptych.etl.testing.configuration import Conformance

Told = list[dict[str, Any]]
_RAW: Final = "input"


class Remembered:
    """A memory that lasts as long as a test."""

    def __init__(self) -> None:
        self._states: dict[int, object] = {0: None}
        self._newest = 0

    def remember(self, state: object) -> int:
        """See `Memory.remember`."""
        self._newest += 1
        self._states[self._newest] = state
        return self._newest

    def newest(self) -> int:
        """See `Memory.newest`."""
        return self._newest

    def forget(self, until: int) -> None:
        """See `Memory.forget`."""
        for position in range(1, until + 1):
            self._states.pop(position, None)

    def recall(self, position: int) -> object:
        """See `Memory.recall`."""
        return self._states[position]


class SourceConformance(Conformance):
    """Derive from it, say how rows come to be where the source reads, and run it with pytest."""

    parts: ClassVar[tuple[Told, Told]]
    """Rows that are there at first and rows that come later, as a pipeline sees them. There may be
    more columns than are told here."""

    def reading(self, folder: Path) -> Reading:
        """What the source is connected to, new for each test; a folder is there for it."""
        nothing = cast("Any", None)
        return Reading(Resources(nothing, folder, nothing, nothing), Remembered())

    def put(self, reading: Reading, rows: Told) -> None:
        """Let these rows be added where the source reads."""
        raise NotImplementedError

    def test_the_same_rows_are_read_whenever_they_are_asked_for(self, tmp_path: Path) -> None:
        source, reading, first, last = self._both(tmp_path)
        for after, until in ((0, first), (first, last)):
            once, again = (self._read(source, reading, after, until) for _ in range(2))
            if once != again:
                pytest.fail(f"({after}, {until}] was {once}, and then {again}")

    def test_rows_in_two_halves_are_the_rows_in_one(self, tmp_path: Path) -> None:
        source, reading, first, last = self._both(tmp_path)
        whole = self._read(source, reading, 0, last)
        later = self._read(source, reading, first, last)
        halves = later if source.whole else self._read(source, reading, 0, first) + later
        if not _same(whole, halves):
            pytest.fail(f"read at once it is {whole}, in two halves {halves}")
        if not _same(whole, self.parts[0] + self.parts[1]):
            pytest.fail(f"it reads {whole}, not {self.parts[0] + self.parts[1]}")

    def test_positions_only_grow(self, tmp_path: Path) -> None:
        _, _, first, last = self._both(tmp_path)
        if not 0 < first < last:
            pytest.fail(f"new rows came, and the positions were 0, {first} and {last}")

    def test_nothing_new_leaves_the_position(self, tmp_path: Path) -> None:
        source, reading, _, last = self._both(tmp_path)
        if not source.whole and (found := source.newest(reading, last)) != last:
            pytest.fail(f"nothing is new after {last}, but the newest position is {found}")

    def test_rows_that_a_person_gives_are_decoded_like_those_read(self, tmp_path: Path) -> None:
        source, reading, _, last = self._both(tmp_path)
        told = self.parts[0] + self.parts[1]
        given = self._decoded(source, source.given(told))
        if not _same(given, told) or not _same(self._read(source, reading, 0, last), given):
            pytest.fail(f"rows as a person gives them become {given}, not {told}")

    def test_rows_that_are_recorded_are_decoded_like_those_read(self, tmp_path: Path) -> None:
        source, reading, _, last = self._both(tmp_path)
        with DuckDb().open() as engine:
            raw = engine.load(_RAW, source.read(reading, 0, last), "source")
            found = _fetch(engine, exp.select("*").from_(raw.public()))
        written = [row for row in map(source.written, found) if row is not None]
        if not _same(
            self._decoded(source, source.given(written)), self._read(source, reading, 0, last)
        ):
            pytest.fail(f"rows as `written` tells them, {written}, are not those that were read")

    def test_each_raw_row_becomes_one_row(self, tmp_path: Path) -> None:
        source, reading, _, last = self._both(tmp_path)
        with DuckDb().open() as engine:
            raw = engine.load(_RAW, source.read(reading, 0, last), "source")
            before = _fetch(engine, exp.select("*").from_(raw.table))
            after = _fetch(engine, source.decode(raw))
        numbers = [sorted(map(repr, (row.get("_row") for row in r))) for r in (before, after)]
        if numbers[0] != numbers[1]:
            pytest.fail("decode has to keep each raw row and its number: use Relation.select")

    def test_a_condition_is_never_null(self, tmp_path: Path) -> None:
        source, reading, _, last = self._both(tmp_path)
        with DuckDb().open() as engine:
            raw = engine.load(_RAW, source.read(reading, 0, last), "source")
            for rule in source.rules(raw):
                query = source.decode(raw).select(exp.alias_(rule.holds.copy(), "holds"))
                if any(row["holds"] is None for row in _fetch(engine, query)):
                    pytest.fail(f"{rule.fault!r}: its condition is null, so the row passes unseen")

    def _both(self, folder: Path) -> tuple[Source, Reading, int, int]:
        """The source when all rows are there, and its positions after each part."""
        source, reading = self.configured(), self.reading(folder)
        self.put(reading, self.parts[0])
        first = source.newest(reading, 0)
        self.put(reading, self.parts[1])
        return source, reading, first, source.newest(reading, first)

    def _read(self, source: Source, reading: Reading, after: int, until: int) -> Told:
        return self._decoded(source, source.read(reading, after, until))

    def _decoded(self, source: Source, rows: Rows) -> Told:
        with DuckDb().open() as engine:
            decoded = _fetch(engine, source.decode(engine.load(_RAW, rows, "source")))
        names = dict.fromkeys(name for part in self.parts for row in part for name in row)
        return [{name: row.get(name) for name in names} for row in decoded]


def _same(one: Sequence[dict[str, Any]], other: Sequence[dict[str, Any]]) -> bool:
    """Whether the rows are equal, in whichever order."""
    left = list(other)
    for row in one:
        if row not in left:
            return False
        left.remove(row)
    return not left


def _fetch(engine: Any, query: exp.Query) -> Told:
    found = engine.stream(query, "source")
    rows: Told = pa.Table.from_batches(found.batches, found.schema).to_pylist()
    return rows
