"""The source `events`: the events of some types, from the event log, in commit order."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, ClassVar, Final

import orjson
import pyarrow as pa
from pydantic import AfterValidator, Field
from sqlglot import exp

from triptych.core.documents import Part
from triptych.etl.application.ports import Batches, Reading
from triptych.etl.domain.members import MemberColumns, Members
from triptych.etl.domain.plugins import Rule
from triptych.etl.domain.relation import Relation, column
from triptych.eventlog.log import Entry

_RAW: Final = pa.schema(
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
_ATTRIBUTES: Final = [name for name in _RAW.names if name.startswith("event_")]


def _no_attribute(columns: Members) -> Members:
    if taken := sorted(columns.keys() & set(_RAW.names)):
        raise ValueError(f"{', '.join(map(repr, taken))} cannot name a column: every event has it")
    return columns


class Events(Part):
    """Read the events of some types from the event log, each once."""

    whole: ClassVar = False

    types: tuple[str, ...] = Field(min_length=1, examples=[["shop.invoice"]])
    columns: Annotated[Members, AfterValidator(_no_attribute)] = Field(
        min_length=1,
        description="The columns to read from the data: name and type.",
        examples=[{"invoice": "text", "city": {"type": "text", "at": "/address/city"}}],
    )

    @property
    def origin(self) -> str:
        """See `Source.origin`."""
        return f"events/{','.join(self.types)}"

    def newest(self, reading: Reading, after: int) -> int:
        """See `Source.newest`."""
        return max(after, reading.resources.events.newest())

    def read(self, reading: Reading, after: int, until: int) -> Batches:
        """See `Source.read`."""
        if after >= until:
            return Batches(_RAW, [])
        events = reading.resources.events
        batches = map(_batch, events.read(self.types, after=after, until=until))
        return Batches(_RAW, batches)

    def given(self, rows: Sequence[Mapping[str, Any]]) -> Batches:
        """See `Source.given`. A row tells the data's members, and perhaps attributes of the event."""
        batch = [_written(number, self.types[0], row) for number, row in enumerate(rows, 1)]
        table = pa.Table.from_pylist(batch, schema=_RAW)
        return Batches(_RAW, table.to_batches())

    def written(self, raw: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """See `Source.written`."""
        data = orjson.loads(raw["data"] or "null")
        told = {name: raw[name] for name in _ATTRIBUTES if raw[name] is not None}
        return {**told, **data} if isinstance(data, dict) else None

    def decode(self, raw: Relation) -> exp.Select:
        """See `Source.decode`. What cannot be cast is null, and breaks a rule."""
        members = self._members()
        attributes = [column(name) for name in _ATTRIBUTES]
        parsed = raw.select([*attributes, members.parsed()]).subquery("parsed")
        return raw.select([*(part.copy() for part in attributes), *members.columns()], of=parsed)

    def rules(self, raw: Relation) -> Iterator[Rule]:
        """See `Source.rules`."""
        return self._members().rules()

    def _members(self) -> MemberColumns:
        return MemberColumns(self.columns, "data")


def _written(number: int, type_: str, row: Mapping[str, Any]) -> dict[str, Any]:
    time = row.get("event_time")
    return {
        "position": number,
        "event_id": str(number),
        "event_source": "urn:given",
        "event_type": type_,
        **{name: row[name] for name in _ATTRIBUTES if name in row},
        "event_time": datetime.fromisoformat(time) if isinstance(time, str) else time,
        "data": orjson.dumps(
            {name: value for name, value in row.items() if name not in _ATTRIBUTES}, default=str
        ).decode(),
    }


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
