"""In no window does anybody get more than the quota; and what is free can be had."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triptych.analytics.application.limiting import LocalLimiter
from triptych.analytics.domain.limits import Policy, Used, decide

BURST = Policy("burst", 10, 1)
SUSTAINED = Policy("sustained", 50, 60)


class FakeClock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@given(
    st.lists(st.tuples(st.floats(0, 3), st.integers(1, 12)), max_size=60),
    st.sampled_from([BURST, SUSTAINED]),
)
def test_in_no_window_is_more_used_than_the_quota(
    asked: list[tuple[float, int]], policy: Policy
) -> None:
    used: dict[str, dict[int, int]] = {}
    now, had = 5000.0, []
    for wait, cost in asked:
        now += wait
        verdict, used = decide([policy], used, cost, now)
        if verdict.allowed:
            had.append((now, policy.cost(cost)))

    for start, _ in had:
        within = sum(cost for at, cost in had if start <= at <= start + policy.window)
        assert within <= policy.quota


@given(st.lists(st.tuples(st.floats(0, 3), st.integers(1, 12)), max_size=40))
def test_who_waits_as_long_as_is_said_gets_it(asked: list[tuple[float, int]]) -> None:
    used: dict[str, dict[int, int]] = {}
    now = 5000.0
    for wait, cost in asked:
        now += wait
        verdict, used = decide([BURST, SUSTAINED], used, cost, now)
        if not verdict.allowed:
            later, _ = decide([BURST, SUSTAINED], used, cost, now + verdict.retry_after)
            assert later.allowed


def test_all_policies_have_to_agree_and_none_is_charged_if_one_does_not() -> None:
    used: dict[str, Used] = {"sustained": {int(1000 / SUSTAINED.slot): 49}}

    refused, after = decide([BURST, SUSTAINED], used, 2, 1000)

    assert not refused.allowed
    assert [s.remaining for s in refused.standings] == [10, 1]
    assert (refused.tightest.policy, after["burst"]) == (SUSTAINED, {})


def test_what_costs_more_than_there_ever_is_takes_all_of_it() -> None:
    first, used = decide([BURST], {}, 1000, 5000)
    second, _ = decide([BURST], used, 1, 5000)

    assert (first.allowed, first.standings[0].remaining, second.allowed) == (True, 0, False)


@pytest.mark.parametrize("jump", [-86_400, -3600, -1, -0.01])
def test_a_clock_that_is_set_back_neither_opens_the_gate_nor_locks_it(jump: float) -> None:
    _, used = decide([BURST], {}, 10, 100_000)

    at_once, used = decide([BURST], used, 1, 100_000 + jump)
    later, _ = decide([BURST], used, 10, 100_000 + jump + 1.05 * BURST.window + 0.01)

    assert (at_once.allowed, later.allowed) == (False, True)


def test_clients_do_not_take_from_each_other() -> None:
    clock = FakeClock()
    limiter = LocalLimiter([BURST], clock)

    assert limiter.charge_now("a", 10).allowed
    assert not limiter.charge_now("a", 1).allowed
    assert limiter.charge_now("b", 10).allowed
    clock.now += 1.06
    assert limiter.charge_now("a", 10).allowed


def test_to_ask_where_one_stands_costs_nothing() -> None:
    limiter = LocalLimiter([BURST], FakeClock())

    limiter.charge_now("a", 3)
    standings = [limiter.charge_now("a", 0).standings[0].remaining for _ in range(50)]

    assert set(standings) == {7}
