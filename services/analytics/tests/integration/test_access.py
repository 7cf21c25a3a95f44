"""Who has a key gets answers, and nobody else does, once there is one."""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import httpx2
import pyarrow as pa
import pytest
from fastapi.testclient import TestClient

from triptych.analytics.entrypoints.http import create_analytics
from triptych.analytics.settings import AnalyticsSettings, LimitSettings
from triptych.analytics.wiring import wire
from triptych.lake.lake import Lake
from triptych.service.keys import Scope
from triptych.testing.processes import running

Command = Callable[..., subprocess.CompletedProcess[str]]
Serving = Callable[..., AbstractContextManager[TestClient]]
Key = Callable[[Scope], dict[str, str]]
QUERY = "/v1/metrics/revenue/query?by=country"


@pytest.fixture
def shop_lake(lake: Lake, commit: Callable[[Lake, str, pa.Table], int]) -> Lake:
    """A sale."""
    rows = {
        "event_time": [datetime(2030, 1, 1, tzinfo=UTC)],
        "country": ["France"],
        "cancelled": [False],
        "revenue": pa.array([Decimal(2)], pa.decimal128(18, 4)),
    }
    commit(lake, "sales", pa.table(rows))
    return lake


@pytest.fixture
def key(analytics: Command) -> Key:
    """Make a key with `analytics keys create`: the headers that send it."""

    def make(scope: Scope) -> dict[str, str]:
        made = analytics("keys", "create", "a team", "--scope", scope.value)
        assert made.returncode == 0, made.stderr
        *_, text = made.stdout.splitlines()  # a server of this test may have logged before
        return {"Authorization": f"Bearer {text}"}

    return make


@pytest.fixture
def serving(shop_lake: Lake, settings_of: Callable[..., AnalyticsSettings]) -> Serving:
    """Serve, with these limits."""

    @contextmanager
    def serve(**limits: Any) -> Iterator[TestClient]:
        settings = settings_of(limit=LimitSettings(**limits))
        with wire(settings) as service, TestClient(create_analytics(service)) as client:
            yield client

    return serve


def test_who_has_a_key_that_may_read_is_answered(serving: Serving, key: Key) -> None:
    reader, writer = key(Scope.READ), key(Scope.WRITE)

    with serving() as client:
        statuses = [
            client.get(path, headers=headers).status_code
            for path in (QUERY, "/v1/metrics", "/v1/tables", "/v1/usage", "/metrics")
            for headers in ({}, {"Authorization": "Bearer nonsense"}, writer, reader)
        ]

    assert statuses == [401, 401, 403, 200] * 5


def test_an_answer_that_is_remembered_is_not_given_to_who_has_no_key(
    serving: Serving, key: Key
) -> None:
    reader = key(Scope.READ)
    with serving() as client:
        first = client.get(QUERY, headers=reader)
        again = client.get(QUERY, headers=reader)
        etag = {"If-None-Match": first.headers["etag"]}
        others = [client.get(QUERY, headers=headers).status_code for headers in ({}, etag)]

    assert (first.headers["x-cache"], again.headers["x-cache"]) == ("MISS", "HIT")
    assert others == [401, 401]


def test_only_what_everybody_may_ask_for_may_be_kept_by_anybody(serving: Serving, key: Key) -> None:
    with serving() as client:
        open_ = client.get(QUERY).headers["cache-control"]
    reader = key(Scope.READ)
    with serving() as client:
        closed = client.get(QUERY, headers=reader).headers

    assert (open_, closed["cache-control"]) == ("public, no-cache", "private, no-cache")
    assert "Authorization" in closed["vary"]


def test_each_key_has_a_quota_of_its_own(serving: Serving, key: Key) -> None:
    one, other = key(Scope.READ), key(Scope.READ)

    with serving(burst=0, sustained=0, daily=2) as client:
        answers = [client.get(QUERY, headers=one) for _ in range(3)]
        free = client.get(QUERY, headers=other)
        usage = client.get("/v1/usage", headers=one).json()

    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert free.status_code == 200
    assert usage["client"] == one["Authorization"].split("_")[1]
    assert usage["policies"][0]["remaining"] == 0


def test_the_description_names_metrics_only_while_everybody_may_ask(
    serving: Serving, key: Key
) -> None:
    with serving() as client:
        before = client.get("/openapi.json").text
        reader = key(Scope.READ)
    with serving() as client:
        after = client.get("/openapi.json")
        listed = client.get("/v1/metrics", headers=reader).text

    assert (before.count('"revenue"') > 0, '"revenue"' in listed) == (True, True)
    assert '"enum":["orders' not in after.text
    assert after.json()["components"]["securitySchemes"]


def test_with_a_key_the_service_may_be_open_to_the_network(
    analytics: Command, shop_lake: Lake, environment: dict[str, str], key: Key
) -> None:
    everywhere = {**environment, "TRIPTYCH_ANALYTICS__HOST": "0.0.0.0"}  # noqa: S104  # the claim
    refused = analytics("serve", TRIPTYCH_ANALYTICS__HOST="0.0.0.0")  # noqa: S104
    reader = key(Scope.READ)

    with running("analytics", everywhere) as service:
        url = service.url.replace("0.0.0.0", "127.0.0.1")  # noqa: S104
        statuses = [httpx2.get(url + QUERY, headers=h).status_code for h in ({}, reader)]

    assert (refused.returncode, "analytics keys create" in refused.stderr) == (2, True)
    assert statuses == [401, 200]


def test_cursors_and_etags_outlive_a_restart(serving: Serving) -> None:
    with serving() as client:
        before = client.get(QUERY).headers["etag"]
    with serving() as client:
        after = client.get(QUERY).headers["etag"]

    assert after == before


def test_the_tables_of_keys_can_be_migrated(analytics: Command) -> None:
    before = analytics("migrate", "--check")
    migrated = analytics("migrate")

    assert (before.returncode, migrated.returncode) == (1, 0)
    assert "run: analytics migrate" in before.stderr
    assert analytics("migrate", "--check").returncode == 0
