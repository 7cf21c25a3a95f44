"""Read candidates from files: NDJSON of CloudEvents, or CSV through a mapping; gzip or plain."""

import csv
import gzip
import io
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TextIO, TypeAlias

import orjson

from triptych.core.documents import UnreadableFile, nearest
from triptych.core.domain.json import Violation
from triptych.core.domain.result import Err, Ok, Result
from triptych.core.errors import Kind, TriptychError
from triptych.ingestion.domain.admission import Arrival, Candidate
from triptych.ingestion.domain.mapping import EventMapping, missing_columns

MAX_LINE_BYTES: Final = 1024 * 1024
_GZIP_MAGIC: Final = b"\x1f\x8b"

Content: TypeAlias = io.BufferedReader | gzip.GzipFile


class WrongMapping(TriptychError):
    """The mapping does not fit the file."""

    kind = Kind.INVALID
    hint = "Name the columns as the file's first line does."


class BrokenFile(TriptychError):
    """The file cannot be read to its end."""

    kind = Kind.MALFORMED
    hint = "What was read before is stored. Get the file whole and load it again: nothing doubles."


@dataclass(frozen=True, slots=True)
class InputFile:
    """An open file, and how much of it has been read."""

    name: str
    size: int
    raw: io.BufferedReader
    content: Content

    @property
    def done(self) -> int:
        """The bytes of `size` that have been read."""
        return self.raw.tell()


@contextmanager
def open_input(path: Path) -> Iterator[InputFile]:
    """Open a file, unpacked if it is gzip.

    Raises:
        UnreadableFile: it is missing, forbidden or a folder.
    """
    try:
        raw = path.open("rb")
    except OSError as error:
        raise UnreadableFile(f"{str(path)!r}: {error.strerror}") from None
    with raw:
        packed = raw.peek(2)[:2] == _GZIP_MAGIC
        content: Content = gzip.GzipFile(fileobj=raw) if packed else raw
        yield InputFile(path.name, path.stat().st_size, raw, content)


def read_ndjson(file: InputFile) -> Iterator[Candidate]:
    """A candidate for each line that is not blank.

    Raises:
        BrokenFile: it is cut off or damaged.
    """
    number = 0
    while line := _next_line(file):
        number += 1
        origin = f"{file.name}:{number}"
        if len(line) > MAX_LINE_BYTES:
            _skip_line(file, line)
            too_long = Violation("", "max-bytes", f"the line is longer than {MAX_LINE_BYTES} bytes")
            yield Candidate(Arrival(line, origin), Err(too_long))
        elif text := line.strip():
            yield Candidate.parse(Arrival(text, origin))


def read_csv(file: InputFile, mapping: EventMapping) -> Iterator[Candidate]:
    """A candidate for each row after the header.

    Raises:
        WrongMapping: the header lacks a column that the mapping reads, or has one twice.
        BrokenFile: it is cut off or damaged.
    """
    # Bytes that are not UTF-8 are kept as lone surrogates, which no event may hold.
    with _text(file.content) as text:
        lines = _Lines(text)
        rows = csv.reader(lines, strict=True)
        with _reporting(file):
            header = next(rows, [])
        lines.take()
        if twice := sorted({name for name in header if header.count(name) > 1}):
            raise WrongMapping(f"{file.name!r} has two columns {twice[0]!r}")
        if missing := missing_columns(mapping, header):
            message = f"{file.name!r} has no column {missing[0]!r}: {nearest(missing[0], header)}"
            raise WrongMapping(message)
        while True:
            try:
                with _reporting(file):
                    cells = next(rows)
            except StopIteration:
                return
            except csv.Error as error:
                broken = Violation("", "csv", str(error))
                yield Candidate(Arrival(lines.take(), f"{file.name}:{rows.line_num}"), Err(broken))
            else:
                raw = lines.take()
                if cells:
                    origin = f"{file.name}:{rows.line_num}"
                    value = _value(header, cells, mapping, raw)
                    made = orjson.dumps(value.value) if isinstance(value, Ok) else None
                    yield Candidate(Arrival(raw, origin, made), value)


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


def _value(
    header: Sequence[str], cells: Sequence[str], mapping: EventMapping, raw: bytes
) -> Result[object, Violation]:
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError as error:
        return Err(Violation("", "utf-8", f"the row is not UTF-8 text (byte {error.start})"))
    if len(cells) != len(header):
        message = f"the row has {len(cells)} cells, the header {len(header)}"
        return Err(Violation("", "columns", message))
    match mapping.apply(dict(zip(header, cells, strict=True))):
        case Ok(event):
            return Ok(event)
        case Err() as wrong:
            return wrong


@contextmanager
def _text(content: Content) -> Iterator[TextIO]:
    text = io.TextIOWrapper(content, encoding="utf-8-sig", errors="surrogateescape", newline="")
    try:
        yield text
    finally:
        text.detach()  # the file is its opener's to close


def _next_line(file: InputFile) -> bytes:
    with _reporting(file):
        return file.content.readline(MAX_LINE_BYTES + 1)


def _skip_line(file: InputFile, line: bytes) -> None:
    while line and not line.endswith(b"\n"):
        line = _next_line(file)


@contextmanager
def _reporting(file: InputFile) -> Iterator[None]:
    try:
        yield
    except (EOFError, zlib.error, OSError) as error:
        raise BrokenFile(f"{file.name!r}: {error}") from None
