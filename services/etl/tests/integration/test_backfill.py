"""Days that were committed before are computed again: each whole, in one commit, once."""

from datetime import date
from typing import Any

import pytest

from triptych.etl.application.backfill import Done, NoDays, days_between
from triptych.etl.infrastructure.sinks.lake import LakeSink
from triptych.lake.errors import ConcurrentCommit

PIPELINE = """
    version: 1
    name: orders
    source:
      files: { paths: ["in/*.ndjson"], columns: {id: text, n: integer, at: timestamptz} }
    transforms:
      - derive: { columns: { day: cast(at as date), twice: "n * FACTOR" } }
    checks: [ { range: { column: n, min: 0 } } ]
    sink:
      lake: { table: orders, partition_by: [day] }
"""
OLD, NEW = PIPELINE.replace("FACTOR", "1"), PIPELINE.replace("FACTOR", "2")
DAYS = [date(2030, 1, day) for day in (1, 2, 3)]


@pytest.fixture
def filled(house: Any) -> Any:
    """A table with two rows on each of three days, and a row in the quarantine."""
    for number, day in enumerate(DAYS, 1):
        rows = [f'{{"id": "{number}{n}", "n": {n}, "at": "{day}T12:00:00Z"}}' for n in (1, 2)]
        house.write(f"in/{number}.ndjson", "\n".join([*rows, '{"id": "bad", "n": -1}']))
    house.run(OLD)
    return house


def backfill(house: Any, text: str, days: list[date], parallel: int = 1) -> list[Done]:
    done: list[Done] = []
    house.etl.backfill(house.pipeline(text), days, parallel, done.append)
    return done


def twices(house: Any) -> dict[date, list[int]]:
    found: dict[date, list[int]] = {}
    for row in house.rows("orders"):
        found.setdefault(row["day"], []).append(row["twice"])
    return {day: sorted(values) for day, values in found.items()}


def test_only_the_days_that_are_asked_for_change(filled: Any) -> None:
    done = backfill(filled, NEW, DAYS[1:])

    assert [(one.day, one.rows) for one in done] == [(DAYS[1], 2), (DAYS[2], 2)]
    assert twices(filled) == {DAYS[0]: [1, 2], DAYS[1]: [2, 4], DAYS[2]: [2, 4]}


def test_slices_side_by_side_make_the_same_table(filled: Any) -> None:
    backfill(filled, NEW, DAYS, parallel=3)

    assert twices(filled) == {day: [2, 4] for day in DAYS}


def test_what_was_set_aside_is_not_set_aside_again(filled: Any) -> None:
    backfill(filled, NEW, DAYS)

    assert len(filled.rows("orders_quarantine")) == 3


def test_a_day_without_rows_any_more_is_empty(filled: Any) -> None:
    nothing = NEW.replace("min: 0", "min: 3")

    backfill(filled, nothing, [DAYS[0]])

    assert twices(filled) == {DAYS[1]: [1, 2], DAYS[2]: [1, 2]}


def test_days_that_are_done_are_not_done_again(filled: Any) -> None:
    backfill(filled, NEW, DAYS)
    version = filled.lake.table("orders").snapshot().version

    assert backfill(filled, NEW, DAYS) == []
    assert filled.lake.table("orders").snapshot().version == version


def test_one_that_died_goes_on_where_it_was(filled: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    staged: list[date] = []
    stage_day = LakeSink.stage_day

    def dying(self: LakeSink, writing: Any, rows: Any, day: date, progress: Any) -> Any:
        if day == DAYS[1] and not staged:
            staged.append(day)
            raise KeyboardInterrupt
        return stage_day(self, writing, rows, day, progress)

    monkeypatch.setattr(LakeSink, "stage_day", dying)
    with pytest.raises(KeyboardInterrupt):
        backfill(filled, NEW, DAYS)

    assert [one.day for one in backfill(filled, NEW, DAYS)] == DAYS[1:]
    assert twices(filled) == {day: [2, 4] for day in DAYS}


def test_the_next_run_reads_on_where_it_was(filled: Any) -> None:
    backfill(filled, NEW, DAYS)
    filled.write("in/9.ndjson", '{"id": "new", "n": 5, "at": "2030-01-03T13:00:00Z"}')

    [report] = filled.run(NEW)

    assert (report.rows.read, twices(filled)[DAYS[2]]) == (1, [2, 4, 10])


def test_rows_that_a_run_adds_meanwhile_are_not_lost(
    filled: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage_day = LakeSink.stage_day

    def overtaken(self: LakeSink, writing: Any, rows: Any, day: date, progress: Any) -> Any:
        monkeypatch.setattr(LakeSink, "stage_day", stage_day)
        filled.write("in/9.ndjson", '{"id": "new", "n": 5, "at": "2030-01-01T13:00:00Z"}')
        filled.run(OLD)
        return stage_day(self, writing, rows, day, progress)

    monkeypatch.setattr(LakeSink, "stage_day", overtaken)
    with pytest.raises(ConcurrentCommit):
        backfill(filled, NEW, DAYS)

    assert twices(filled)[DAYS[0]] == [1, 2, 5]


def test_a_table_that_keeps_no_days_apart_cannot_be_filled(filled: Any) -> None:
    with pytest.raises(NoDays):
        backfill(filled, NEW.replace("table: orders, partition_by: [day]", "table: plain"), DAYS)


def test_the_end_is_not_among_the_days() -> None:
    assert days_between(DAYS[0], DAYS[2]) == DAYS[:2]
    assert days_between(DAYS[1], DAYS[0]) == []
