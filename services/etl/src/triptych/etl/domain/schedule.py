"""When a pipeline has its turn. The time comes from outside."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError
from pydantic import Field, field_validator, model_validator

from triptych.core.documents import Part

_FIELDS = 5
_SOME_TIME = datetime(2024, 1, 1, tzinfo=UTC)


class Schedule(Part):
    """When the server runs a pipeline: at certain times, or when there is something new."""

    cron: str | None = Field(
        default=None,
        description="Minute, hour, day of the month, month, day of the week, as cron has them.",
        examples=["15 2 * * MON-FRI"],
    )
    timezone: str = Field(
        default="UTC",
        description="Whose clock it is, by IANA's name.",
        examples=["Europe/Berlin"],
    )
    on: Literal["new_rows"] | None = Field(
        default=None, description="Run whenever the source has something new."
    )

    @field_validator("cron")
    @classmethod
    def _matches_something(cls, cron: str | None) -> str | None:
        if cron is None:
            return cron
        if len(cron.split()) != _FIELDS:  # with seconds it would not be safe where clocks change
            raise ValueError(f"{cron!r} is no cron expression: it has five fields, as '0 2 * * *'")
        try:
            next(CronSim(cron, _SOME_TIME))
        except CronSimError as error:
            raise ValueError(f"{cron!r} is no cron expression: {str(error).lower()}") from None
        except StopIteration:
            raise ValueError(f"{cron!r} never comes") from None
        return cron

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"no time zone {name!r}: write one as 'Europe/Berlin'") from None
        return name

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.cron is None) == (self.on is None):
            raise ValueError("a schedule has either 'cron' or 'on'")
        if self.on is not None and "timezone" in self.model_fields_set:
            raise ValueError("'timezone' belongs to 'cron'")
        return self

    def next_after(self, last: datetime, look_every: timedelta) -> datetime:
        """The first moment after `last`, in UTC, at which a pipeline that had its turn then is due.

        As with Debian's cron, what falls into an hour that the clocks leave out comes right after
        it, and what falls into one that they repeat comes once; an expression whose minute or hour
        begins with `*` follows the clock as it goes. New rows are looked for after `look_every`.
        """
        if self.cron is None:
            return last + look_every
        ticks = CronSim(self.cron, last.astimezone(ZoneInfo(self.timezone)))
        # In a repeated hour it begins with the first of the two.
        return next(at for tick in ticks if (at := tick.astimezone(UTC)) > last)


@dataclass(frozen=True, slots=True)
class Turn:
    """What is known of a pipeline's turns."""

    pipeline: str
    last_at: datetime
    """When the last one began that came to its end; before the first, when it was first seen."""
    owner: str | None = None
    """Who has its turn now, unless that has ended."""
    ends_at: datetime | None = None

    def taken(self, now: datetime) -> bool:
        """Whether somebody has it."""
        return self.ends_at is not None and now < self.ends_at


def due_at(schedule: Schedule | None, turn: Turn, look_every: timedelta) -> datetime | None:
    """When a pipeline is to have its next turn, which may be over; never without a schedule.

    However many turns were missed, the next one is one: it is the first that was missed.
    """
    return schedule.next_after(turn.last_at, look_every) if schedule else None


def due(schedule: Schedule | None, turn: Turn, now: datetime, look_every: timedelta) -> bool:
    """Whether a pipeline is to have a turn now: it is time, and nobody has it."""
    at = due_at(schedule, turn, look_every)
    return at is not None and at <= now and not turn.taken(now)
