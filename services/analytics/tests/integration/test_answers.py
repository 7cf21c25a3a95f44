"""How answers are kept, told and limited: ETags, formats, pages that stay consistent, quotas."""

import asyncio
import csv
import io
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx2
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr

from triptych.analytics.entrypoints.http import create_analytics
from triptych.analytics.settings import (
    AnalyticsSettings,
    CursorSettings,
    LimitSettings,
    QuerySettings,
)
from triptych.analytics.wiring import Analytics, wire
from triptych.lake.lake import Lake

Commit = Callable[[Lake, str, pa.Table], int]
START = datetime(2030, 1, 1, tzinfo=UTC)
SECRET = "s" * 32
QUERY = "/v1/metrics/revenue/query"


def sales(*countries: str | None, amount: str = "1.50", first: int = 0) -> pa.Table:
    """One sale an hour, in these countries."""
    return pa.table(
        {
            "event_time": pa.array(
                [START + timedelta(hours=first + n) for n in range(len(countries))],
                pa.timestamp("us", "UTC"),
            ),
            "country": pa.array(countries, pa.string()),
            "cancelled": [False] * len(countries),
            "revenue": pa.array([Decimal(amount)] * len(countries), pa.decimal128(28, 4)),
        }
    )


@contextmanager
def wired(lake: Lake, shop: Path, **parts: Any) -> Iterator[Analytics]:
    with wire(
        AnalyticsSettings(
            lake_url=str(lake.root),
            metrics_dir=shop / "metrics",
            access_url=SecretStr(f"sqlite:///{lake.root}.db"),
            cursor=CursorSettings(secret=SECRET),  # type: ignore[arg-type]  # pydantic makes one
            **parts,
        )
    ) as analytics:
        yield analytics


@pytest.fixture
def client(lake: Lake, shop: Path, commit: Commit) -> Iterator[TestClient]:
    commit(lake, "sales", sales("France", "Spain", "=cmd", None))
    with wired(lake, shop) as analytics, TestClient(create_analytics(analytics)) as made:
        yield made


def test_who_has_an_answer_is_not_sent_it_again_until_there_is_another(
    client: TestClient, lake: Lake, commit: Commit
) -> None:
    first = client.get(QUERY)
    has = {"If-None-Match": first.headers["etag"]}
    again = client.get(QUERY, headers=has)
    commit(lake, "sales", sales("Italy"))
    changed = client.get(QUERY, headers=has)

    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == first.headers["etag"]
    assert (changed.status_code, changed.json()["rows"]) == (200, [{"revenue": "7.5000"}])
    assert changed.headers["etag"] != first.headers["etag"]


def test_an_answer_is_computed_once_and_then_comes_from_memory(client: TestClient) -> None:
    first, second = client.get(QUERY), client.get(QUERY)

    counted = client.get("/metrics").text

    assert [first.headers["x-cache"], second.headers["x-cache"]] == ["MISS", "HIT"]
    assert 'analytics_answers_total{source="hit"} 1.0' in counted
    assert "analytics_query_seconds_count 1.0" in counted
    assert first.content == second.content
    assert "query;dur=" in first.headers["server-timing"]


def test_replicas_and_restarts_tell_the_same_of_an_answer(
    client: TestClient, lake: Lake, shop: Path
) -> None:
    with wired(lake, shop) as other, TestClient(create_analytics(other)) as replica:
        here, there = (
            each.get(QUERY, params={"by": "country", "limit": 1}) for each in (client, replica)
        )

    assert (here.headers["etag"], here.content) == (there.headers["etag"], there.content)


@pytest.mark.parametrize("encoding", ["identity", "gzip"])
def test_each_representation_has_an_etag_of_its_own(client: TestClient, encoding: str) -> None:
    etags = {
        client.get(QUERY, headers={"Accept": kind, "Accept-Encoding": encoding}).headers["etag"]
        for kind in ("application/json", "text/csv", "application/x-ndjson")
    }

    assert len(etags) == 3


def test_large_answers_are_compressed_for_who_can_read_that(
    client: TestClient, lake: Lake, commit: Commit
) -> None:
    commit(lake, "sales", sales(*map(str, range(500))))

    plain = client.get("/v1/tables/sales/rows", headers={"Accept-Encoding": "identity"})
    packed = client.get("/v1/tables/sales/rows", headers={"Accept-Encoding": "gzip"})

    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.json() == plain.json()
    assert int(packed.headers["content-length"]) < int(plain.headers["content-length"]) / 3
    assert "Accept-Encoding" in packed.headers["vary"]


