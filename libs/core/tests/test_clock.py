"""Clocks that tell the time, and one that stands still."""

from datetime import UTC, datetime, timedelta

import pytest

from triptych.core.domain.clock import Clock, FixedClock, SystemClock
from triptych.testing.builders import NOON


def test_a_fixed_clock_stands_still() -> None:
    clock = FixedClock(NOON)

    assert [clock.now(), clock.now()] == [NOON, NOON]


def test_a_fixed_clock_moves_as_far_as_it_is_told_to() -> None:
    clock = FixedClock(NOON)

    clock.advance(timedelta(hours=1))
    clock.advance(timedelta(minutes=-1))

    assert clock.now() == NOON + timedelta(minutes=59)


def test_the_system_clock_tells_the_present_time() -> None:
    before = datetime.now(UTC)
    now = SystemClock().now()
    after = datetime.now(UTC)

    assert before <= now <= after


@pytest.mark.parametrize("clock", [SystemClock(), FixedClock(NOON)], ids=["system", "fixed"])
def test_every_clock_tells_utc(clock: Clock) -> None:
    assert clock.now().tzinfo is UTC
