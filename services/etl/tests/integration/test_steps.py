"""What transforms and checks do to rows, on the real engine."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlglot import exp

from triptych.etl.application.ports import Engine, QueryFailed
from triptych.etl.domain.checks import NotNull, Range
from triptych.etl.domain.plan import INPUT, compile_pipeline, table
from triptych.etl.domain.plugins import Check, Transform
from triptych.etl.domain.transforms import Derive, Filter
from triptych.etl.infrastructure.duckdb import DuckDb


@pytest.fixture
def engine() -> Iterator[Engine]:
    with DuckDb().open() as opened:
        yield opened


def read(engine: Engine, query: exp.Query, path: Path) -> list[dict[str, Any]]:
    engine.write(query, path)
    rows: list[dict[str, Any]] = pq.read_table(path).to_pylist()
    return rows


def apply(
    engine: Engine, transform: Transform, tmp_path: Path, **columns: list[Any]
) -> list[dict[str, Any]]:
    """The rows that a transform makes of these columns."""
    engine.load("rows", [pa.RecordBatch.from_pydict(columns)])
    engine.table("result", transform.apply(table("rows")), "step")
    everything = exp.select(exp.Star()).from_(table("result"))
    return read(engine, everything, tmp_path / "result.parquet")


def reasons(engine: Engine, check: Check, tmp_path: Path, values: list[Any]) -> list[str]:
    """Why each value of the column `n` is faulty; empty where it is not."""
    engine.load(INPUT, [pa.RecordBatch.from_pydict({"n": values})])
    decode = exp.select(
        exp.alias_(exp.Literal.number(0), "_position"),
        exp.alias_(exp.null(), "_original"),
        "n",
    ).from_(table(INPUT))
    plan = compile_pipeline(decode, [], [], [check])
    for step in plan.steps:
        engine.table(step.relation, step.query, step.label)
    told = exp.select("_reasons").from_(table(plan.checked))
    return [row["_reasons"] for row in read(engine, told, tmp_path / "reasons.parquet")]


def test_derive_adds_columns_and_keeps_the_others(engine: Engine, tmp_path: Path) -> None:
    derive = Derive.model_validate({"columns": {"double": "n * 2", "big": "n > 1"}})

    assert apply(engine, derive, tmp_path, n=[1, 2], other=["a", "b"]) == [
        {"n": 1, "other": "a", "double": 2, "big": False},
        {"n": 2, "other": "b", "double": 4, "big": True},
    ]


def test_a_derived_column_may_be_named_like_a_keyword(engine: Engine, tmp_path: Path) -> None:
    derive = Derive.model_validate({"columns": {"select": "n"}})

    assert apply(engine, derive, tmp_path, n=[1]) == [{"n": 1, "select": 1}]


def test_derive_does_not_replace_a_column(engine: Engine, tmp_path: Path) -> None:
    derive = Derive.model_validate({"columns": {"n": "n + 1"}})

    with pytest.raises(QueryFailed, match="there are two columns 'n'"):
        apply(engine, derive, tmp_path, n=[1])


def test_filter_keeps_the_rows_for_which_the_condition_is_true(
    engine: Engine, tmp_path: Path
) -> None:
    keep = Filter.model_validate({"where": "n > 1"})

    assert apply(engine, keep, tmp_path, n=[1, 2, None, 3]) == [{"n": 2}, {"n": 3}]


def test_a_filter_with_an_or_is_one_condition(engine: Engine, tmp_path: Path) -> None:
    keep = Filter.model_validate({"where": "n = 1 or n = 3"})

    assert apply(engine, keep, tmp_path, n=[1, 2, 3]) == [{"n": 1}, {"n": 3}]


def test_a_missing_value_breaks_not_null(engine: Engine, tmp_path: Path) -> None:
    told = reasons(engine, NotNull(columns=("n",)), tmp_path, [1, None, 0])

    assert told == ["", "n is missing", ""]


@pytest.mark.parametrize(
    ("bounds", "expected"),
    [
        ({"min": 2}, ["n is less than 2", "", "", ""]),
        ({"max": 2}, ["", "", "n is more than 2", ""]),
        ({"min": 2, "max": 2}, ["n is less than 2", "", "n is more than 2", ""]),
        ({"min": -1, "max": 1e3}, ["", "", "", ""]),
        ({"min": "2.5"}, ["n is less than 2.5", "n is less than 2.5", "", ""]),
    ],
)
def test_a_range_includes_its_bounds_and_lets_missing_values_pass(
    engine: Engine, tmp_path: Path, bounds: dict[str, Any], expected: list[str]
) -> None:
    check = Range.model_validate({"column": "n", **bounds})

    assert reasons(engine, check, tmp_path, [1, 2, 3, None]) == expected


def test_a_row_is_told_every_reason(engine: Engine, tmp_path: Path) -> None:
    class Both(NotNull):
        def rules(self) -> Iterator[tuple[str, exp.Expr]]:
            yield from super().rules()
            yield "it's 'never' right", exp.false()

    told = reasons(engine, Both(columns=("n",)), tmp_path, [1, None])

    assert told == ["it's 'never' right", "n is missing; it's 'never' right"]
