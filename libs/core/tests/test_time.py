"""Buckets of time, as the clocks of the world cut them."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from functools import cache
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triptych.core.domain.time import EmptyRange, Grain, NaiveTime, TimeRange, utc
from triptych.testing.builders import NOON
from triptych.testing.strategies import moments

LONDON = ZoneInfo("Europe/London")
INSTANT = timedelta(microseconds=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)

# Half hours, midnights skipped and repeated, a day that never was, and a plain one.
ZONES = [
    ZoneInfo(name)
    for name in (
        "UTC",
        "Europe/London",
        "America/New_York",
        "America/Sao_Paulo",
        "Australia/Lord_Howe",
        "Asia/Kolkata",
        "Pacific/Apia",
        "America/Havana",
        "Atlantic/Azores",
        "Asia/Kathmandu",
    )
]
FIRST = datetime(2007, 1, 1, tzinfo=UTC)
LAST = datetime(2037, 1, 1, tzinfo=UTC)

LENGTHS = {
    Grain.MINUTE: timedelta(minutes=1),
    Grain.HOUR: HOUR,
    Grain.DAY: DAY,
    Grain.WEEK: 7 * DAY,
    Grain.MONTH: 30 * DAY,
    Grain.QUARTER: 91 * DAY,
    Grain.YEAR: 365 * DAY,
}

CUTS = [(grain, zone) for grain in Grain for zone in ZONES]


@cache
def changes() -> list[datetime]:
    """The hours in which the clocks of some zone are changed."""

    def changed(zone: ZoneInfo, start: datetime, length: timedelta) -> bool:
        end = start + length
        return start.astimezone(zone).utcoffset() != end.astimezone(zone).utcoffset()

    days = [FIRST + n * DAY for n in range((LAST - FIRST).days)]
    return [
        day + n * HOUR
        for zone in ZONES
        for day in days
        if changed(zone, day, DAY)
        for n in range(24)
        if changed(zone, day + n * HOUR, HOUR)
    ]


def anywhere() -> st.SearchStrategy[datetime]:
    first, last = FIRST.replace(tzinfo=None), LAST.replace(tzinfo=None)
    return st.datetimes(first, last, timezones=st.just(UTC))


def close_to_a_change() -> st.SearchStrategy[datetime]:
    """Where the errors are: within a few hours of a change, often on its minute."""
    seconds = st.integers(-2 * 3600, 3 * 3600) | st.integers(-48, 48).map(lambda n: n * 1800)
    return st.builds(
        lambda change, after: change + timedelta(seconds=after),
        st.deferred(lambda: st.sampled_from(changes())),
        seconds,
    )


instants = close_to_a_change() | anywhere()
shares = st.floats(0, 1)


@given(instants)
def test_a_moment_lies_in_its_bucket(at: datetime) -> None:
    for grain, zone in CUTS:
        assert grain.floor(at, zone) <= at < grain.next(at, zone), (grain, zone)


@given(instants)
def test_a_bucket_starts_where_it_starts(at: datetime) -> None:
    for grain, zone in CUTS:
        start = grain.floor(at, zone)
        assert grain.floor(start, zone) == start, (grain, zone)


@given(instants)
def test_buckets_lie_side_by_side(at: datetime) -> None:
    for grain, zone in CUTS:
        after = grain.next(at, zone)
        assert grain.floor(after, zone) == after, (grain, zone)
        assert grain.floor(after - INSTANT, zone) == grain.floor(at, zone), (grain, zone)


@given(instants, shares)
def test_a_later_moment_lies_in_no_earlier_bucket(at: datetime, share: float) -> None:
    for grain, zone in CUTS:
        later = at + share * LENGTHS[grain]
        assert grain.floor(at, zone) <= grain.floor(later, zone), (grain, zone)


@given(instants, shares)
def test_a_range_is_cut_wherever_a_bucket_starts_and_nowhere_else(
    start: datetime, share: float
) -> None:
    for grain, zone in CUTS:
        whole = TimeRange(start, start + INSTANT + share * 4 * LENGTHS[grain])

        parts = list(whole.split(grain, zone))

        cuts = [part.start for part in parts[1:]]
        assert parts[0].start == whole.start, (grain, zone)
        assert parts[-1].end == whole.end, (grain, zone)
        assert cuts == [part.end for part in parts[:-1]], (grain, zone)
        assert all(grain.floor(cut, zone) == cut for cut in cuts), (grain, zone)
        assert all(part.end <= grain.next(part.start, zone) for part in parts), (grain, zone)


@given(moments(), st.sampled_from(Grain))
def test_the_zone_is_utc_unless_another_is_named(at: datetime, grain: Grain) -> None:
    assert grain.floor(at) == grain.floor(at, UTC)
    assert grain.next(at) == grain.next(at, UTC)


@pytest.mark.parametrize(
    ("grain", "start", "end"),
    [
        (Grain.MINUTE, "2028-02-29T13:37:00Z", "2028-02-29T13:38:00Z"),
        (Grain.HOUR, "2028-02-29T13:00:00Z", "2028-02-29T14:00:00Z"),
        (Grain.DAY, "2028-02-29T00:00:00Z", "2028-03-01T00:00:00Z"),
        (Grain.WEEK, "2028-02-28T00:00:00Z", "2028-03-06T00:00:00Z"),
        (Grain.MONTH, "2028-02-01T00:00:00Z", "2028-03-01T00:00:00Z"),
        (Grain.QUARTER, "2028-01-01T00:00:00Z", "2028-04-01T00:00:00Z"),
        (Grain.YEAR, "2028-01-01T00:00:00Z", "2029-01-01T00:00:00Z"),
    ],
)
def test_a_leap_day_lies_in_a_bucket_of_each_grain(grain: Grain, start: str, end: str) -> None:
    leap_day = datetime.fromisoformat("2028-02-29T13:37:59.999999Z")

    assert grain.floor(leap_day) == datetime.fromisoformat(start)
    assert grain.next(leap_day) == datetime.fromisoformat(end)


@pytest.mark.parametrize(
    ("day", "monday"),
    [
        ("2027-01-01", "2026-12-28"),  # a Friday, in week 53 of 2026 (ISO 8601)
        ("2026-12-28", "2026-12-28"),
        ("2026-12-27", "2026-12-21"),
        ("2029-01-01", "2029-01-01"),
    ],
)
def test_a_week_starts_on_monday_and_may_span_two_years(day: str, monday: str) -> None:
    at = datetime.fromisoformat(f"{day}T12:00:00Z")

    start = Grain.WEEK.floor(at)

    assert start == datetime.fromisoformat(f"{monday}T00:00:00Z")
    assert Grain.WEEK.next(at) == start + 7 * DAY


@pytest.mark.parametrize(
    ("month", "start", "end"),
    [(1, "2030-01", "2030-04"), (6, "2030-04", "2030-07"), (12, "2030-10", "2031-01")],
)
def test_a_quarter_has_three_months(month: int, start: str, end: str) -> None:
    at = datetime(2030, month, 30, tzinfo=UTC)

    assert Grain.QUARTER.floor(at) == datetime.fromisoformat(f"{start}-01T00:00:00Z")
    assert Grain.QUARTER.next(at) == datetime.fromisoformat(f"{end}-01T00:00:00Z")


@pytest.mark.parametrize(
    ("noon", "start", "hours"),
    [
        ("2011-03-27T12:00:00Z", "2011-03-27T00:00:00Z", 23),
        ("2011-07-15T12:00:00Z", "2011-07-14T23:00:00Z", 24),
        ("2011-10-30T12:00:00Z", "2011-10-29T23:00:00Z", 25),
    ],
    ids=["spring", "summer", "autumn"],
)
def test_a_day_in_london_has_as_many_hours_as_its_clocks_show(
    noon: str, start: str, hours: int
) -> None:
    at = datetime.fromisoformat(noon)

    day = TimeRange(Grain.DAY.floor(at, LONDON), Grain.DAY.next(at, LONDON))

    assert day.start == datetime.fromisoformat(start)
    assert day.end - day.start == hours * HOUR
    assert len(list(day.split(Grain.HOUR, LONDON))) == hours


def test_an_hour_that_is_repeated_makes_two_buckets() -> None:
    first, second = (datetime(2011, 10, 30, hour, 30, tzinfo=UTC) for hour in (0, 1))

    assert first.astimezone(LONDON).hour == second.astimezone(LONDON).hour == 1
    assert Grain.HOUR.floor(first, LONDON) == datetime(2011, 10, 30, 0, tzinfo=UTC)
    assert Grain.HOUR.floor(second, LONDON) == datetime(2011, 10, 30, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("zone", "at", "start", "end"),
    [
        # 02:00 becomes 02:30: the hour that begins with it has thirty minutes
        ("Australia/Lord_Howe", "2029-10-06T15:45", "2029-10-06T15:30", "2029-10-06T16:00"),
        # 02:00 becomes 01:30: thirty minutes come again
        ("Australia/Lord_Howe", "2029-03-31T15:15", "2029-03-31T15:00", "2029-03-31T15:30"),
        # 02:30 becomes 03:00: the hour ends early
        ("America/Caracas", "2016-05-01T06:45", "2016-05-01T06:30", "2016-05-01T07:00"),
    ],
    ids=["begun late", "repeated", "ended early"],
)
def test_clocks_that_change_by_half_an_hour_make_half_a_bucket(
    zone: str, at: str, start: str, end: str
) -> None:
    moment = datetime.fromisoformat(f"{at}Z")

    assert Grain.HOUR.floor(moment, ZoneInfo(zone)) == datetime.fromisoformat(f"{start}Z")
    assert Grain.HOUR.next(moment, ZoneInfo(zone)) == datetime.fromisoformat(f"{end}Z")


def test_a_day_whose_midnight_is_skipped_starts_with_its_first_moment() -> None:
    zone = ZoneInfo("America/Sao_Paulo")
    noon = datetime(2018, 11, 4, 12, tzinfo=zone)

    start = Grain.DAY.floor(noon, zone)

    assert start.astimezone(zone).hour == 1
    assert Grain.DAY.next(noon, zone) - start == 23 * HOUR


def test_a_day_whose_midnight_is_repeated_starts_with_the_first() -> None:
    zone = ZoneInfo("America/Havana")
    noon = datetime(2029, 11, 4, 12, tzinfo=zone)

    start = Grain.DAY.floor(noon, zone)

    assert (start + HOUR).astimezone(zone).hour == 0
    assert Grain.DAY.next(noon, zone) - start == 25 * HOUR


def test_a_day_that_never_was_makes_no_bucket() -> None:
    samoa = ZoneInfo("Pacific/Apia")  # went to bed on the 29th, and rose on the 31st
    turn = TimeRange(datetime(2011, 12, 29, tzinfo=samoa), datetime(2012, 1, 1, tzinfo=samoa))

    days = list(turn.split(Grain.DAY, samoa))

    assert [day.start.astimezone(samoa).day for day in days] == [29, 31]
    assert [day.end - day.start for day in days] == [DAY, DAY]


@pytest.mark.parametrize(
    "use",
    [
        utc,
        Grain.HOUR.floor,
        Grain.DAY.next,
        lambda naive: TimeRange(naive, NOON + DAY),
        lambda naive: TimeRange(NOON - DAY, naive),
    ],
    ids=["utc", "floor", "next", "start", "end"],
)
def test_a_time_needs_a_zone(use: Callable[[datetime], object]) -> None:
    with pytest.raises(NaiveTime, match="2030-01-01T12:00:00"):
        use(NOON.replace(tzinfo=None))


@given(moments(), st.integers(-14 * 60, 14 * 60))
def test_utc_names_the_same_moment(at: datetime, minutes: int) -> None:
    elsewhere = at.astimezone(timezone(timedelta(minutes=minutes)))

    assert utc(elsewhere) == at
    assert utc(elsewhere).tzinfo is UTC


@pytest.mark.parametrize("end", [NOON, NOON - INSTANT, NOON.astimezone(LONDON)], ids=str)
def test_a_range_ends_after_it_starts(end: datetime) -> None:
    with pytest.raises(EmptyRange):
        TimeRange(NOON, end)


def test_a_range_is_kept_in_utc() -> None:
    summer = datetime(2030, 7, 1, tzinfo=LONDON)

    range_ = TimeRange(summer, summer + DAY)

    assert range_ == TimeRange(summer.astimezone(UTC), summer.astimezone(UTC) + DAY)
    assert range_.start.tzinfo is range_.end.tzinfo is UTC


def test_a_range_has_its_start_and_not_its_end() -> None:
    hour = TimeRange(NOON, NOON + HOUR)

    assert NOON in hour
    assert NOON + HOUR - INSTANT in hour
    assert NOON + HOUR not in hour
    assert NOON - INSTANT not in hour


def test_a_day_that_begins_twice_begins_with_the_second_midnight() -> None:
    # In 2010 Newfoundland put its clocks back at 00:01, to 23:01 of the day before.
    zone = ZoneInfo("America/St_Johns")
    moment = datetime(2010, 11, 7, 2, 45, tzinfo=UTC)

    assert Grain.DAY.floor(moment, zone) <= moment < Grain.DAY.next(moment, zone)
