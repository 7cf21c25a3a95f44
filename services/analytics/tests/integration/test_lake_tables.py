"""The DuckDB that answers can reach the lake and nothing else."""

from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from triptych.analytics.domain.metric import Metric
from triptych.analytics.domain.query import Query
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


def test_a_file_that_is_gone_is_an_error_that_names_the_lake(
    tables: LakeTables, lake: Lake, commit: Callable[[Lake, str, pa.Table], int]
) -> None:
    commit(lake, "t", pa.table({"at": pa.array([None], pa.timestamp("us", tz="UTC"))}))
    for file in (lake.root / "t").glob("*.parquet"):
        file.unlink()
    metric = Metric.model_validate(
        {
            "description": "",
            "table": "t",
            "time": "at",
            "measure": {"function": "maximum", "column": "at"},
        }
    )

    with pytest.raises(LakeAway, match="t/"):
        tables.aggregate(metric, Query())
