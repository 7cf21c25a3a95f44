"""Stretches of time and moments, as people write them on a command line."""

import re
from datetime import UTC, datetime, timedelta

from triptych.core.errors import Kind, TriptychError


class WrongDuration(TriptychError):
    """This is no stretch of time."""

    kind = Kind.INVALID
    hint = "Write a whole number and its unit: 90d, 12h, 30m or 45s."


class WrongMoment(TriptychError):
    """This is no moment."""

    kind = Kind.INVALID
    hint = "Write it with its zone: 2030-01-01T00:00:00Z."


_UNITS = {"d": "days", "h": "hours", "m": "minutes", "s": "seconds"}


def parse_duration(text: str) -> timedelta:
    """The stretch of time that a text like `90d` means.

    >>> parse_duration("90m")
    datetime.timedelta(seconds=5400)

    Raises:
        WrongDuration: it means none.
    """
    match = re.fullmatch(r"([0-9]{1,6})([dhms])", text)
    if match is None:
        raise WrongDuration(repr(text))
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def parse_moment(text: str) -> datetime:
    """The moment, in UTC, that a text like `2030-01-01T00:00:00Z` means.

    >>> parse_moment("2030-01-01T01:00:00+01:00").isoformat()
    '2030-01-01T00:00:00+00:00'

    Raises:
        WrongMoment: it means none.
    """
    try:
        at = datetime.fromisoformat(text)
        if at.tzinfo is None:
            raise WrongMoment(f"{text!r} has no zone")
        return at.astimezone(UTC)
    except (ValueError, OverflowError):
        raise WrongMoment(repr(text)) from None
