"""`GET /v1/metrics` and its neighbours, over a real lake."""

import shutil
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from fastapi.testclient import TestClient
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from triptych.analytics.entrypoints.http import create_analytics
from triptych.analytics.settings import AnalyticsSettings
from triptych.analytics.wiring import wire
from triptych.lake.lake import Lake

Commit = Callable[[Lake, str, pa.Table], int]

SALES = pa.schema(
    {
        "event_time": pa.timestamp("us", tz="UTC"),
        "country": pa.string(),
        "cancelled": pa.bool_(),
        "revenue": pa.decimal128(28, 4),
    }
)


def sales(*rows: tuple[datetime, str | None, str]) -> pa.Table:
    """Sales: when, where and for how much; one that takes revenue back is a cancellation."""
    return pa.Table.from_pylist(
        [
            {
                "event_time": at,
                "country": country,
                "cancelled": revenue.startswith("-"),
                "revenue": Decimal(revenue),
            }
            for at, country, revenue in rows
        ],
        schema=SALES,
    )


@contextmanager
def serving(lake: Lake, metrics: Path) -> Iterator[TestClient]:
    settings = AnalyticsSettings(
        lake_url=str(lake.root),
        metrics_dir=metrics,
        access_url=SecretStr(f"sqlite:///{lake.root}.db"),
    )
    with wire(settings) as service, TestClient(create_analytics(service)) as client:
        yield client


@pytest.fixture
def client(lake: Lake, shop: Path, commit: Commit) -> Iterator[TestClient]:
    """The shop's metrics over three sales: two in January, one of them in Spain."""
    rows = sales(
        (datetime(2030, 1, 5, 10, tzinfo=UTC), "France", "10.10"),
        (datetime(2030, 1, 31, 23, 59, tzinfo=UTC), "Spain", "-0.2"),
        (datetime(2030, 2, 1, tzinfo=UTC), "France", "1000"),
    )
    commit(lake, "sales", rows)
    with serving(lake, shop / "metrics") as made:
        yield made


def ask(client: TestClient, name: str = "revenue", **parameters: Any) -> Any:
    renamed = {{"from_": "from"}.get(key, key): value for key, value in parameters.items()}
    return client.get(f"/v1/metrics/{name}/query", params=renamed)


def test_all_metrics_are_listed_with_what_can_be_asked(client: TestClient) -> None:
    answer = client.get("/v1/metrics")

    [revenue, invoices, refunds] = answer.json()["metrics"]
    assert revenue == {
        "name": "revenue",
        "description": "What the shop earned, less what it paid back.",
        "unit": "GBP",
        "format": "",
        "zone": "UTC",
        "grains": ["minute", "hour", "day", "week", "month", "quarter", "year"],
        "dimensions": [
            {"name": "country", "description": "", "values": None},
            {"name": "cancelled", "description": "", "values": None},
        ],
        "hierarchies": {},
    }
    assert [invoices["name"], refunds["name"]] == ["invoices", "refunds"]


def test_a_metric_is_answered_by_month_with_exact_decimals_and_utc_times(
    client: TestClient,
) -> None:
    answer = ask(client, grain="month")

    assert answer.status_code == 200
    body = answer.json()
    assert body["rows"] == [
        {"time": "2030-01-01T00:00:00Z", "revenue": "9.9000"},
        {"time": "2030-02-01T00:00:00Z", "revenue": "1000.0000"},
    ]
    assert body["columns"] == [
        {"name": "time", "type": "time"},
        {"name": "revenue", "type": "decimal", "unit": "GBP"},
    ]
    assert [(table["name"], table["version"]) for table in body["tables"]] == [("sales", 0)]


def test_a_metric_is_broken_down_by_several_dimensions(client: TestClient) -> None:
    answer = ask(client, "invoices", by=["cancelled", "country"])

    assert answer.json()["rows"] == [
        {"cancelled": False, "country": "France", "invoices": 2},
        {"cancelled": True, "country": "Spain", "invoices": 1},
    ]


