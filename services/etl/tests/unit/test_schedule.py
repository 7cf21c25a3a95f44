"""When a pipeline is due, also where clocks change."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from triptych.etl.domain.schedule import Schedule, Turn, due, due_at

BERLIN = "Europe/Berlin"
EVERY = timedelta(seconds=10)


def cron(expression: str, timezone: str = BERLIN) -> Schedule:
    return Schedule(cron=expression, timezone=timezone)


def at(text: str, timezone: str = BERLIN, fold: int = 0) -> datetime:
    """A moment, as a clock on the wall there shows it."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(timezone), fold=fold)


def ticks(schedule: Schedule, start: datetime, number: int) -> list[str]:
    """When it comes after a moment, in UTC."""
    found = []
    for _ in range(number):
        start = schedule.next_after(start, EVERY)
        found.append(start.strftime("%d %H:%M"))
    return found


def test_what_falls_into_an_hour_that_is_left_out_comes_right_after_it() -> None:
    # On 2030-03-31 it is 03:00 right after 01:59, which is 01:00 in UTC.
    assert ticks(cron("30 2 * * *"), at("2030-03-30 12:00"), 2) == ["31 01:00", "01 00:30"]


def test_what_falls_into_an_hour_that_is_repeated_comes_once() -> None:
    # On 2030-10-27 it is 02:00 twice: at 00:00 and at 01:00 in UTC.
    assert ticks(cron("30 2 * * *"), at("2030-10-26 12:00"), 2) == ["27 00:30", "28 01:30"]


@pytest.mark.parametrize("fold", [0, 1])
def test_a_turn_in_a_repeated_hour_is_followed_by_a_later_one(fold: int) -> None:
    last = at("2030-10-27 02:15", fold=fold)

    following = cron("30 2 * * *").next_after(last, EVERY)

    assert following.isoformat() == ["2030-10-27T00:30:00+00:00", "2030-10-28T01:30:00+00:00"][fold]


def test_what_comes_every_half_hour_does_so_while_clocks_change() -> None:
    forth = ticks(cron("*/30 * * * *"), at("2030-03-31 01:00"), 4)
    back = ticks(cron("*/30 * * * *"), at("2030-10-27 02:00"), 4)

    assert forth == ["31 00:30", "31 01:00", "31 01:30", "31 02:00"]
    assert back == ["27 00:30", "27 01:00", "27 01:30", "27 02:00"]


moments = st.datetimes(
    datetime(2029, 1, 1), datetime(2032, 1, 1), timezones=st.just(UTC)  # noqa: DTZ001
)
zones = st.sampled_from(
    [BERLIN, "UTC", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca", "Asia/Kolkata"]
)
expressions = st.sampled_from(
    ["* * * * *", "*/15 * * * *", "30 2 * * *", "0 0 * * *", "15,45 1-3 * * SUN", "5 */2 1 * *"]
)


@given(expressions, zones, moments)
def test_the_next_turn_is_later_and_nothing_is_skipped_before_it(
    expression: str, zone: str, last: datetime
) -> None:
    schedule = cron(expression, zone)

    following = schedule.next_after(last, EVERY)

    assert following > last
    between = last + (following - last) / 2
    assert schedule.next_after(between, EVERY) == following
    assert due(schedule, Turn("p", last), following, EVERY)
    assert not due(schedule, Turn("p", last), following - timedelta(microseconds=1), EVERY)


@given(expressions, zones, moments, st.timedeltas(timedelta(0), timedelta(days=400)))
def test_whatever_was_missed_is_one_turn(
    expression: str, zone: str, last: datetime, away: timedelta
) -> None:
    schedule, now = cron(expression, zone), last + away

    if due(schedule, Turn("p", last), now, EVERY):
        assert not due(schedule, Turn("p", now), now, EVERY)


@given(zones, moments)
def test_a_day_has_one_turn_a_day_wherever_clocks_change(zone: str, last: datetime) -> None:
    schedule = cron("30 2 * * *", zone)

    first = schedule.next_after(last, EVERY).astimezone(ZoneInfo(zone))
    second = schedule.next_after(first, EVERY).astimezone(ZoneInfo(zone))

    assert second.date() - first.date() == timedelta(days=1)


def test_new_rows_are_looked_for_every_so_often() -> None:
    schedule, last = Schedule(on="new_rows"), at("2030-01-01 09:00")

    assert not due(schedule, Turn("p", last), last + EVERY / 2, EVERY)
    assert due(schedule, Turn("p", last), last + EVERY, EVERY)


def test_a_turn_that_somebody_has_is_not_due_before_its_end() -> None:
    last = at("2030-01-01 09:00")
    now = last + timedelta(days=2)
    taken = Turn("p", last, "another", now + EVERY)

    assert not due(cron("0 0 * * *"), taken, now, EVERY)
    assert due(cron("0 0 * * *"), taken, now + EVERY, EVERY)


def test_without_a_schedule_a_pipeline_is_never_due() -> None:
    assert due_at(None, Turn("p", at("2030-01-01 09:00")), EVERY) is None
    assert not due(None, Turn("p", at("2030-01-01 09:00")), at("2031-01-01 09:00"), EVERY)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({}, "either 'cron' or 'on'"),
        ({"cron": "0 2 * * *", "on": "new_rows"}, "either 'cron' or 'on'"),
        ({"on": "new_rows", "timezone": BERLIN}, "'timezone' belongs to 'cron'"),
        ({"on": "mondays"}, "new_rows"),
        ({"cron": "0 25 * * *"}, "bad hour"),
        ({"cron": "@daily"}, "five fields"),
        ({"cron": "0 0 2 * * *"}, "five fields"),
        ({"cron": "0 0 30 2 *"}, "bad day-of-month"),
        ({"cron": "0 2 * * *", "timezone": "Europe/Berlni"}, "no time zone 'Europe/Berlni'"),
        ({"cron": "0 2 * * *", "timezone": "../../etc/passwd"}, "no time zone"),
        ({"cron": "0 2 * * *", "timezone": ""}, "no time zone"),
    ],
)
def test_a_schedule_that_is_none_is_refused(wrong: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        Schedule.model_validate(wrong)
