"""The source `events`: the events of some types, from the event log, in commit order."""

import re
from collections.abc import Iterator
from typing import Annotated

import orjson
import pyarrow as pa
from pydantic import AfterValidator, BeforeValidator, Field
from sqlglot import exp

from triptych.core.documents import Part
from triptych.etl.application.ports import Resources
from triptych.etl.domain.expressions import DIALECT, column
from triptych.etl.domain.plan import ORIGINAL, POSITION
from triptych.eventlog.log import Entry

_TYPE = re.compile(
    r"text|integer|bigint|double|boolean|date|timestamptz|decimal\(([1-9]|[12][0-9]|3[0-8]), ?[0-9]+\)"
)
_RAW = pa.schema(
    {
        "position": pa.int64(),
        "event_id": pa.string(),
        "event_source": pa.string(),
        "event_type": pa.string(),
        "event_subject": pa.string(),
        "event_time": pa.timestamp("us", tz="UTC"),
        "data": pa.string(),
    }
)
_ATTRIBUTES = [name for name in _RAW.names if name.startswith("event_")]


def _known_type(text: str) -> str:
    if not _TYPE.fullmatch(text):
        raise ValueError(
            f"{text!r} is no type: use text, integer, bigint, double, boolean, date, timestamptz"
            " or decimal(DIGITS, SCALE)"
        )
    if text.startswith("decimal"):
        digits, scale = (int(number) for number in re.findall(r"[0-9]+", text))
        if scale > digits:
            raise ValueError(f"{text!r} has more decimals than digits")
    return text


def _column_name(text: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,62}", text) or text in _RAW.names:
        raise ValueError(f"{text!r} cannot name a column: use lower-case letters, digits and _")
    return text


class Member(Part):
    """A column that is read from the event's data."""

    type: Annotated[str, AfterValidator(_known_type)]
    at: str | None = Field(
        default=None,
        pattern=r"^(/[A-Za-z_-][A-Za-z0-9_-]*)+$",
        description="Where in the data, as a JSON pointer; the column's name if it is left out.",
        examples=["/customer/id"],
    )


def _as_member(value: object) -> object:
    return {"type": value} if isinstance(value, str) else value


class Events(Part):
    """Read the events of some types from the event log, each once."""

    types: tuple[str, ...] = Field(min_length=1, examples=[["shop.invoice"]])
    columns: dict[
        Annotated[str, AfterValidator(_column_name)],
        Annotated[Member, BeforeValidator(_as_member)],
    ] = Field(min_length=1, description="The columns to read from the data: name and type.")

    def newest(self, resources: Resources) -> int:
        """See `Source.newest`."""
        return resources.events.newest()

    def read(self, resources: Resources, after: int, until: int) -> Iterator[pa.RecordBatch]:
        """See `Source.read`."""
        for entries in resources.events.read(self.types, after=after, until=until):
            yield _batch(entries)

    def decode(self, relation: exp.Table) -> exp.Select:
        """See `Source.decode`. What cannot be cast is null, and breaks a rule."""
        members = [
            exp.alias_(exp.TryCast(this=_text(name, m), to=_type(m)), name, quoted=True)
            for name, m in self.columns.items()
        ]
        return exp.select(
            exp.alias_(column("position"), POSITION),
            exp.alias_(column("data"), ORIGINAL),
            *(column(name) for name in _ATTRIBUTES),
            *members,
        ).from_(relation)

    def rules(self) -> Iterator[tuple[str, exp.Expr]]:
        """See `Source.rules`."""
        for name, member in self.columns.items():
            if member.type != "text":
                absent = _text(name, member, ORIGINAL).is_(exp.null())
                cast = column(name).is_(exp.null()).not_()
                whole = cast.and_(_plain(_text(name, member, ORIGINAL), member.type))
                yield f"{name} is no {member.type}", absent.or_(whole)


def _text(name: str, member: Member, data: str = "data") -> exp.Expr:
    """The text of a member of the data; null when it is absent or null."""
    steps = (member.at or f"/{name}").split("/")[1:]
    path = exp.JSONPath(
        expressions=[exp.JSONPathRoot(), *(exp.JSONPathKey(this=step) for step in steps)]
    )
    return exp.Paren(this=exp.JSONExtractScalar(this=column(data), expression=path))


def _plain(text: exp.Expr, kind: str) -> exp.Expr:
    """Whether a number is written so that the cast changes nothing of it."""
    if kind in ("integer", "bigint"):
        pattern = "-?[0-9]+([.]0+)?"
    elif kind.startswith("decimal"):
        scale = kind.rpartition(",")[2].strip(" )")
        pattern = f"-?[0-9]+([.][0-9]{{0,{scale}}}0*)?"
    else:
        return exp.true()
    return exp.RegexpLike(this=text, expression=exp.Literal.string(f"^({pattern})$"))


def _type(member: Member) -> exp.DataType:
    return exp.DataType.build(member.type, dialect=DIALECT)


def _batch(entries: list[Entry]) -> pa.RecordBatch:
    events = [entry.event for entry in entries]
    columns = [
        [entry.position for entry in entries],
        [event.id for event in events],
        [event.source for event in events],
        [event.type for event in events],
        [event.subject for event in events],
        [event.time for event in events],
        [None if isinstance(e.data, bytes) else orjson.dumps(e.data).decode() for e in events],
    ]
    arrays = [pa.array(c, field.type) for c, field in zip(columns, _RAW, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=_RAW)
