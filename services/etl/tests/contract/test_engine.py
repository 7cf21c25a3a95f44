"""What every engine promises, whichever it is."""

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
from triptych.etl.application.ports import Batches, Engine, EngineFactory, Format, QueryFailed, Scan
from triptych.etl.domain.expressions import DIALECT
from triptych.etl.domain.relation import Relation


def query(sql: str) -> exp.Select:
    """A query, written in the dialect that plugins build theirs in."""
    tree = sqlglot.parse_one(sql, dialect=DIALECT)
    assert isinstance(tree, exp.Select)
    return tree


def batch(**columns: Any) -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict(columns)


def batches(*given: pa.RecordBatch) -> Batches:
    return Batches(given[0].schema, given)


def load(engine: Engine, name: str, *given: pa.RecordBatch) -> Relation:
    return engine.load(name, batches(*given), "source")


def fetch(engine: Engine, sql: str) -> list[dict[str, Any]]:
    found = engine.stream(query(sql), "fetch")
    rows: list[dict[str, Any]] = pa.Table.from_batches(found.batches, found.schema).to_pylist()
    return rows


def count(engine: Engine, relation: Relation) -> int:
    [row] = fetch(engine, f"SELECT COUNT(*) AS n FROM {relation.table.sql(DIALECT)}")  # noqa: S608
    return int(row["n"])


def rows(engine: Engine, sql: str, tmp_path: Path) -> list[dict[str, Any]]:
    """What a query gives, by way of the files that it is written to."""
    [file] = engine.write(query(sql), tmp_path).files
    found: list[dict[str, Any]] = pq.read_table(file.path).to_pylist()
    return found


def test_all_rows_of_all_batches_are_loaded_and_numbered(engine: Engine) -> None:
    none = batch(n=[]).cast(pa.schema({"n": pa.int64()}))

    loaded = load(engine, "input", batch(n=[1, 2]), none, batch(n=[3]))

    found = fetch(engine, 'SELECT "_row", n FROM input')
    assert [row["n"] for row in sorted(found, key=lambda row: row["_row"])] == [1, 2, 3]
    assert len({row["_row"] for row in found}) == 3
    assert loaded.columns == ["n"]


def test_nothing_is_loaded_from_nothing(engine: Engine) -> None:
    loaded = engine.load("input", Batches(pa.schema({"n": pa.int64()}), []), "source")

    assert (count(engine, loaded), loaded.types["n"]) == (0, "bigint")


def test_lines_of_text_are_read_as_they_are(engine: Engine, tmp_path: Path) -> None:
    lines = ['{"a": "x, \'y\'"}', "", '"quoted"', "ü\t\\n", '{"broken']
    file = tmp_path / "it's.ndjson"
    file.write_text("\n".join(lines) + "\n")
    scan = Scan((str(file),), Format.LINES, pa.schema({"line": pa.string()}))

    engine.load("input", scan, "source")

    found = fetch(engine, 'SELECT line FROM input ORDER BY "_row"')
    assert [row["line"] for row in found] == [line for line in lines if line]


def test_values_separated_by_commas_are_read_as_text(engine: Engine, tmp_path: Path) -> None:
    file = tmp_path / "some.csv"
    file.write_text('id,name\n007,"a, ""b"""\n1.50,\n')
    scan = Scan((str(file),), Format.CSV, pa.schema({"id": pa.string(), "name": pa.string()}))

    engine.load("input", scan, "source")

    found = fetch(engine, 'SELECT id, name FROM input ORDER BY "_row"')
    assert found == [{"id": "007", "name": 'a, "b"'}, {"id": "1.50", "name": None}]


def test_parquet_files_are_read_together(engine: Engine, tmp_path: Path) -> None:
    files = [tmp_path / "1.parquet", tmp_path / "2.parquet"]
    for number, file in enumerate(files):
        pq.write_table(pa.table({"n": [number]}), file)
    schema = pa.schema({"n": pa.int64()})

    engine.attach("stored", Scan(tuple(map(str, files)), Format.PARQUET, schema), "source")

    assert fetch(engine, "SELECT n FROM stored ORDER BY n") == [{"n": 0}, {"n": 1}]


