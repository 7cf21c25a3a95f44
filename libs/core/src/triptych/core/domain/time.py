"""Stretches of time: half-open ranges, and the grains that cut them into buckets."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from enum import StrEnum, auto
from zoneinfo import ZoneInfo

from triptych.core.errors import Kind, TriptychError

UTC_ZONE = ZoneInfo("UTC")


class NaiveTime(TriptychError):
    """A time needs a zone."""

    kind = Kind.INVALID
    hint = "Write it with an offset, as in 2030-01-01T00:00:00Z."


class EmptyRange(TriptychError):
    """A range of time has to end after it starts."""

    kind = Kind.INVALID
    hint = "Give a start that lies before the end."


def utc(at: datetime) -> datetime:
    """`at` in UTC.

    Raises:
        NaiveTime: `at` has no zone, so that nobody can know what it means.
    """
    if at.tzinfo is None:
        raise NaiveTime(f"{at.isoformat()} has no offset")
    try:
        return at.astimezone(UTC)
    except OverflowError:
        raise NaiveTime(f"{at.isoformat()} is beyond all calendars") from None


class Grain(StrEnum):
    """The length of a bucket of time. Weeks start on Monday (ISO 8601)."""

    MINUTE = auto()
    HOUR = auto()
    DAY = auto()
    WEEK = auto()
    MONTH = auto()
    QUARTER = auto()
    YEAR = auto()

    def floor(self, at: datetime, zone: tzinfo = UTC_ZONE) -> datetime:
        """The start, in UTC, of the bucket that `at` lies in, as a clock in `zone` cuts it.

        Minutes and hours never span a change of the clocks: when an hour is repeated, each of
        the two is a bucket. Days and longer follow the calendar of `zone`, so that a day may
        last 23 or 25 hours; one whose midnight is skipped starts with the first moment after.
        """
        at = utc(at)
        local = at.astimezone(zone)
        if self in _CLOCK:
            within = timedelta(
                minutes=local.minute if self is Grain.HOUR else 0,
                seconds=local.second,
                microseconds=local.microsecond,
            )
            return _last_change(at - within, at, zone)
        first = self._first_day(local.date())
        # Where the clocks go back across midnight, a day begins twice: the second time counts.
        after = _midnight(self._first_day(first + _MORE_THAN_ONE[self]), zone)
        return after if after <= at else _midnight(first, zone)

    def next(self, at: datetime, zone: tzinfo = UTC_ZONE) -> datetime:
        """The start, in UTC, of the bucket after the one that `at` lies in."""
        start = self.floor(at, zone)
        local = start.astimezone(zone)
        if self in _CLOCK:
            length = _CLOCK[self]
            # A bucket that a change of the clocks began late still ends with its hour.
            late = timedelta(minutes=local.minute) if self is Grain.HOUR else timedelta()
            return _first_change(start, start + length - late, zone)
        # Longer than any bucket of this grain, and shorter than two.
        beyond = self._first_day(local.date()) + _MORE_THAN_ONE[self]
        return _midnight(self._first_day(beyond), zone)

    def _first_day(self, day: date) -> date:
        match self:
            case Grain.WEEK:
                return day - timedelta(days=day.weekday())
            case Grain.MONTH:
                return day.replace(day=1)
            case Grain.QUARTER:
                return day.replace(month=(day.month - 1) // 3 * 3 + 1, day=1)
            case Grain.YEAR:
                return day.replace(month=1, day=1)
            case _:
                return day


_CLOCK = {Grain.MINUTE: timedelta(minutes=1), Grain.HOUR: timedelta(hours=1)}
_MORE_THAN_ONE = {
    Grain.DAY: timedelta(days=1),
    Grain.WEEK: timedelta(days=7),
    Grain.MONTH: timedelta(days=31),
    Grain.QUARTER: timedelta(days=93),
    Grain.YEAR: timedelta(days=366),
}


@dataclass(frozen=True, slots=True)
class TimeRange:
    """The moments from `start` up to, but not including, `end`; both in UTC.

    Raises:
        NaiveTime: one of the two has no zone.
        EmptyRange: `end` does not lie after `start`.
    """

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        object.__setattr__(self, "start", utc(self.start))
        object.__setattr__(self, "end", utc(self.end))
        if self.end <= self.start:
            raise EmptyRange(f"from {self.start.isoformat()} to {self.end.isoformat()}")

    def __contains__(self, at: datetime) -> bool:
        return self.start <= at < self.end

    def split(self, grain: Grain, zone: tzinfo = UTC_ZONE) -> "Iterator[TimeRange]":
        """The parts of the range, in order, cut where the buckets of `grain` begin."""
        start = self.start
        while start < self.end:
            end = min(grain.next(start, zone), self.end)
            yield TimeRange(start, end)
            start = end


def _midnight(day: date, zone: tzinfo) -> datetime:
    # A midnight that the clocks skip is read with the offset from before the change (PEP 495),
    # which is the very moment of the change: the first one of that day.
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)


def _last_change(start: datetime, end: datetime, zone: tzinfo) -> datetime:
    """The last moment in `[start, end]` when the offset became what it is at `end`, or `start`."""
    return _change(start, end, zone) if _offset(start, zone) != _offset(end, zone) else start


def _first_change(start: datetime, end: datetime, zone: tzinfo) -> datetime:
    """The first moment in `[start, end]` when the offset is not what it is at `start`, or `end`."""
    return _change(start, end, zone) if _offset(start, zone) != _offset(end, zone) else end


def _change(before: datetime, after: datetime, zone: tzinfo) -> datetime:
    """Bisect the stretch, an hour at most and so with one change, to the change's second."""
    left, right = int(before.timestamp()), int(after.timestamp())
    while right - left > 1:
        middle = (left + right) // 2
        changed = _offset(datetime.fromtimestamp(middle, UTC), zone) == _offset(after, zone)
        left, right = (left, middle) if changed else (middle, right)
    return datetime.fromtimestamp(right, UTC)


def _offset(at: datetime, zone: tzinfo) -> timedelta | None:
    return at.astimezone(zone).utcoffset()
