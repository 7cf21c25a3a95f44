"""Replicas with one Redis share answers, work and limits; without it each goes on by itself."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx2
import pyarrow as pa
import pytest
from pydantic import SecretStr

from triptych.analytics.entrypoints.http import create_analytics
from triptych.analytics.settings import (
    AnalyticsSettings,
    LimitSettings,
    RedisSettings,
)
from triptych.analytics.wiring import wire
from triptych.lake.lake import Lake
from triptych.testing.relay import Relay, relayed

QUERY = "/v1/metrics/revenue/query"
Replicas = Callable[..., Any]


@pytest.fixture
def settings(
    lake: Lake, shop: Path, redis: Any, commit: Callable[[Lake, str, pa.Table], int]
) -> Callable[..., AnalyticsSettings]:
    rows = {
        "event_time": [datetime(2030, 1, 1, tzinfo=UTC)] * 1000,
        "country": ["France"] * 1000,
        "cancelled": [False] * 1000,
        "revenue": [Decimal("1.50")] * 1000,
    }
    commit(lake, "sales", pa.table(rows))

    def make(seconds: float = 0.5, **limits: Any) -> AnalyticsSettings:
        usual = {"burst": 0, "sustained": 0, "daily": 0}
        return AnalyticsSettings(
            lake_url=str(lake.root),
            metrics_dir=shop / "metrics",
            access_url=SecretStr(f"sqlite:///{lake.root}.db"),
            redis=RedisSettings(url=SecretStr(redis.url), seconds=seconds),
            limit=LimitSettings(**{**usual, **limits}),
        )

    return make


@asynccontextmanager
async def replicas(settings: AnalyticsSettings) -> AsyncIterator[list[httpx2.AsyncClient]]:
    """Two of them."""
    with ExitStack() as wired:
        async with AsyncExitStack() as stack:
            clients = []
            for _ in range(2):
                analytics = wired.enter_context(wire(settings))
                assert analytics.shared
                stack.push_async_callback(analytics.shared.close)
                app = create_analytics(analytics)
                client = httpx2.AsyncClient(
                    transport=httpx2.ASGITransport(app), base_url="http://test"
                )
                clients.append(await stack.enter_async_context(client))
            yield clients


def told(answers: list[httpx2.Response]) -> list[str]:
    return [answer.headers["x-cache"] for answer in answers]


def test_what_one_replica_has_answered_the_other_has_too(
    settings: Callable[..., AnalyticsSettings],
) -> None:
    async def scenario() -> None:
        async with replicas(settings()) as (one, other):
            answers = [await one.get(QUERY), await other.get(QUERY), await other.get(QUERY)]
        assert told(answers) == ["MISS", "HIT", "HIT"]
        assert len({answer.content for answer in answers}) == 1

    asyncio.run(scenario())


def test_equal_questions_to_both_are_computed_once(
    settings: Callable[..., AnalyticsSettings], monkeypatch: pytest.MonkeyPatch
) -> None:
    from triptych.analytics.infrastructure.lake import LakeTables  # noqa: PLC0415

    pages, real = [], LakeTables.page

    def page(*given: Any) -> pa.Table:
        pages.append(given)
        return real(*given)

    monkeypatch.setattr(LakeTables, "page", page)

    async def scenario() -> None:
        async with replicas(settings(seconds=30)) as clients:
            answers = await asyncio.gather(*(clients[n % 2].get(QUERY) for n in range(200)))
        assert {answer.status_code for answer in answers} == {200}

    asyncio.run(scenario())
    assert len(pages) == 1


def test_over_both_nobody_gets_more_than_the_quota(
    settings: Callable[..., AnalyticsSettings],
) -> None:
    async def scenario() -> None:
        async with replicas(settings(sustained=25)) as clients:
            answers = await asyncio.gather(
                *(clients[n % 2].get(QUERY, params={"limit": n + 1}) for n in range(60))
            )
        codes = [answer.status_code for answer in answers]
        assert (codes.count(200), codes.count(429)) == (25, 35)

    asyncio.run(scenario())


@pytest.mark.parametrize("harm", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "paused"])
@pytest.mark.parametrize(
    ("when_away", "codes"), [("local", {200}), ("allow", {200}), ("refuse", {503})]
)
def test_without_redis_answers_are_right_and_limits_are_as_is_set(
    settings: Callable[..., AnalyticsSettings],
    redis: Any,
    harm: signal.Signals,
    when_away: str,
    codes: set[int],
) -> None:
    async def scenario() -> None:
        async with replicas(settings(sustained=1000, when_away=when_away)) as (one, other):
            first = await one.get(QUERY)
            redis.process.send_signal(harm)
            try:
                answers = [await client.get(QUERY) for client in (one, other, one)]
                note = (await one.get("/readyz")).json()["notes"]
            finally:
                redis.process.send_signal(signal.SIGCONT)
        assert {answer.status_code for answer in answers} == codes
        assert {a.content for a in answers if a.status_code == 200} <= {first.content}
        assert note == {"redis": "Redis is away: this replica goes on by itself."}

    asyncio.run(scenario())


def test_when_redis_is_back_it_is_used_again(
    settings: Callable[..., AnalyticsSettings], redis: Any
) -> None:
    async def scenario() -> None:
        async with replicas(settings()) as (one, other):
            redis.process.send_signal(signal.SIGSTOP)
            await one.get(QUERY)
            redis.process.send_signal(signal.SIGCONT)
            for number in range(200):
                answers = [
                    await each.get(QUERY, params={"limit": number + 1}) for each in (one, other)
                ]
                if told(answers) == ["MISS", "HIT"]:
                    return
                await asyncio.sleep(0.05)
        raise AssertionError("it never was")

    asyncio.run(scenario())


@pytest.mark.parametrize(("late", "told_of_it"), [(0.02, "HIT"), (2.0, "MISS")])
def test_a_slow_redis_is_waited_for_and_one_that_is_too_slow_is_not(
    settings: Callable[..., AnalyticsSettings], redis: Any, late: float, told_of_it: str
) -> None:
    async def scenario(relay: Relay) -> list[httpx2.Response]:
        url = RedisSettings(url=SecretStr(relay.url), seconds=0.5)
        async with replicas(settings().model_copy(update={"redis": url})) as (one, other):
            relay.seconds = late
            return [await each.get(QUERY) for each in (one, other, one)]

    with relayed(redis.url) as relay:
        first, second, third = asyncio.run(scenario(relay))

    assert told([first, second, third]) == ["MISS", told_of_it, "HIT"]
    assert first.json()["rows"] == second.json()["rows"] == third.json()["rows"]