def test_a_dimension_without_a_value_is_null(
    client: TestClient, lake: Lake, commit: Commit
) -> None:
    commit(lake, "sales", sales((datetime(2030, 3, 1, tzinfo=UTC), None, "5")))

    answer = ask(client, by="country", from_="2030-03-01T00:00:00Z")

    assert [row["country"] for row in answer.json()["rows"]] == [None]


@pytest.mark.parametrize(
    ("start", "end", "value"),
    [
        ("2030-01-05T10:00:00Z", "2030-01-31T23:59:00Z", "10.1000"),
        ("2030-01-05T11:00:00+01:00", "2030-01-31T23:59:00.000001Z", "9.9000"),
        ("2030-02-01T00:00:00Z", "2031-01-01T00:00:00Z", "1000.0000"),
    ],
)
def test_the_start_of_a_range_counts_and_its_end_does_not(
    client: TestClient, start: str, end: str, value: str
) -> None:
    answer = ask(client, from_=start, to=end)

    assert [row["revenue"] for row in answer.json()["rows"]] == [value]


def test_an_answer_comes_from_the_newest_version(
    client: TestClient, lake: Lake, commit: Commit
) -> None:
    commit(lake, "sales", sales((datetime(2030, 2, 2, tzinfo=UTC), "France", "0.0001")))

    body = ask(client, grain="year").json()

    assert [row["revenue"] for row in body["rows"]] == ["1009.9001"]
    assert body["tables"][0]["version"] == 1


def test_every_row_counts_when_nothing_else_is_asked(client: TestClient) -> None:
    assert [row["invoices"] for row in ask(client, "invoices").json()["rows"]] == [3]


@pytest.mark.parametrize("end", ["9999-12-31T23:59:59-01:00", "0001-01-01T00:00:00+01:00"])
def test_a_time_beyond_the_calendar_is_answered_with_422(client: TestClient, end: str) -> None:
    assert ask(client, from_="2030-01-01T00:00:00Z", to=end).status_code == 422


def test_an_answer_beyond_the_limit_leads_on(client: TestClient) -> None:
    answer = ask(client, grain="month", limit=1, total=True)
    second = client.get(answer.json()["next"])

    assert answer.json()["total"] == 2
    assert answer.headers["link"] == f"<{answer.json()['next']}>; rel=\"next\""
    assert [row["revenue"] for row in second.json()["rows"]] == ["1000.0000"]
    assert second.json()["next"] is None
    assert client.get(second.json()["prev"]).json()["rows"] == answer.json()["rows"]


def test_an_unknown_metric_is_answered_with_404_and_the_nearest_name(client: TestClient) -> None:
    answer = ask(client, "revenu")

    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() == {
        "type": "urn:triptych:problem:unknown-metric",
        "title": "There is no such metric.",
        "status": 404,
        "detail": "'revenu': did you mean 'revenue'?",
        "hint": "GET /v1/metrics lists them all.",
    }


@pytest.mark.parametrize(
    "dimension",
    ["contry", "revenue", "event_time", "country; DROP TABLE sales", '"country"', "1", "*"],
)
def test_an_unknown_dimension_is_answered_with_422(client: TestClient, dimension: str) -> None:
    answer = ask(client, by=["country", dimension])

    assert answer.status_code == 422
    assert answer.json()["type"] == "urn:triptych:problem:unknown-dimension"


@pytest.mark.parametrize(
    ("parameter", "value", "why"),
    [
        ("grain", "decade", "'month'"),
        ("from_", "2030-01-01T00:00:00", "timezone"),
        ("to", "2030-01-01", "timezone"),
        ("from_", "yesterday", "from: "),
        ("limit", "0", "limit: "),
        ("limit", "10001", "10000 at most"),
        ("limit", "many", "limit: "),
    ],
)
def test_a_wrong_parameter_is_answered_with_422_and_named(
    client: TestClient, parameter: str, value: str, why: str
) -> None:
    answer = ask(client, **{parameter: value})

    assert answer.status_code == 422
    assert why in answer.json()["detail"]


