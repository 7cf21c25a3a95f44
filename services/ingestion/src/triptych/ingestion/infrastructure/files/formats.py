"""Which format a file has, and the records that are in it."""

from collections.abc import Iterator
from enum import StrEnum, auto

from triptych.core.errors import Kind, TriptychError
from triptych.ingestion.application.load import Record
from triptych.ingestion.domain.mapping import EventMapping
from triptych.ingestion.infrastructure.files.csv import read_csv
from triptych.ingestion.infrastructure.files.json_array import read_json
from triptych.ingestion.infrastructure.files.ndjson import read_ndjson
from triptych.ingestion.infrastructure.files.opening import InputFile, reading
from triptych.ingestion.infrastructure.files.parquet import MAGIC, read_parquet


class Format(StrEnum):
    """How a file holds its events."""

    NDJSON = auto()
    JSON = auto()
    CSV = auto()
    PARQUET = auto()


class NoMapping(TriptychError):
    """A CSV file needs a mapping that says which columns make an event."""

    kind = Kind.INVALID
    hint = "Add: --mapping MAPPING.yaml (see examples/shop/mappings)."


def read_records(
    file: InputFile, mapping: EventMapping | None, format_: Format | None
) -> Iterator[Record]:
    """The records of a file, not parsed yet, in their order.

    Raises:
        NoMapping: it is CSV, and there is no mapping.
        WrongMapping: the mapping does not fit it.
        BrokenFile: it cannot be read to its end.
    """
    match format_ or _guess(file, mapping):
        case Format.PARQUET:
            return read_parquet(file, mapping)
        case Format.JSON:
            return read_json(file)
        case Format.CSV if mapping is None:
            raise NoMapping(repr(file.name))
        case Format.CSV:
            assert mapping is not None  # noqa: S101  # the case before
            return read_csv(file, mapping)
        case _:
            return read_ndjson(file)


def _guess(file: InputFile, mapping: EventMapping | None) -> Format:
    """By the content where it tells, then by the name."""
    with reading(file):
        start = file.content.peek(64)
    if start.startswith(MAGIC):
        return Format.PARQUET
    if mapping is not None or ".csv" in file.name.lower():
        return Format.CSV
    return Format.JSON if start.lstrip().startswith(b"[") else Format.NDJSON
