"""What a pipeline writes to PostgreSQL, analytics serves from there, commit by commit."""

from pathlib import Path

import httpx2

from triptych.testing.postgres import PostgresServer
from triptych.testing.processes import run, running

PIPELINE = """
version: 1
name: orders
source:
  files: {paths: ["orders-*.csv"], columns: {id: integer, at: timestamptz, price: "decimal(10, 2)"}}
sink:
  sql: {url: "${WAREHOUSE}", table: orders}
"""
METRICS = """
version: 1
metrics:
  earned:
    description: All prices.
    table: orders
    time: at
    measure: {function: sum, column: price}
"""


def test_every_run_of_a_pipeline_is_a_version_that_analytics_serves(
    tmp_path: Path, postgres_server: PostgresServer
) -> None:
    url = postgres_server.create_database()
    (tmp_path / "metrics").mkdir()
    (tmp_path / "metrics" / "orders.yaml").write_text(METRICS)
    (tmp_path / "orders.yaml").write_text(PIPELINE)
    settings = {
        "WAREHOUSE": url,
        "TRIPTYCH_FILES_DIR": str(tmp_path),
        "TRIPTYCH_LAKE_URL": str(tmp_path / "lake"),
        "TRIPTYCH_STATE_URL": f"sqlite:///{tmp_path}/etl.db",
        "TRIPTYCH_ACCESS_URL": f"sqlite:///{tmp_path}/analytics.db",
        "TRIPTYCH_METRICS_DIR": str(tmp_path / "metrics"),
        "TRIPTYCH_WAREHOUSE__URL": url,
        "TRIPTYCH_WAREHOUSE__TABLES": '["orders"]',
    }
    answers = []
    with running("analytics", settings) as analytics:
        for number, price in enumerate(["1.10", "2.20"]):
            row = f"{number},2030-01-01T00:00:00Z,{price}\n"
            (tmp_path / f"orders-{number}.csv").write_text(f"id,at,price\n{row}")
            assert run("etl", "run", str(tmp_path / "orders.yaml"), env=settings).returncode == 0
            answer = httpx2.get(f"{analytics.url}/v1/metrics/earned/query").json()
            answers.append((answer["tables"][0]["version"], answer["rows"]))

    assert answers == [(0, [{"earned": "1.10"}]), (1, [{"earned": "3.30"}])]
