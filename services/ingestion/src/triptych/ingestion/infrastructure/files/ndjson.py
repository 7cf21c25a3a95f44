"""NDJSON: each line is an event."""

from collections.abc import Iterator
from typing import Final

from triptych.core.domain.json import Violation
from triptych.ingestion.application.load import Record
from triptych.ingestion.domain.admission import Arrival
from triptych.ingestion.infrastructure.files.opening import InputFile, reading

MAX_LINE_BYTES: Final = 1024 * 1024


def read_ndjson(file: InputFile) -> Iterator[Record]:
    """A record for each line that is not blank.

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
            yield Record(Arrival(line, origin), too_long)
        elif text := line.strip():
            yield Record(Arrival(text, origin))


def _next_line(file: InputFile) -> bytes:
    with reading(file):
        return file.content.readline(MAX_LINE_BYTES + 1)


def _skip_line(file: InputFile, line: bytes) -> None:
    while line and not line.endswith(b"\n"):
        line = _next_line(file)