@pytest.mark.parametrize(
    ("path", "as_of", "kept"),
    [
        ("/v1/tables/sales/rows", 0, "max-age=86400"),
        ("/v1/tables/sales/rows", None, "no-cache"),
        (QUERY, 0, "no-cache"),  # what the metric means may change
        (QUERY, None, "no-cache"),
    ],
)
def test_only_rows_of_a_version_that_is_named_may_be_kept_unasked(
    client: TestClient, path: str, as_of: int | None, kept: str
) -> None:
    parameters = {} if as_of is None else {"as_of": as_of}

    assert kept in client.get(path, params=parameters).headers["cache-control"]


def test_head_tells_what_get_would(client: TestClient) -> None:
    head, get = client.head(QUERY), client.get(QUERY)

    assert (head.status_code, head.content) == (200, b"")
    for name in ("etag", "content-type", "content-length"):
        assert head.headers[name] == get.headers[name]


def test_as_of_shows_a_table_as_it_stood(client: TestClient, lake: Lake, commit: Commit) -> None:
    before = client.get(QUERY).json()
    commit(lake, "sales", sales("Italy"))
    [now, first] = client.get("/v1/tables/sales/history").json()["versions"]

    assert (now["version"], first["version"]) == (1, 0)
    for as_of in (0, first["at"]):
        assert client.get(QUERY, params={"as_of": as_of}).json()["rows"] == before["rows"]
    assert client.get(QUERY, params={"as_of": 7}).status_code == 404
    assert client.get(QUERY, params={"as_of": "soon"}).status_code == 422


BY_COUNTRY = [("=cmd", "1.5000"), ("France", "1.5000"), ("Spain", "1.5000"), (None, "1.5000")]


@pytest.mark.parametrize("how", ["suffix", "accept"])
@pytest.mark.parametrize("kind", ["csv", "ndjson", "arrow", "parquet"])
def test_the_same_rows_come_in_every_format(client: TestClient, kind: str, how: str) -> None:
    accept = {
        "csv": "text/csv",
        "ndjson": "application/x-ndjson",
        "arrow": "application/vnd.apache.arrow.stream",
        "parquet": "application/vnd.apache.parquet",
    }[kind]
    path, headers = (f"{QUERY}.{kind}", {}) if how == "suffix" else (QUERY, {"Accept": accept})

    answer = client.get(path, params={"by": "country"}, headers=headers)

    assert answer.headers["content-type"].startswith(accept)
    match kind:
        case "csv":
            rows: list[dict[str, Any]] = list(csv.DictReader(io.StringIO(answer.text)))
            assert rows[0]["country"] == "'=cmd"  # what a spreadsheet would have run
            rows[0]["country"] = "=cmd"
            rows[3]["country"] = rows[3]["country"] or None
        case "ndjson":
            rows = [httpx2.Response(200, content=line).json() for line in answer.text.splitlines()]
        case "arrow":
            rows = pa.ipc.open_stream(answer.content).read_all().to_pylist()
        case _:
            rows = pq.read_table(io.BytesIO(answer.content)).to_pylist()
    assert [(row["country"], str(row["revenue"])) for row in rows] == BY_COUNTRY


def test_a_format_that_nobody_speaks_is_406(client: TestClient) -> None:
    assert client.get(QUERY, headers={"Accept": "image/png"}).status_code == 406


@pytest.mark.parametrize("order", ["", "country", "-country", "-revenue,country"])
def test_a_walk_sees_one_version_while_the_table_moves_on(
    client: TestClient, lake: Lake, commit: Commit, order: str
) -> None:
    commit(lake, "sales", sales(*("abcab"[n % 5] for n in range(20)), None, None))
    parameters: dict[str, Any] = {"order": order, "columns": "event_time,country,revenue"}
    whole = client.get("/v1/tables/sales/rows", params={**parameters, "limit": 1000}).json()["rows"]

    pages, address = [], f"/v1/tables/sales/rows?{httpx2.QueryParams({**parameters, 'limit': 3})}"
    while address:
        page = client.get(address).json()
        pages.append(page)
        commit(lake, "sales", sales("new"))
        address = page["next"]
    back, address = [pages[-1]["rows"]], pages[-1]["prev"]
    while address:
        page = client.get(address).json()
        back.insert(0, page["rows"])
        address = page["prev"]

    assert [row for page in pages for row in page["rows"]] == whole
    assert [row for rows in back for row in rows] == whole
    assert {page["tables"][0]["version"] for page in pages} == {1}


