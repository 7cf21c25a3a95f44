"""What every engine promises, whichever it is."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlglot
from sqlglot import exp

from triptych.core.errors import Kind, TriptychError
from triptych.etl.application.ports import Engine, EngineFactory, QueryFailed
from triptych.etl.domain.expressions import DIALECT
from triptych.etl.infrastructure.duckdb import DuckDb

ENGINES: dict[str, EngineFactory] = {"duckdb": DuckDb()}


@pytest.fixture(params=ENGINES)
def factory(request: pytest.FixtureRequest) -> EngineFactory:
    return ENGINES[request.param]


@pytest.fixture
def engine(factory: EngineFactory) -> Iterator[Engine]:
    with factory.open() as opened:
        yield opened


def query(sql: str) -> exp.Select:
    """A query, written in the dialect that plugins build theirs in."""
    tree = sqlglot.parse_one(sql, dialect=DIALECT)
    assert isinstance(tree, exp.Select)
    return tree


def batch(**columns: Any) -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict(columns)


def rows(engine: Engine, sql: str, tmp_path: Path) -> list[dict[str, Any]]:
    path = tmp_path / "rows.parquet"
    engine.write(query(sql), path)
    found: list[dict[str, Any]] = pq.read_table(path).to_pylist()
    return found


def test_all_rows_of_all_batches_are_loaded(engine: Engine) -> None:
    loaded = engine.load("input", [batch(n=[1, 2]), batch(n=[]).cast(pa.schema({"n": pa.int64()}))])

    assert (loaded, engine.count("input")) == (2, 2)


def test_nothing_is_loaded_from_nothing(engine: Engine) -> None:
    assert engine.load("input", []) == 0


def test_rows_come_out_as_they_went_in(engine: Engine, tmp_path: Path) -> None:
    values = {
        "n": [2**62, None],
        "price": [Decimal("12345678901234.5678"), Decimal("-0.0001")],
        "text": ["naïve 'quoted' \u2028", ""],
        "yes": [True, None],
        "at": pa.array([datetime(2030, 1, 1, tzinfo=UTC), None], pa.timestamp("us", tz="UTC")),
    }
    loaded = batch(**values)

    engine.load("input", [loaded])

    assert rows(engine, "SELECT * FROM input", tmp_path) == loaded.to_pylist()


def test_a_relation_may_have_any_name(engine: Engine) -> None:
    engine.load('select "x"', [batch(n=[1])])

    assert engine.count('select "x"') == 1


def test_a_table_holds_what_its_query_gives(engine: Engine, tmp_path: Path) -> None:
    engine.load("input", [batch(n=[1, 2, 3])])

    counted = engine.table("double", query("SELECT n * 2 AS n FROM input WHERE n > 1"), "step")

    assert (counted, engine.count("double")) == (2, 2)
    assert rows(engine, "SELECT n FROM double ORDER BY n", tmp_path) == [{"n": 4}, {"n": 6}]


def test_a_view_is_read_like_a_table(engine: Engine) -> None:
    engine.load("input", [batch(n=[1, 2, 3])])

    engine.view("some", query("SELECT n FROM input WHERE n > 1"), "step")

    assert engine.count("some") == 2


def test_a_view_runs_when_it_is_used(engine: Engine) -> None:
    engine.load("input", [batch(text=["x"])])

    engine.view("numbers", query("SELECT CAST(text AS INTEGER) AS n FROM input"), "step")

    with pytest.raises(QueryFailed):
        engine.table("used", query("SELECT n + 1 AS n FROM numbers"), "next")


def test_a_query_is_left_as_it_was(engine: Engine) -> None:
    engine.load("input", [batch(n=[1])])
    asked = query("SELECT n FROM input")
    before = asked.sql(DIALECT)

    engine.table("a", asked, "step")
    engine.view("b", asked, "step")
    engine.schema(asked)

    assert asked.sql(DIALECT) == before


def test_the_columns_of_a_query_are_known_without_its_rows(engine: Engine) -> None:
    engine.load("input", [batch(n=[1], text=["x"])])

    schema = engine.schema(
        query("SELECT CAST(n AS INTEGER) AS n, text, n > 0 AS yes, 1.50 AS price FROM input")
    )

    assert schema.names == ["n", "text", "yes", "price"]
    assert [str(kind) for kind in schema.types] == ["int32", "string", "bool", "decimal128(3, 2)"]


def test_times_are_in_utc(engine: Engine, tmp_path: Path) -> None:
    at = datetime(2030, 1, 1, 23, 30, tzinfo=timezone(timedelta(hours=-5)))
    engine.load("input", [batch(at=pa.array([at], pa.timestamp("us", tz="-05:00")))])
    day = "SELECT at, date_trunc('day', at) AS day FROM input"

    assert engine.schema(query(day)).field("at").type == pa.timestamp("us", tz="UTC")
    assert rows(engine, day, tmp_path) == [
        {"at": at.astimezone(UTC), "day": datetime(2030, 1, 2, tzinfo=UTC)}
    ]


def test_a_file_is_written_with_its_rows_counted(engine: Engine, tmp_path: Path) -> None:
    engine.load("input", [batch(n=[1, 2])])
    path = tmp_path / 'it\'s "quoted".parquet'

    assert engine.write(query("SELECT n FROM input"), path) == 2
    assert pq.read_table(path).to_pylist() == [{"n": 1}, {"n": 2}]


def test_a_file_without_rows_has_its_columns(engine: Engine, tmp_path: Path) -> None:
    engine.load("input", [batch(n=[1])])
    path = tmp_path / "none.parquet"

    assert engine.write(query("SELECT n FROM input WHERE n > 1"), path) == 0
    assert pq.read_schema(path).names == ["n"]


@pytest.mark.parametrize("how", ["table", "view"])
@pytest.mark.parametrize("twin", ["n", "N"])
def test_two_columns_of_one_name_are_refused(engine: Engine, how: str, twin: str) -> None:
    engine.load("input", [batch(n=[1])])
    twice = query(f'SELECT n, 2 AS "{twin}" FROM input')  # noqa: S608  # that is the test

    with pytest.raises(QueryFailed, match="derive: there are two columns 'n'"):
        getattr(engine, how)("twice", twice, "derive")


@pytest.mark.parametrize("how", ["table", "view"])
@pytest.mark.parametrize(
    "sql",
    ["SELECT nope FROM input", "SELECT nope(n) FROM input", "SELECT n FROM elsewhere"],
    ids=["no-column", "no-function", "no-relation"],
)
def test_a_query_that_makes_no_sense_is_an_error_that_names_the_step(
    engine: Engine, how: str, sql: str
) -> None:
    engine.load("input", [batch(n=[1])])

    with pytest.raises(QueryFailed, match=r"^transforms\[0\] derive: .+") as failure:
        getattr(engine, how)("result", query(sql), "transforms[0] derive")

    assert "\n" not in str(failure.value)


def test_a_query_that_fails_on_its_rows_is_an_error_that_names_the_step(engine: Engine) -> None:
    engine.load("input", [batch(text=["x"])])
    numbers = query("SELECT CAST(text AS INTEGER) AS n FROM input")

    with pytest.raises(QueryFailed, match=r"^step: "):
        engine.table("numbers", numbers, "step")


def test_a_file_whose_rows_cannot_be_computed_is_an_error(engine: Engine, tmp_path: Path) -> None:
    engine.load("input", [batch(text=["x"])])

    with pytest.raises(QueryFailed):
        engine.write(query("SELECT CAST(text AS INTEGER) AS n FROM input"), tmp_path / "x.parquet")


def test_a_file_that_cannot_be_written_is_not_the_querys_fault(
    engine: Engine, tmp_path: Path
) -> None:
    engine.load("input", [batch(n=[1])])

    with pytest.raises(TriptychError) as failure:
        engine.write(query("SELECT n FROM input"), tmp_path / "missing" / "x.parquet")

    assert failure.value.kind is Kind.UNAVAILABLE


def test_each_engine_has_relations_of_its_own(factory: EngineFactory) -> None:
    with factory.open() as one, factory.open() as other:
        one.load("input", [batch(n=[1])])
        other.load("input", [batch(n=[1, 2])])

        assert (one.count("input"), other.count("input")) == (1, 2)
