"""Answers in the formats that clients read.

In JSON and CSV: decimals are text in JSON, so that no digit is lost; so are whole numbers beyond what
JavaScript tells apart (2^53, RFC 8259, 6). Times are ISO 8601, with the offset of the question's zone.
Bytes, lists and structures are text.
"""

import io
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from itertools import chain
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from triptych.analytics.domain.columns import Column
from triptych.service.negotiation import choose

JSON: Final = "application/json"
SAFE: Final = 2**53 - 1
_FORMULA: Final = r"^[=+\-@\t\r]"
GROUP_ROWS: Final = 65_536
"""So many rows are a batch of Arrow or a row group of Parquet, but for the last."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What is told: rows, their columns, and what else there is to say."""

    tables: Iterable[pa.Table]
    """The rows, in tables of one schema, of which there is at least one."""
    columns: Sequence[Column]
    zone: str
    others: Mapping[str, object]


Format = Callable[[Answer], Iterator[bytes]]


def as_json(answer: Answer) -> Iterator[bytes]:
    """An object with columns and rows, and what else there is to say."""
    columns = [
        {
            "name": column.name,
            "type": column.type.value,
            **({"unit": column.unit} if column.unit else {}),
        }
        for column in answer.columns
    ]
    rows = [record for table in answer.tables for record in _records(table, answer.zone)]
    yield orjson.dumps({**answer.others, "columns": columns, "rows": rows})


def as_ndjson(answer: Answer) -> Iterator[bytes]:
    """An object a line for each row."""
    for table in answer.tables:
        yield b"".join(orjson.dumps(row) + b"\n" for row in _records(table, answer.zone))


def as_csv(answer: Answer) -> Iterator[bytes]:
    """RFC 4180, with a header. Text that a spreadsheet would take for a formula begins with '."""
    first = True
    for table in answer.tables:
        columns = [_printable(column, answer.zone) for column in table.columns]
        sink = io.BytesIO()
        options = pa_csv.WriteOptions(include_header=first, eol="\r\n")
        pa_csv.write_csv(pa.table(columns, names=table.column_names), sink, options)
        first = False
        yield sink.getvalue()


def as_arrow(answer: Answer) -> Iterator[bytes]:
    """A stream of Arrow's IPC format."""
    return _written(answer, pa.ipc.new_stream)


def as_parquet(answer: Answer) -> Iterator[bytes]:
    """A Parquet file."""
    return _written(answer, pq.ParquetWriter)


def _written(
    answer: Answer, open_writer: Callable[[io.RawIOBase, pa.Schema], Any]
) -> Iterator[bytes]:
    """What a writer makes of the rows, which are of the same groups however they come."""
    tables = _even(_zoned(table, answer.zone) for table in answer.tables)
    first = next(tables)
    sink = _Sink()
    with open_writer(sink, first.schema) as writer:
        for table in chain([first], tables):
            writer.write_table(table)
            yield sink.taken()
    yield sink.taken()


class _Sink(io.RawIOBase):
    """A file whose bytes are taken away as they come."""

    def __init__(self) -> None:
        super().__init__()
        self._kept: list[bytes] = []
        self._position = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._kept.append(bytes(data))
        self._position += len(self._kept[-1])
        return len(self._kept[-1])

    def tell(self) -> int:
        return self._position

    def taken(self) -> bytes:
        taken = b"".join(self._kept)
        self._kept.clear()
        return taken


def _even(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """The same rows, so many in each table; at least one table."""
    rest, given = None, False
    for table in tables:
        rest = table if rest is None else pa.concat_tables([rest, table])
        while rest.num_rows >= GROUP_ROWS:
            yield rest.slice(0, GROUP_ROWS)
            rest = rest.slice(GROUP_ROWS)
            given = True
    if rest is not None and (rest.num_rows or not given):
        yield rest


FORMATS: Final[Mapping[str, Format]] = {
    JSON: as_json,
    "text/csv": as_csv,
    "application/x-ndjson": as_ndjson,
    "application/vnd.apache.arrow.stream": as_arrow,
    "application/vnd.apache.parquet": as_parquet,
}
Suffix = Literal["json", "csv", "ndjson", "arrow", "parquet"]
SUFFIXES: Final[Mapping[Suffix, str]] = {
    "json": JSON,
    "csv": "text/csv",
    "ndjson": "application/x-ndjson",
    "arrow": "application/vnd.apache.arrow.stream",
    "parquet": "application/vnd.apache.parquet",
}


def media_type(suffix: Suffix | None, accept: str | None) -> str:
    """The format that is wanted: by the address's ending, or else by `Accept`.

    Raises:
        NotAcceptable: none of those that there are.
    """
    return SUFFIXES[suffix] if suffix else choose(accept, list(FORMATS))


def _records(table: pa.Table, zone: str) -> Iterator[dict[str, Any]]:
    clocks = ZoneInfo(zone)
    columns = [[_plain(value, clocks) for value in column.to_pylist()] for column in table.columns]
    return (dict(zip(table.column_names, row, strict=True)) for row in zip(*columns, strict=True))


def _plain(value: Any, zone: ZoneInfo) -> str | int | float | bool | None:
    match value:
        case None | bool() | str():
            return value
        case Decimal():
            if value == value.to_integral_value() and value.as_tuple().exponent == 0:
                return _plain(int(value), zone)
            return f"{value:f}"
        case int():
            return value if -SAFE <= value <= SAFE else str(value)
        case float():
            return value if math.isfinite(value) else str(value)
        case datetime():
            return iso(value, zone)
        case date():
            return value.isoformat()
        case _:
            return str(value)


def iso(at: datetime, zone: ZoneInfo) -> str:
    """A moment as ISO 8601 tells it, by the clocks of a zone."""
    aware = at if at.tzinfo else at.replace(tzinfo=ZoneInfo("UTC"))
    return aware.astimezone(zone).isoformat().replace("+00:00", "Z")


def _printable(column: pa.ChunkedArray, zone: str) -> pa.ChunkedArray:
    kind = column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        suspicious = pc.fill_null(pc.match_substring_regex(column, _FORMULA), False)  # noqa: FBT003
        guarded = pc.binary_join_element_wise("'", column, "")
        return pc.if_else(suspicious, guarded, column)
    if pa.types.is_timestamp(kind) or pa.types.is_nested(kind) or pa.types.is_binary(kind):
        told = [_plain(value, ZoneInfo(zone)) for value in column.to_pylist()]
        return pa.chunked_array([pa.array(told, pa.string())])
    return column


def _zoned(table: pa.Table, zone: str) -> pa.Table:
    """The rows, whose times tell the question's zone."""
    fields = [
        (field.with_type(pa.timestamp("us", zone)) if pa.types.is_timestamp(field.type) else field)
        for field in table.schema
    ]
    return table.cast(pa.schema(fields))
