"""The DuckDB that answers can reach the lake and nothing else."""

from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from triptych.analytics.application.errors import AnswerTooLarge, QueryTooSlow, VersionGone
from triptych.analytics.application.ports import Part
from triptych.analytics.domain.metric import Metric
from triptych.analytics.domain.query import MetricQuery, Order, RowQuery
from triptych.analytics.infrastructure.lake import LakeTables, open_tables
from triptych.lake.errors import LakeAway
from triptych.lake.lake import Lake


@pytest.fixture
def tables(lake: Lake) -> Iterator[LakeTables]:
    with open_tables(lake) as opened:
        yield opened


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM read_csv('{secret}')",
        "SELECT * FROM read_text('{secret}')",
        "SELECT * FROM read_text('{lake}/../secret.csv')",
        "SELECT * FROM glob('{folder}/*')",
        "COPY (SELECT 1) TO '{folder}/out.csv'",
        "ATTACH '{folder}/other.db'",
        "INSTALL httpfs",
        "LOAD '{folder}/x.duckdb_extension'",
        "SELECT * FROM read_csv('https://example.com/x.csv')",
    ],
)
def test_nothing_outside_the_lake_can_be_reached(
    tables: LakeTables, lake: Lake, tmp_path: Path, statement: str
) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text("a\n1\n")
    sql = statement.format(secret=secret, lake=lake.root, folder=tmp_path)

    with tables._connection.cursor() as cursor, pytest.raises(duckdb.Error):
        cursor.execute(sql).fetchall()


@pytest.mark.parametrize(
    "statement",
    ["SET enable_external_access = true", "SET allowed_directories = ['/']", "SET threads = 1"],
)
def test_the_bars_cannot_be_lifted(tables: LakeTables, statement: str) -> None:
    with tables._connection.cursor() as cursor, pytest.raises(duckdb.Error):
        cursor.execute(statement)


def test_a_version_whose_files_are_gone_is_gone(
    tables: LakeTables, lake: Lake, commit: Callable[[Lake, str, pa.Table], int]
) -> None:
    commit(lake, "t", pa.table({"at": pa.array([None], pa.timestamp("us", tz="UTC"))}))
    metric = Metric.model_validate(
        {
            "description": "",
            "table": "t",
            "time": "at",
            "measure": {"function": "maximum", "column": "at"},
        }
    )

    query, versions = MetricQuery({"m": metric}), {"t": tables.version("t")}
    for file in (lake.root / "t").glob("*.parquet"):
        file.unlink()

    with pytest.raises(VersionGone, match="'t': version 0 was vacuumed"):
        tables.page(query, versions, Part(1))


def test_a_file_that_is_damaged_is_an_error_that_names_it(
    tables: LakeTables, lake: Lake, commit: Callable[[Lake, str, pa.Table], int]
) -> None:
    commit(lake, "t", pa.table({"n": [1, 2, 3]}))
    for file in (lake.root / "t").glob("*.parquet"):
        file.write_bytes(b"PAR1" + bytes(64) + b"PAR1")

    with pytest.raises(LakeAway, match="parquet"):
        tables.page(RowQuery("t", ("n",)), {"t": tables.version("t")}, Part(1))


def test_a_query_that_takes_too_long_is_ended(
    lake: Lake, commit: Callable[[Lake, str, pa.Table], int]
) -> None:
    commit(lake, "t", pa.table({"n": range(2_000_000)}))

    with open_tables(lake, seconds=0.001, threads=1) as tables:
        query, versions = RowQuery("t", ("n",), order=(Order("n"),)), {"t": tables.version("t")}
        with pytest.raises(QueryTooSlow, match=r"after 0\.001 s"):
            tables.page(query, versions, Part(1_000_000))


def test_a_query_that_needs_too_much_memory_is_refused(
    lake: Lake, commit: Callable[[Lake, str, pa.Table], int]
) -> None:
    commit(lake, "t", pa.table({"n": range(2_000_000)}))

    with open_tables(lake, memory="10MB", threads=1) as tables:
        query, versions = RowQuery("t", ("n",), order=(Order("n"),)), {"t": tables.version("t")}
        with pytest.raises(AnswerTooLarge):
            tables.page(query, versions, Part(2_000_000))


def test_a_query_is_a_span_that_tells_the_versions(
    tables: LakeTables,
    lake: Lake,
    commit: Callable[[Lake, str, pa.Table], int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    commit(lake, "t", pa.table({"n": [1, 2, 3]}))
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("test")
    monkeypatch.setattr("triptych.analytics.infrastructure.lake._TRACER", tracer)

    tables.page(RowQuery("t", ("n",)), {"t": tables.version("t")}, Part(1))

    [span] = exporter.get_finished_spans()
    assert (span.name, dict(span.attributes or {})) == ("tables.query", {"t.version": 0})
