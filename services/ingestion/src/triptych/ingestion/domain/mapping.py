"""Turn a row of columns into a CloudEvent, as a mapping file says."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Literal, TypeAlias
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BeforeValidator, Field

from triptych.core.documents import Part
from triptych.core.domain.event import SPEC_VERSION
from triptych.core.domain.json import Json, Violation, pointer
from triptych.core.domain.result import Err, Ok, Result

Row: TypeAlias = Mapping[str, str]


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"{name!r} is no time zone; write one like Europe/London") from None
    return name


def _time_format(text: str) -> str:
    try:
        datetime.strptime(datetime(2030, 1, 31, tzinfo=UTC).strftime(text), text)  # noqa: DTZ007
    except (ValueError, re.error) as error:
        raise ValueError(f"{text!r} is no format of a time: {error}") from None
    return text


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _as_column(value: object) -> object:
    return {"column": value} if isinstance(value, str) else value


class TimeColumn(Part):
    """Where the time of the event stands, and how it is written."""

    column: str
    format: Annotated[
        str,
        AfterValidator(_time_format),
        Field(description="As for Python's strptime.", examples=["%Y-%m-%d %H:%M"]),
    ]
    zone: Annotated[str, AfterValidator(_zone)] = "UTC"
    """Whose clock it was read from. Of an hour that is repeated, the first is meant."""


class DataColumn(Part):
    """Where one member of the data stands, and what it is."""

    column: str
    type: Literal["text", "integer", "boolean"] = "text"
    absent: tuple[str, ...] = ("",)
    """What stands for no value; the member is then left out."""


class EventMapping(Part):
    """Which columns make the attributes and the data of an event."""

    type: str
    source: str
    id: Annotated[tuple[str, ...], BeforeValidator(_as_list), Field(min_length=1)]
    """The columns that together name a row; their values are joined with `/`."""
    time: TimeColumn | None = None
    data: dict[str, Annotated[DataColumn, BeforeValidator(_as_column)]]

    def columns(self) -> set[str]:
        """Every column that is read."""
        time = {self.time.column} if self.time else set()
        return {*self.id, *time, *(member.column for member in self.data.values())}

    def apply(self, row: Row) -> Result[Json, Violation]:
        """The event that a row makes, in the JSON format; not checked yet."""
        event: dict[str, Json] = {
            "specversion": SPEC_VERSION,
            "type": self.type,
            "source": self.source,
            "id": "/".join(row[column] for column in self.id),
        }
        if self.time:
            match _time(self.time, row[self.time.column]):
                case Err() as wrong:
                    return wrong
                case Ok(time):
                    event["time"] = time
        data: dict[str, Json] = {}
        for name, member in self.data.items():
            text = row[member.column]
            if text not in member.absent:
                match _value(member, text):
                    case None:
                        message = f"{text!r} in column {member.column!r} is no {member.type}"
                        return Err(Violation(pointer("data", name), "type", message))
                    case value:
                        data[name] = value
        return Ok({**event, "data": data})


def missing_columns(mapping: EventMapping, header: Sequence[str]) -> list[str]:
    """The columns that the mapping reads and the header does not name."""
    return sorted(mapping.columns() - set(header))


def _time(column: TimeColumn, text: str) -> Result[str, Violation]:
    zone = ZoneInfo(column.zone)
    try:
        parsed = datetime.strptime(text, column.format)  # noqa: DTZ007  # the zone follows
        local = parsed if parsed.tzinfo else parsed.replace(tzinfo=zone)
        at = local.astimezone(UTC)
    except (ValueError, OverflowError):
        message = f"{text!r} in column {column.column!r} is not of the format {column.format!r}"
        return Err(Violation("/time", "timestamp", message))
    if at.astimezone(local.tzinfo).replace(tzinfo=None) != local.replace(tzinfo=None):
        message = f"{text!r} does not exist in {column.zone}: the clocks were put forward"
        return Err(Violation("/time", "timestamp", message))
    return Ok(at.isoformat().replace("+00:00", "Z"))


def _value(member: DataColumn, text: str) -> Json:
    """The value that a cell holds, or `None` when it is of another type."""
    match member.type:
        case "text":
            return text
        case "integer":
            # Eighteen digits are what every JSON parser agrees on.
            return int(text) if re.fullmatch(r"[+-]?[0-9]{1,18}", text) else None
        case "boolean":
            return {"true": True, "false": False, "1": True, "0": False}.get(text.lower())