def test_a_scan_of_no_files_has_no_rows(engine: Engine) -> None:
    scan = Scan((), Format.PARQUET, pa.schema({"n": pa.int64()}))

    assert count(engine, engine.load("input", scan, "source")) == 0


def test_a_file_that_is_not_what_it_should_be_is_an_error(engine: Engine, tmp_path: Path) -> None:
    file = tmp_path / "torn.parquet"
    file.write_bytes(b"PAR1 and then nothing")
    scan = Scan((str(file),), Format.PARQUET, pa.schema({"n": pa.int64()}))

    with pytest.raises(QueryFailed, match=r"^source: "):
        engine.load("input", scan, "source")


def test_rows_come_out_as_they_went_in(engine: Engine, tmp_path: Path) -> None:
    values = {
        "n": [2**62, None],
        "price": [Decimal("12345678901234.5678"), Decimal("-0.0001")],
        "text": ["naïve 'quoted' \u2028", ""],
        "yes": [True, None],
        "at": pa.array([datetime(2030, 1, 1, tzinfo=UTC), None], pa.timestamp("us", tz="UTC")),
    }
    loaded = batch(**values)

    load(engine, "input", loaded)

    everything = "SELECT n, price, text, yes, at FROM input"
    assert rows(engine, everything, tmp_path) == loaded.to_pylist()


def test_a_relation_may_have_any_name(engine: Engine) -> None:
    loaded = load(engine, 'select "x"', batch(n=[1]))

    assert count(engine, loaded) == 1


def test_a_table_holds_what_its_query_gives(engine: Engine, tmp_path: Path) -> None:
    load(engine, "input", batch(n=[1, 2, 3]))

    counted = engine.table("double", query("SELECT n * 2 AS n FROM input WHERE n > 1"), "step")

    assert (counted.columns, count(engine, counted)) == (["n"], 2)
    assert rows(engine, "SELECT n FROM double ORDER BY n", tmp_path) == [{"n": 4}, {"n": 6}]


def test_a_view_is_read_like_a_table(engine: Engine) -> None:
    load(engine, "input", batch(n=[1, 2, 3]))

    some = engine.view("some", query("SELECT n FROM input WHERE n > 1"), "step")

    assert count(engine, some) == 2


def test_a_view_runs_when_it_is_used(engine: Engine) -> None:
    load(engine, "input", batch(text=["x"]))

    engine.view("numbers", query("SELECT CAST(text AS INTEGER) AS n FROM input"), "step")

    with pytest.raises(QueryFailed):
        engine.table("used", query("SELECT n + 1 AS n FROM numbers"), "next")


def test_a_query_is_left_as_it_was(engine: Engine) -> None:
    load(engine, "input", batch(n=[1]))
    asked = query("SELECT n FROM input")
    before = asked.sql(DIALECT)

    engine.table("a", asked, "step")
    engine.view("b", asked, "step")
    engine.stream(asked, "step")

    assert asked.sql(DIALECT) == before


def test_the_columns_of_a_query_are_known_without_its_rows(engine: Engine) -> None:
    load(engine, "input", batch(n=[1], text=["x"]))

    made = engine.view(
        "made",
        query("SELECT CAST(n AS INTEGER) AS n, text, n > 0 AS yes, 1.50 AS price FROM input"),
        "step",
    )

    assert made.types == {
        "n": "integer",
        "text": "text",
        "yes": "boolean",
        "price": "decimal(3, 2)",
    }


def test_times_are_in_utc(engine: Engine, tmp_path: Path) -> None:
    at = datetime(2030, 1, 1, 23, 30, tzinfo=timezone(timedelta(hours=-5)))
    load(engine, "input", batch(at=pa.array([at], pa.timestamp("us", tz="-05:00"))))
    day = "SELECT at, date_trunc('day', at) AS day FROM input"

    assert engine.view("days", query(day), "step").types["at"] == "timestamptz"
    assert rows(engine, day, tmp_path) == [
        {"at": at.astimezone(UTC), "day": datetime(2030, 1, 2, tzinfo=UTC)}
    ]


