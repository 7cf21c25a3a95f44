"""Parquet: a mapping says which columns make an event; without one, they are its attributes."""

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from typing import IO, Any, Final

import orjson

from triptych.core.domain.json import Json, Violation
from triptych.core.domain.result import Err, Ok, Result
from triptych.core.errors import TriptychError
from triptych.ingestion.application.load import Record
from triptych.ingestion.domain.mapping import EventMapping
from triptych.ingestion.infrastructure.files.csv import check_columns, made
from triptych.ingestion.infrastructure.files.opening import BrokenFile, InputFile, reading

MAGIC: Final = b"PAR1"
_ROWS: Final = 1000


class NoParquet(TriptychError):
    """Parquet files cannot be read: what reads them is not installed."""

    hint = "Install it: pip install 'triptych-ingestion[parquet]'."


def read_parquet(file: InputFile, mapping: EventMapping | None) -> Iterator[Record]:
    """A record for each row.

    Raises:
        NoParquet: the extra `parquet` is not installed.
        WrongMapping: the file lacks a column that the mapping reads.
        BrokenFile: it is cut off or damaged.
    """
    try:
        import pyarrow as pa  # noqa: PLC0415  # an extra
        import pyarrow.parquet as pq  # noqa: PLC0415
    except ImportError:
        raise NoParquet(repr(file.name)) from None
    try:
        with reading(file), _seekable(file) as content:
            parquet = pq.ParquetFile(content)
            if mapping:
                check_columns(file.name, parquet.schema_arrow.names, mapping)
            number = 0
            for batch in parquet.iter_batches(_ROWS):
                for row in batch.to_pylist():
                    number += 1
                    raw = orjson.dumps(row, default=_plain)
                    event = mapping.apply(_cells(row)) if mapping else _event(row)
                    yield made(raw, f"{file.name}:{number}", event)
    except pa.ArrowInvalid as error:
        raise BrokenFile(f"{file.name!r}: {error}") from None


def _seekable(file: InputFile) -> IO[bytes]:
    """The content, in a file that ends when it is closed: Parquet is read from its end."""
    spooled = tempfile.TemporaryFile()  # noqa: SIM115  # its user closes it
    shutil.copyfileobj(file.content, spooled)
    spooled.seek(0)
    return spooled


def _cells(row: Mapping[str, Any]) -> dict[str, str]:
    """The row as CSV would have it."""
    return {name: "" if value is None else str(value) for name, value in row.items()}


def _event(row: Mapping[str, Any]) -> Result[Json, Violation]:
    """The event whose attributes are the columns; text in `data` is JSON."""
    members = {name: value for name, value in row.items() if value is not None}
    members.setdefault("specversion", "1.0")
    data = members.get("data")
    try:
        if isinstance(data, str):
            members["data"] = orjson.loads(data)
        event: Json = orjson.loads(orjson.dumps(members, default=_plain))
    except ValueError as error:  # orjson's errors are ValueErrors
        return Err(Violation("/data", "json", str(error)))
    return Ok(event)


def _plain(value: object) -> object:
    if isinstance(value, datetime | date):
        return value.isoformat()
    return value.hex() if isinstance(value, bytes) else str(value)
