"""Whatever keeps count of what clients use, decides alike."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from triptych.analytics.application.limiting import LocalLimiter, WhenAway
from triptych.analytics.domain.limits import Policy, Verdict
from triptych.analytics.infrastructure.redis import Shared, SharedLimiter

POLICIES = [Policy("burst", 10, 1), Policy("sustained", 50, 60)]
Charged = Callable[[list[tuple[float, int]]], list[Verdict]]


class FakeClock:
    """A clock that a test sets."""

    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(params=["local", "redis"])
def charged(request: pytest.FixtureRequest) -> Charged:
    """What a client is told who asks for these costs, each so many seconds after the last."""
    clients = iter(range(10**6))
    server: Any = request.getfixturevalue("redis") if request.param == "redis" else None

    def charge_all(asked: list[tuple[float, int]]) -> list[Verdict]:
        clock, client = FakeClock(), f"client {next(clients)}"

        async def scenario() -> list[Verdict]:
            limiter: Any = LocalLimiter(POLICIES, clock)
            async with AsyncExitStack() as stack:
                if server is not None:
                    shared = Shared.at(server.url, 5)
                    stack.push_async_callback(shared.close)
                    limiter = SharedLimiter(POLICIES, shared, limiter, WhenAway.REFUSE, clock)
                found = []
                for seconds, cost in asked:
                    clock.now += seconds
                    found.append(await limiter.charge(client, cost))
                return found

        return asyncio.run(scenario())

    return charge_all


def test_what_is_free_can_be_had_and_no_more(charged: Charged) -> None:
    told = charged([(0, 4), (0, 6), (0, 1), (1.1, 10)])

    assert [verdict.allowed for verdict in told] == [True, True, False, True]
    assert [verdict.standings[0].remaining for verdict in told] == [6, 0, 0, 0]
    assert told[2].retry_after == 2


def test_all_policies_have_to_agree(charged: Charged) -> None:
    told = charged([(2.0, 10)] * 7)

    assert [verdict.allowed for verdict in told] == [True] * 5 + [False] * 2
    assert [standing.remaining for standing in told[6].standings] == [10, 0]


def test_to_ask_where_one_stands_costs_nothing(charged: Charged) -> None:
    told = charged([(0, 3), (0, 0), (0, 0)])

    assert [verdict.standings[0].remaining for verdict in told] == [7, 7, 7]


@pytest.mark.parametrize("jump", [-3600.0, -1.0])
def test_a_clock_that_is_set_back_neither_opens_the_gate_nor_locks_it(
    charged: Charged, jump: float
) -> None:
    told = charged([(0, 10), (jump, 1), (1.1, 10)])

    assert [verdict.allowed for verdict in told] == [True, False, True]


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    asked=st.lists(
        st.tuples(st.integers(0, 60).map(lambda n: n / 20 + 0.001), st.integers(0, 12)), max_size=25
    )
)
def test_redis_decides_as_the_process_does(redis: Any, asked: list[tuple[float, int]]) -> None:
    async def scenario() -> None:
        clock = FakeClock()
        shared = Shared.at(redis.url, 5)
        await shared.client.flushall()
        local = LocalLimiter(POLICIES, clock)
        remote = SharedLimiter(POLICIES, shared, local, WhenAway.REFUSE, clock)
        for seconds, cost in asked:
            clock.now += seconds
            assert await remote.charge("c", cost) == await local.charge("c", cost)
        await shared.close()

    asyncio.run(scenario())