def test_a_walk_whose_version_was_vacuumed_is_gone_with_a_way_on(
    client: TestClient, lake: Lake, commit: Commit
) -> None:
    page = client.get("/v1/tables/sales/rows", params={"limit": 1}).json()
    for file in (lake.root / "sales").glob("*.parquet"):
        file.unlink()

    answer = client.get(page["next"])

    assert (answer.status_code, answer.json()["type"]) == (410, "urn:triptych:problem:version-gone")
    assert "Begin again" in answer.json()["hint"]


def test_a_cursor_of_another_query_is_refused(client: TestClient) -> None:
    cursor = httpx2.URL(
        client.get("/v1/tables/sales/rows", params={"limit": 1}).json()["next"]
    ).params["cursor"]

    answer = client.get(QUERY, params={"cursor": cursor})

    assert (answer.status_code, answer.json()["type"]) == (400, "urn:triptych:problem:wrong-cursor")
    assert "another query" in answer.json()["detail"]


def test_several_metrics_are_asked_for_at_once(
    client: TestClient, lake: Lake, commit: Commit
) -> None:
    refunds = {"event_time": [START], "country": ["Japan"], "refunded": [Decimal("9.99")]}
    commit(lake, "refunds", pa.table(refunds))

    answer = client.post(
        "/v1/query", json={"metrics": ["revenue", "invoices", "refunds"], "by": ["country"]}
    )

    rows = {row.pop("country"): row for row in answer.json()["rows"]}
    assert rows["France"] == {"revenue": "1.5000", "invoices": 1, "refunds": None}
    assert rows["Japan"] == {"revenue": None, "invoices": None, "refunds": "9.99"}


def test_an_explanation_tells_the_statement_and_the_cost_and_runs_nothing(
    client: TestClient,
) -> None:
    told = client.get("/v1/metrics/revenue/explain", params={"where": "country = 'x'"}).json()

    assert "sum(" in told["sql"]
    assert "x" in told["parameters"]
    assert "'x'" not in told["sql"]
    assert (told["cost"], told["tables"]) == (1, [{"name": "sales", "version": 0, "rows": 4}])


def test_an_answer_beyond_the_limit_of_bytes_is_refused(
    lake: Lake, shop: Path, commit: Commit
) -> None:
    commit(lake, "sales", sales(*map(str, range(500))))
    with (
        wired(lake, shop, query=QuerySettings(bytes=1024)) as analytics,
        TestClient(create_analytics(analytics)) as client,
    ):
        few, many = (
            client.get("/v1/tables/sales/rows.csv", params={"limit": limit}) for limit in (5, 500)
        )

    assert (few.status_code, many.status_code) == (200, 413)
    assert "1024 are allowed" in many.json()["detail"]


def limited(lake: Lake, shop: Path, **limits: Any) -> Any:
    usual = {"burst": 0, "sustained": 0, "daily": 0}
    return wired(lake, shop, limit=LimitSettings(**{**usual, **limits}))


def test_who_asks_too_much_is_told_when_to_ask_again(
    lake: Lake, shop: Path, commit: Commit
) -> None:
    commit(lake, "sales", sales("France"))
    with (
        limited(lake, shop, sustained=3) as analytics,
        TestClient(create_analytics(analytics)) as client,
    ):
        answers = [client.get(QUERY, params={"limit": n + 1}) for n in range(4)]
        has = {"If-None-Match": answers[0].headers["etag"]}
        unchanged = client.get(QUERY, params={"limit": 1}, headers=has)
        usage = client.get("/v1/usage").json()

    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    refused = answers[3]
    assert refused.json()["type"] == "urn:triptych:problem:too-much"
    assert 1 <= int(refused.headers["retry-after"]) <= 63
    assert refused.headers["ratelimit-policy"] == '"sustained";q=3;w=60'
    assert refused.headers["ratelimit"].startswith('"sustained";r=0;t=')
    assert answers[0].headers["ratelimit"].startswith('"sustained";r=2;t=')
    assert unchanged.status_code == 304  # who has it already pays nothing
    assert [p["remaining"] for p in usage["policies"]] == [0]


