"""Time as something that is handed in, so that a test can hold it still."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Tells the time."""

    def now(self) -> datetime:
        """The present moment, in UTC."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        """The present moment, in UTC."""
        return datetime.now(UTC)


@dataclass
class FixedClock:
    """A clock that moves only when it is told to."""

    at: datetime

    def now(self) -> datetime:
        """The moment that the clock was set to."""
        return self.at

    def advance(self, by: timedelta) -> None:
        """Move the clock on."""
        self.at += by