@pytest.mark.parametrize("end", ["2030-01-01T00:00:00Z", "2030-01-01T01:00:00+01:00"])
def test_a_range_that_does_not_end_after_it_starts_is_answered_with_422(
    client: TestClient, end: str
) -> None:
    answer = ask(client, from_="2030-01-01T00:00:00Z", to=end)

    assert answer.status_code == 422
    assert answer.json()["type"] == "urn:triptych:problem:empty-range"


def test_a_table_that_no_pipeline_has_written_is_answered_with_404(client: TestClient) -> None:
    answer = ask(client, "refunds")

    assert answer.status_code == 404
    assert answer.json()["type"] == "urn:triptych:problem:no-such-table"
    assert "etl run" in answer.json()["hint"]


def test_a_table_without_a_column_of_the_metric_is_answered_with_409(
    client: TestClient, lake: Lake, commit: Commit
) -> None:
    commit(lake, "refunds", sales().drop_columns(["cancelled"]))

    answer = ask(client, "refunds")

    assert answer.status_code == 409
    assert answer.json()["type"] == "urn:triptych:problem:wrong-column"
    assert "'refunds' has no column 'refunded'" in answer.json()["detail"]


def test_a_service_with_its_lake_is_ready(client: TestClient) -> None:
    assert client.get("/readyz").status_code == 200


def test_a_service_without_its_lake_is_alive_and_not_ready(client: TestClient, lake: Lake) -> None:
    shutil.rmtree(lake.root)

    assert client.get("/livez").status_code == 200
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert "TRIPTYCH_LAKE_URL" in answer.json()["failures"]["lake"]


def test_requests_are_counted_by_their_route(client: TestClient) -> None:
    ask(client)

    lines = client.get("/metrics").text.splitlines()

    assert any(
        line.startswith("http_requests_total{") and 'route="/v1/metrics/{name}/query"' in line
        for line in lines
    )


def test_the_service_describes_itself_in_openapi_3_1(client: TestClient) -> None:
    document = client.get("/openapi.json").json()

    assert document["openapi"].startswith("3.1.")
    parameters = document["paths"]["/v1/metrics/{name}/query"]["get"]["parameters"]
    names = {parameter["name"] for parameter in parameters}
    assert names >= {"name", "from", "to", "grain", "by", "limit", "cursor", "as_of"}
    [name] = [parameter for parameter in parameters if parameter["name"] == "name"]
    assert name["schema"]["enum"] == ["invoices", "refunds", "revenue"]


MOMENTS = st.datetimes(
    datetime(2029, 11, 1), datetime(2030, 3, 1), timezones=st.just(UTC)  # noqa: DTZ001
)
REVENUES = st.decimals(-(10**9), 10**9, places=4).map(str)
ROWS = st.lists(st.tuples(MOMENTS, st.sampled_from(["France", None]), REVENUES), min_size=1)


@settings(max_examples=20)
@given(rows=ROWS)
def test_revenue_by_month_is_what_python_computes(
    tmp_path_factory: pytest.TempPathFactory,
    commit: Commit,
    rows: list[tuple[datetime, str | None, str]],
) -> None:
    lake = Lake.open(str(tmp_path_factory.mktemp("lake")))
    commit(lake, "sales", sales(*rows))
    expected: dict[str, Decimal] = defaultdict(Decimal)
    for at, _, revenue in rows:
        expected[f"{at:%Y-%m}-01T00:00:00Z"] += Decimal(revenue)
    shop = Path(__file__).parents[4] / "examples" / "shop"

    with serving(lake, shop / "metrics") as client:
        body = ask(client, grain="month").json()

    found = [(row["time"], Decimal(row["revenue"])) for row in body["rows"]]
    assert found == sorted(expected.items())
