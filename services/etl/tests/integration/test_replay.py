"""Quarantined rows come again when the pipeline is mended, each exactly once."""

from decimal import Decimal
from typing import Any

import pytest

from triptych.etl.application.replay import ReadAnyway
from triptych.lake.table import Table

PIPELINE = """
    version: 1
    name: orders
    source:
      files:
        paths: ["in/*.ndjson"]
        columns: {id: text, n: integer, price: "decimal(30, 10)", at: timestamptz}
    checks: [ { range: { column: n, max: MOST } } ]
    sink: { lake: { table: orders } }
    outputs:
      small:
        checks: [ { range: { column: n, max: SMALL } } ]
        sink: { lake: { table: small } }
"""
ROWS = [
    '{"id": "a", "n": 1, "price": "12345678901234567890.0123456789"}',
    '{"id": "b", "n": 5, "at": "2030-01-01T12:00:00+02:00"}',
    '{"id": "c", "n": 50, "price": "0.1"}',
    '{"id": "d", "n": 500, "price": 0.30}',
    '{"broken',
]


def text(most: int, small: int) -> str:
    return PIPELINE.replace("MOST", str(most)).replace("SMALL", str(small))


@pytest.fixture
def strict(house: Any) -> Any:
    """One row passes everywhere, one in `orders` only, three are set aside from all."""
    house.write("in/1.ndjson", "\n".join(ROWS))
    house.run(text(10, 2))
    assert ids(house) == (["a", "b"], ["a"], [["broken", "c", "d"], ["b"]])
    return house


def ids(house: Any) -> tuple[list[str], list[str], list[list[str]]]:
    """What is in both tables, and in the quarantine: for all outputs, and for `small` alone."""
    aside: list[list[str]] = [[], []]
    for row in house.rows("orders_quarantine"):
        known = [i for i in "abcd" if f'\\"{i}\\"' in row["original"]]
        aside["outputs." in row["step"]].append(known[0] if known else "broken")
    tables = ([row["id"] for row in house.rows(name)] for name in ("orders", "small"))
    return (*tables, [sorted(rows) for rows in aside])  # type: ignore[return-value]


def replay(house: Any, pipeline: str) -> Any:
    return house.etl.replay(house.pipeline(pipeline))


def test_rows_that_pass_now_are_added_and_leave_the_quarantine(strict: Any) -> None:
    replay(strict, text(100, 100))

    assert ids(strict) == (["a", "b", "c"], ["a", "b", "c"], [["broken", "d"], []])


def test_no_value_is_changed_on_the_way(strict: Any) -> None:
    replay(strict, text(1000, 10))

    prices = {row["id"]: row["price"] for row in strict.rows("orders")}
    assert prices["d"] == Decimal("0.3")
    assert prices["a"] == Decimal("12345678901234567890.0123456789")


def test_rows_go_only_where_they_have_not_been(strict: Any) -> None:
    replay(strict, text(10, 10))

    assert ids(strict) == (["a", "b"], ["a", "b"], [["broken", "c", "d"], []])


def test_a_row_that_fails_elsewhere_now_is_kept_with_its_new_reason(strict: Any) -> None:
    replay(strict, text(100, 2))

    assert ids(strict) == (["a", "b", "c"], ["a"], [["broken", "d"], ["b", "c"]])


def test_the_rows_that_were_replayed_are_accounted_for(strict: Any) -> None:
    reports = replay(strict, text(100, 100))

    assert [(r.output, r.rows.read, r.rows.written, r.rows.quarantined) for r in reports] == [
        ("main", 3, 1, 2),
        ("small", 3, 1, 2),
        ("small", 1, 1, 0),
    ]


@pytest.mark.parametrize("mended", [(10, 2), (1000, 1000)])
def test_replaying_again_changes_nothing(strict: Any, mended: tuple[int, int]) -> None:
    replay(strict, text(*mended))
    before = ids(strict)

    replay(strict, text(*mended))

    assert ids(strict) == before


@pytest.mark.parametrize("dies_after", range(4))
def test_a_replay_that_died_is_finished_by_the_next(
    strict: Any, dies_after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = Table.commit
    done: list[str] = []

    def dying(self: Table, *arguments: Any) -> int:
        if len(done) == dies_after:
            raise KeyboardInterrupt
        done.append(self.name)
        return commit(self, *arguments)

    monkeypatch.setattr(Table, "commit", dying)
    with pytest.raises(KeyboardInterrupt):
        replay(strict, text(100, 100))
    monkeypatch.setattr(Table, "commit", commit)
    # Other rows arrive before anybody looks after it.
    strict.write("in/2.ndjson", '{"id": "a", "n": 2000}')
    strict.run(text(100, 100))

    replay(strict, text(100, 100))

    assert ids(strict) == (["a", "b", "c"], ["a", "b", "c"], [["a", "broken", "d"], []])


def test_a_pipeline_that_reads_everything_again_has_no_replay(strict: Any) -> None:
    with pytest.raises(ReadAnyway):
        replay(strict, text(10, 2).replace("name: orders", "name: orders\n    refresh: full"))


def test_nothing_is_replayed_where_nothing_was_set_aside(house: Any) -> None:
    house.write("in/1.ndjson", ROWS[0])
    house.run(text(10, 2))

    assert replay(house, text(10, 2)) == []
