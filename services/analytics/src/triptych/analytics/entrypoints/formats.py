"""Answers in the formats that clients read.

In JSON and CSV: decimals are text in JSON, so that no digit is lost; so are whole numbers beyond what
JavaScript tells apart (2^53, RFC 8259, 6). Times are ISO 8601, with the offset of the question's zone.
Bytes, lists and structures are text.
"""

import io
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
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


@dataclass(frozen=True, slots=True)
class Answer:
    """What is told: rows, their columns, and what else there is to say."""

    rows: pa.Table
    columns: Sequence[Column]
    zone: str
    others: Mapping[str, object]


Format = Callable[[Answer], bytes]


def as_json(answer: Answer) -> bytes:
    """An object with columns and rows, and what else there is to say."""
    columns = [
        {
            "name": column.name,
            "type": column.type.value,
            **({"unit": column.unit} if column.unit else {}),
        }
        for column in answer.columns
    ]
    body = {**answer.others, "columns": columns, "rows": list(_records(answer))}
    return orjson.dumps(body)


def as_ndjson(answer: Answer) -> bytes:
    """An object a line for each row."""
    return b"".join(orjson.dumps(row) + b"\n" for row in _records(answer))


def as_csv(answer: Answer) -> bytes:
    """RFC 4180, with a header. Text that a spreadsheet would take for a formula begins with '."""
    columns = [_printable(column, answer.zone) for column in answer.rows.columns]
    table = pa.table(dict(zip(answer.rows.column_names, columns, strict=True)))
    sink = io.BytesIO()
    pa_csv.write_csv(table, sink, pa_csv.WriteOptions(eol="\r\n"))
    return sink.getvalue()


def as_arrow(answer: Answer) -> bytes:
    """A stream of Arrow's IPC format."""
    sink = io.BytesIO()
    rows = _zoned(answer)
    with pa.ipc.new_stream(sink, rows.schema) as writer:
        writer.write_table(rows)
    return sink.getvalue()


def as_parquet(answer: Answer) -> bytes:
    """A Parquet file."""
    sink = io.BytesIO()
    pq.write_table(_zoned(answer), sink)
    return sink.getvalue()


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


def _records(answer: Answer) -> Any:
    zone = ZoneInfo(answer.zone)
    names = answer.rows.column_names
    columns = [
        [_plain(value, zone) for value in column.to_pylist()] for column in answer.rows.columns
    ]
    return (dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True))


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


def _zoned(answer: Answer) -> pa.Table:
    """The rows, whose times tell the question's zone."""
    fields = [
        (
            field.with_type(pa.timestamp("us", answer.zone))
            if pa.types.is_timestamp(field.type)
            else field
        )
        for field in answer.rows.schema
    ]
    return answer.rows.cast(pa.schema(fields))
