"""Tables in PostgreSQL are asked for as those of the lake are, and nothing inside knows the difference."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from pydantic import SecretStr

import triptych.analytics
from triptych.analytics.application.errors import QueryTooSlow
from triptych.analytics.entrypoints.http import create_analytics
from triptych.analytics.infrastructure.warehouse import WarehouseTables, open_warehouse
from triptych.analytics.settings import AnalyticsSettings, LimitSettings, WarehouseSettings
from triptych.analytics.wiring import Analytics, wire
from triptych.database.engine import DatabaseAway
from triptych.lake.lake import Lake

MEASURES = {
    "revenue": "{function: sum, column: revenue}",
    "invoices": "{function: count_distinct, column: invoice}",
    "median": "{function: quantile, quantile: 0.5, column: revenue}",
    "share": "{function: ratio, numerator: {function: average, column: revenue},"
    " denominator: {function: count}}",
}
METRIC = """
  {name}:
    description: A number.
    measure: {measure}
    table: sales
    time: event_time
    dimensions: {{country: {{}}, cancelled: {{}}, continent: {{join: countries, column: continent}}}}
    joins: {{countries: {{table: countries, on: {{country: name}}}}}}
"""
METRICS = "version: 1\nmetrics:" + "".join(
    METRIC.format(name=name, measure=measure) for name, measure in MEASURES.items()
)
COUNTRIES = pa.table({"name": ["France", "Spain"], "continent": ["Europe", "Asia"]})
RANGE = "&from=2030-01-10T00:00:00Z&to=2030-02-20T00:00:00Z&by=country"
QUERIES = [
    "/v1/metrics/revenue/query?by=country",
    f"/v1/metrics/revenue/query?grain=week&tz=Europe/Berlin&compare=previous_period&fill=zero{RANGE}",
    "/v1/metrics/revenue/query?having=revenue>100&by=country&order=-revenue&total=true",
    "/v1/metrics/share/query?grain=month",
    "/v1/metrics/median/query?grain=day&tz=America/New_York&by=country&limit=20",
    f"/v1/metrics/invoices/query?where=continent != 'Asia'&fill=null&grain=month{RANGE}",
    "/v1/metrics/invoices/query?by=continent",
    "/v1/metrics/invoices/query?where=country like 'F%25' or country is null",
    "/v1/tables/sales/rows?order=-revenue&limit=7&where=not cancelled",
    "/v1/tables/sales/schema",
]


def sales(number: int) -> pa.Table:
    hours = range(number)
    return pa.table(
        {
            "event_time": pa.array(
                [datetime(2030, 1, 1, tzinfo=UTC) + timedelta(hours=n) for n in hours],
                pa.timestamp("us", "UTC"),
            ),
            "invoice": [f"i{n // 3}" for n in hours],
            "country": [("France", "Spain", None)[n % 3] for n in hours],
            "cancelled": [n % 10 == 0 for n in hours],
            "revenue": pa.array([Decimal(n) / 10 for n in hours], pa.decimal128(18, 4)),
        }
    )


@pytest.fixture
def wired(
    tmp_path: Path, warehouse: Any, settings_of: Callable[..., AnalyticsSettings]
) -> Iterator[Callable[..., Analytics]]:
    """The service over the lake, or with some tables in the warehouse instead."""
    (tmp_path / "metrics.yaml").write_text(METRICS)
    with ExitStack() as stack:

        def make(*tables: str, **parts: Any) -> Analytics:
            settings = settings_of(
                metrics_dir=tmp_path,
                warehouse=WarehouseSettings(url=SecretStr(warehouse.url), tables=tables),
                limit=LimitSettings(burst=0, sustained=0, daily=0),
                **parts,
            )
            return stack.enter_context(wire(settings))

        yield make


@pytest.fixture
def client(wired: Callable[..., Analytics], warehouse: Any) -> Iterator[TestClient]:
    """The service, with a thousand sales in the warehouse."""
    warehouse.commit("sales", sales(1000))
    warehouse.commit("countries", COUNTRIES)
    with TestClient(create_analytics(wired("sales", "countries"))) as client:
        yield client


def test_a_setting_moves_a_table_and_no_answer_changes(
    client: TestClient,
    wired: Callable[..., Analytics],
    lake: Lake,
    commit: Callable[[Lake, str, pa.Table], int],
) -> None:
    commit(lake, "sales", sales(1000))
    commit(lake, "countries", COUNTRIES)

    with TestClient(create_analytics(wired())) as other:
        for query in QUERIES:
            one, two = other.get(query), client.get(query)
            assert (one.status_code, two.status_code) == (200, 200), (one.text, two.text)
            assert _lasting(one.text) == _lasting(two.text)


def test_nothing_inside_knows_where_tables_are() -> None:
    [folder] = triptych.analytics.__path__
    rooms = [Path(folder, room) for room in ("domain", "application")]

    told = [path.read_text(encoding="utf-8") for room in rooms for path in room.rglob("*.py")]

    assert len(told) > 10
    assert not [
        text
        for text in told
        if re.search(r"duckdb|postgres|sqlalchemy|parquet", text, re.IGNORECASE)
    ]


def test_a_new_commit_is_seen_at_once_and_ends_walks_through_the_old(
    client: TestClient, warehouse: Any
) -> None:
    query = "/v1/metrics/invoices/query"
    before, first = client.get(query), client.get("/v1/tables/sales/rows?limit=3").json()

    warehouse.commit("sales", sales(10))

    after, next_ = client.get(query), client.get(first["next"])
    assert before.json()["tables"][0]["version"] == 0
    assert after.json()["tables"][0]["version"] == 1
    assert after.headers["etag"] != before.headers["etag"]
    assert (next_.status_code, next_.json()["type"]) == (410, "urn:triptych:problem:version-gone")
    assert client.get(f"{query}?as_of=0").status_code == 410
    assert client.get(f"{query}?as_of=9").status_code == 404
    assert client.get(f"{query}?as_of=2000-01-01T00:00:00Z").status_code == 410


def test_a_table_that_moves_on_while_it_is_asked_for_is_asked_again(
    client: TestClient, warehouse: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch = WarehouseTables.page
    commits = iter([sales(10)])

    def page(self: WarehouseTables, *arguments: Any) -> pa.Table:
        for rows in commits:
            warehouse.commit("sales", rows)
        return fetch(self, *arguments)

    monkeypatch.setattr(WarehouseTables, "page", page)

    answer = client.get("/v1/metrics/revenue/query")

    assert (answer.status_code, answer.json()["tables"][0]["version"]) == (200, 1)


def test_tables_of_both_places_are_listed_and_not_joined(
    wired: Callable[..., Analytics],
    warehouse: Any,
    lake: Lake,
    commit: Callable[[Lake, str, pa.Table], int],
) -> None:
    warehouse.commit("sales", sales(10))
    commit(lake, "countries", COUNTRIES)

    with TestClient(create_analytics(wired("sales"))) as client:
        listed = client.get("/v1/tables").json()["tables"]
        unknown = client.get("/v1/tables/nowhere/rows")
        apart = client.get("/v1/metrics/revenue/query?by=continent")
        ready = client.get("/readyz").status_code

    assert apart.json()["type"] == "urn:triptych:problem:tables-apart"
    assert (listed, unknown.status_code, ready) == (["countries", "sales"], 404, 200)


def test_a_query_that_takes_too_long_is_ended(warehouse: Any) -> None:
    warehouse.commit("sales", sales(10))

    with (
        open_warehouse(warehouse.url, ["sales"], seconds=0.2) as tables,
        pytest.raises(QueryTooSlow),
        tables._reading() as connection,
    ):
        connection.execute(sa.select(sa.func.pg_sleep(60)))


def test_nothing_can_be_written(warehouse: Any) -> None:
    warehouse.commit("sales", sales(10))

    with (
        open_warehouse(warehouse.url, ["sales"], seconds=30) as tables,
        pytest.raises(DatabaseAway, match="read-only"),
        tables._reading() as connection,
    ):
        connection.exec_driver_sql("DELETE FROM sales")

    with warehouse.engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM sales").scalar() == 10


def test_a_warehouse_that_is_away_is_told_and_what_is_in_the_lake_is_served(
    wired: Callable[..., Analytics],
    warehouse: Any,
    postgres_server: Any,
    lake: Lake,
    commit: Callable[[Lake, str, pa.Table], int],
) -> None:
    warehouse.commit("sales", sales(10))
    commit(lake, "orders", sales(5))
    name = warehouse.url.split("/")[3].split("?")[0]
    with TestClient(create_analytics(wired("sales"))) as client:
        warehouse.engine.dispose()
        postgres_server.sql(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        postgres_server.sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname LIKE 'test_%'"
            " AND pid <> pg_backend_pid()"
        )

        away = client.get("/v1/metrics/revenue/query")
        there = client.get("/v1/tables/orders/rows")
        ready = client.get("/readyz").json()

    assert (away.status_code, there.status_code) == (503, 200)
    assert "TRIPTYCH_WAREHOUSE__URL" in away.json()["detail"]
    assert list(ready["failures"]) == ["warehouse"]


def _lasting(text: str) -> Any:
    """What is not of the moment; a double's last digits are its engine's."""
    rounded = json.loads(text, parse_float=lambda number: round(float(number), 9))
    return {**rounded, "tables": None, "next": None, "committed_at": None}
