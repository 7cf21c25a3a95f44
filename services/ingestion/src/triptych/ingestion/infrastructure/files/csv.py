"""CSV: a mapping says which columns make an event."""

import csv
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TextIO

import orjson

from triptych.core.documents import nearest
from triptych.core.domain.json import Json, Violation
from triptych.core.domain.result import Err, Ok, Result
from triptych.core.errors import Kind, TriptychError
from triptych.ingestion.application.load import Record
from triptych.ingestion.domain.admission import Arrival
from triptych.ingestion.domain.mapping import EventMapping, missing_columns
from triptych.ingestion.infrastructure.files.opening import Content, InputFile, reading


class WrongMapping(TriptychError):
    """The mapping does not fit the file."""

    kind = Kind.INVALID
    hint = "Name the columns as the file's first line does."


def read_csv(file: InputFile, mapping: EventMapping) -> Iterator[Record]:
    """A record for each row after the header.

    Raises:
        WrongMapping: the header lacks a column that the mapping reads, or has one twice.
        BrokenFile: it is cut off or damaged.
    """
    # Bytes that are not UTF-8 are kept as lone surrogates, which no event may hold.
    with _text(file.content) as text:
        lines = _Lines(text)
        rows = csv.reader(lines, strict=True)
        with reading(file):
            header = next(rows, [])
        lines.take()
        check_columns(file.name, header, mapping)
        while True:
            try:
                with reading(file):
                    cells = next(rows)
            except StopIteration:
                return
            except csv.Error as error:
                broken = Violation("", "csv", str(error))
                yield Record(Arrival(lines.take(), f"{file.name}:{rows.line_num}"), broken)
            else:
                raw = lines.take()
                if cells:
                    origin = f"{file.name}:{rows.line_num}"
                    yield made(raw, origin, _event(header, cells, mapping, raw))


def check_columns(name: str, header: Sequence[str], mapping: EventMapping) -> None:
    """Check that a file has the columns that a mapping reads.

    Raises:
        WrongMapping: it lacks one, or has one twice.
    """
    if twice := sorted({column for column in header if header.count(column) > 1}):
        raise WrongMapping(f"{name!r} has two columns {twice[0]!r}")
    if missing := missing_columns(mapping, header):
        message = f"{name!r} has no column {missing[0]!r}: {nearest(missing[0], header)}"
        raise WrongMapping(message)


def made(raw: bytes, origin: str, event: Result[Json, Violation]) -> Record:
    """The record of a row, and of the event that was made of it."""
    match event:
        case Ok(value):
            try:
                return Record(Arrival(raw, origin, orjson.dumps(value)))
            except TypeError as error:
                return Record(Arrival(raw, origin), Violation("/data", "json", str(error)))
        case Err(wrong):
            return Record(Arrival(raw, origin), wrong)


class _Lines:
    """The lines of a text, which remembers those that were read since it was last asked."""

    def __init__(self, text: TextIO) -> None:
        self._text = text
        self._read: list[str] = []

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = next(self._text)
        self._read.append(line)
        return line

    def take(self) -> bytes:
        taken = "".join(self._read).rstrip("\r\n")
        self._read.clear()
        return taken.encode("utf-8", "surrogateescape")


def _event(
    header: Sequence[str], cells: Sequence[str], mapping: EventMapping, raw: bytes
) -> Result[Json, Violation]:
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError as error:
        return Err(Violation("", "utf-8", f"the row is not UTF-8 text (byte {error.start})"))
    if len(cells) != len(header):
        message = f"the row has {len(cells)} cells, the header {len(header)}"
        return Err(Violation("", "columns", message))
    return mapping.apply(dict(zip(header, cells, strict=True)))


@contextmanager
def _text(content: Content) -> Iterator[TextIO]:
    text = io.TextIOWrapper(content, encoding="utf-8-sig", errors="surrogateescape", newline="")
    try:
        yield text
    finally:
        text.detach()  # the file is its opener's to close