@pytest.mark.parametrize(
    ("proxies", "counted"), [((), {200: 1, 429: 1}), (("testclient",), {200: 2})]
)
def test_only_trusted_proxies_are_believed(
    lake: Lake, shop: Path, commit: Commit, proxies: tuple[str, ...], counted: dict[int, int]
) -> None:
    commit(lake, "sales", sales("France"))
    trusted = ("10.0.0.0/8",) if proxies else ()
    with (
        limited(lake, shop, sustained=1, trusted_proxies=trusted) as analytics,
        TestClient(create_analytics(analytics), client=("10.1.2.3", 1)) as client,
    ):
        codes = [
            client.get(QUERY, headers={"X-Forwarded-For": f"6.6.6.6, 192.0.2.{n}"}).status_code
            for n in range(2)
        ]

    assert {code: codes.count(code) for code in codes} == counted


def test_many_equal_questions_at_once_are_answered_by_one_query(
    lake: Lake, shop: Path, commit: Commit
) -> None:
    commit(lake, "sales", sales(*(["France"] * 1000)))

    async def ask_all(analytics: Analytics) -> list[httpx2.Response]:
        transport = httpx2.ASGITransport(create_analytics(analytics))
        async with httpx2.AsyncClient(transport=transport, base_url="http://test") as client:
            return await asyncio.gather(*(client.get(QUERY) for _ in range(200)))

    with limited(lake, shop) as analytics:
        answers = asyncio.run(ask_all(analytics))

    told = [answer.headers["x-cache"] for answer in answers]
    assert {answer.content for answer in answers} == {answers[0].content}
    assert told.count("MISS") == 1


def test_no_answer_is_older_than_its_etag_says(
    client: TestClient, lake: Lake, commit: Commit
) -> None:
    known: dict[str, Any] = {}
    for number in range(12):
        commit(lake, "sales", sales("x", amount=str(number)))
        answer = client.get(QUERY)
        body = answer.json()
        assert body["tables"][0]["version"] == number + 1
        assert body["rows"] == [{"revenue": str(Decimal(6 + number * (number + 1) // 2)) + ".0000"}]
        assert answer.headers["etag"] not in known
        known[answer.headers["etag"]] = body


def test_metrics_are_read_again_at_once_or_not_at_all(
    lake: Lake, shop: Path, commit: Commit, tmp_path: Path
) -> None:
    commit(lake, "sales", sales("France"))
    copy = tmp_path / "shop"
    shutil.copytree(shop, copy)
    with wired(lake, copy) as analytics, TestClient(create_analytics(analytics)) as client:
        file = copy / "metrics" / "shop.yaml"
        text = file.read_text()
        file.write_text(text.replace("column: revenue", "column: revenu"))
        analytics.metrics.reload_if_changed()
        still = client.get(QUERY)
        file.write_text(text.replace("unit: GBP", "unit: EUR"))
        analytics.metrics.reload_if_changed()
        changed = client.get(QUERY)

    assert still.status_code == 200
    assert changed.json()["metrics"][0]["unit"] == "EUR"
    assert changed.headers["etag"] != still.headers["etag"]


@pytest.mark.parametrize(
    "path",
    [
        "/v1/metrics",
        "/v1/metrics/revenue",
        "/v1/metrics/revenue/explain",
        "/v1/tables",
        "/v1/tables/sales/schema",
        "/v1/tables/sales/history",
        "/v1/tables/sales/explain",
    ],
)
def test_whatever_looks_at_tables_costs_a_unit(
    lake: Lake, shop: Path, commit: Commit, path: str
) -> None:
    commit(lake, "sales", sales("France"))
    limits = LimitSettings(burst=0, sustained=0, daily=1)
    with wired(lake, shop, limit=limits) as wiring, TestClient(create_analytics(wiring)) as client:
        statuses = [client.get(path).status_code for _ in range(2)]
        usage = client.get("/v1/usage").status_code

    assert (statuses, usage) == ([200, 429], 200)
