"""A whole pipeline on Spark: the same table as on DuckDB, and nothing is lost with the server."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from pydantic import SecretStr

from triptych.core.errors import Kind
from triptych.etl.application.ports import Watcher
from triptych.etl.infrastructure.engines.duckdb import DuckDb
from triptych.etl.infrastructure.engines.spark import EngineAway, Spark
from triptych.etl.settings import EtlSettings
from triptych.etl.wiring import wire

PRICES = """
    version: 1
    name: prices
    source:
      files: { paths: ["*.csv"], format: csv }
    transforms:
      - cast: { columns: { id: bigint, price: "decimal(9, 2)", at: timestamptz } }
      - filter: { where: id <> 5 }
      - derive: { columns: { double: price * 2, day: cast(at as date) } }
    checks:
      - range: { column: price, max: 100 }
    sink:
      lake: { table: prices, partition_by: [day] }
"""
FIRST = "id,price,at\n1,2.50,2030-01-01T09:30:00Z\n2,x,2030-01-02T09:30:00Z\n3,101,2030-01-02\n"
SECOND = "id,price,at\n4,7.25,2030-01-02 23:59:59.5Z\n5,1,2030-01-02\n"


@pytest.fixture
def other_house(tmp_path: Path) -> Iterator[Any]:
    """A second lake beside that of `house`, over the same files."""
    settings = EtlSettings(
        lake_url=str(tmp_path / "other" / "lake"),
        files_dir=tmp_path / "files",
        eventlog_url=SecretStr(f"sqlite:///{tmp_path / 'eventlog.db'}"),
        state_url=SecretStr(f"sqlite:///{tmp_path / 'other' / 'etl.db'}"),
    )
    (tmp_path / "other").mkdir()
    with wire(settings) as made:
        yield made


def tables(lake: Any) -> dict[str, tuple[Any, ...]]:
    """The tables of a lake, without what differs from run to run."""
    found = {}
    for name in ("prices", "prices_quarantine"):
        snapshot = lake.table(name).snapshot()
        rows = [row for file in snapshot.files for row in pq.read_table(file).to_pylist()]
        kept = [{key: row[key] for key in row if key != "run_id"} for row in rows]
        found[name] = (snapshot.schema, sorted(map(repr, kept)))
    return found


def test_a_pipeline_makes_the_same_tables_on_every_engine(
    house: Any, other_house: Any, spark_url: str
) -> None:
    spark = replace(other_house.run, engines=Spark.model_validate({"url": spark_url}))
    house.write("1.csv", FIRST)
    reports = [house.run(PRICES), spark(house.pipeline(PRICES))]
    house.write("2.csv", SECOND)
    reports += [house.run(PRICES), spark(house.pipeline(PRICES))]

    assert [str(report) for [report] in reports[::2]] == [str(report) for [report] in reports[1::2]]
    assert tables(other_house.resources.lake) == tables(house.lake)


def test_a_server_that_dies_in_a_run_loses_nothing(house: Any, mortal_spark: Any) -> None:
    house.write("1.csv", FIRST)
    house.write("2.csv", SECOND)
    spark = replace(house.etl.run, engines=Spark.model_validate({"url": mortal_spark.url}))

    def kill(step: str, rows: int) -> None:
        mortal_spark.process.kill()

    with pytest.raises(EngineAway) as failure:
        spark(house.pipeline(PRICES), Watcher(step=kill))

    assert failure.value.kind is Kind.UNAVAILABLE
    assert not house.lake.table("prices").exists()
    assert not house.lake.table("prices_quarantine").exists()
    [report] = replace(house.etl.run, engines=DuckDb())(house.pipeline(PRICES))
    assert (report.rows.read, report.rows.written, report.rows.quarantined) == (5, 2, 2)
