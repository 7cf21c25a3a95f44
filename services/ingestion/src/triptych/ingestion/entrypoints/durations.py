"""Stretches of time, as people write them on a command line."""

import re
from datetime import timedelta

from triptych.core.errors import Kind, TriptychError


class WrongDuration(TriptychError):
    """This is no stretch of time."""

    kind = Kind.INVALID
    hint = "Write a whole number and its unit: 90d, 12h, 30m or 45s."


_UNITS = {"d": "days", "h": "hours", "m": "minutes", "s": "seconds"}


def parse_duration(text: str) -> timedelta:
    """The stretch of time that a text like `90d` means.

    Raises:
        WrongDuration: it means none.
    """
    match = re.fullmatch(r"([0-9]{1,6})([dhms])", text)
    if match is None:
        raise WrongDuration(repr(text))
    return timedelta(**{_UNITS[match[2]]: int(match[1])})