def test_a_file_is_written_with_its_rows_counted(engine: Engine, tmp_path: Path) -> None:
    load(engine, "input", batch(n=[1, 2]))
    folder = tmp_path / 'it\'s "quoted"'
    folder.mkdir()

    written = engine.write(query("SELECT n FROM input"), folder)

    [file] = written.files
    assert (file.rows, file.partition, written.schema) == (2, (), pa.schema({"n": pa.int64()}))
    assert pq.read_table(file.path).to_pylist() == [{"n": 1}, {"n": 2}]
    assert list(folder.iterdir()) == [file.path]


def test_a_file_without_rows_has_its_columns(engine: Engine, tmp_path: Path) -> None:
    load(engine, "input", batch(n=[1]))

    [file] = engine.write(query("SELECT n FROM input WHERE n > 1"), tmp_path).files

    assert file.rows == 0
    assert pq.read_schema(file.path).names == ["n"]


def test_partitions_are_written_to_files_of_their_own(engine: Engine, tmp_path: Path) -> None:
    load(engine, "input", batch(n=[1, 2, 3, 4], day=["a/b=%", "tue", None, "tue"]))

    written = engine.write(query("SELECT n, day FROM input"), tmp_path, ("day",))

    found = {file.partition: pq.read_table(file.path).to_pylist() for file in written.files}
    assert {key: sorted(row["n"] for row in rows) for key, rows in found.items()} == {
        (("day", "a/b=%"),): [1],
        (("day", "tue"),): [2, 4],
        (("day", None),): [3],
    }
    assert {row["day"] for rows in found.values() for row in rows} == {"a/b=%", "tue", None}
    assert sorted(tmp_path.iterdir()) == sorted(file.path for file in written.files)


@pytest.mark.parametrize("how", ["table", "view"])
@pytest.mark.parametrize("twin", ["n", "N"])
def test_two_columns_of_one_name_are_refused(engine: Engine, how: str, twin: str) -> None:
    load(engine, "input", batch(n=[1]))
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
    load(engine, "input", batch(n=[1]))

    with pytest.raises(QueryFailed, match=r"^transforms\[0\] derive: .+") as failure:
        getattr(engine, how)("result", query(sql), "transforms[0] derive")

    assert "\n" not in str(failure.value)


def test_a_query_that_fails_on_its_rows_is_an_error_that_names_the_step(engine: Engine) -> None:
    load(engine, "input", batch(text=["x"]))
    numbers = query("SELECT CAST(text AS INTEGER) AS n FROM input")

    with pytest.raises(QueryFailed, match=r"^step: "):
        engine.table("numbers", numbers, "step")


def test_a_file_whose_rows_cannot_be_computed_is_an_error(engine: Engine, tmp_path: Path) -> None:
    load(engine, "input", batch(text=["x"]))

    with pytest.raises(QueryFailed):
        engine.write(query("SELECT CAST(text AS INTEGER) AS n FROM input"), tmp_path)

    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_written_is_not_the_querys_fault(
    engine: Engine, tmp_path: Path
) -> None:
    load(engine, "input", batch(n=[1]))

    with pytest.raises(TriptychError) as failure:
        engine.write(query("SELECT n FROM input"), tmp_path / "missing")

    assert failure.value.kind is Kind.UNAVAILABLE


def test_each_engine_has_relations_of_its_own(factory: EngineFactory) -> None:
    with factory.open() as one, factory.open() as other:
        load(one, "input", batch(n=[1]))
        load(other, "input", batch(n=[1, 2]))

        assert len(fetch(one, "SELECT n FROM input")) == 1
        assert len(fetch(other, "SELECT n FROM input")) == 2
