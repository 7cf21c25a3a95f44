"""Open a file, or standard input, unpacked if it is packed."""

import gzip
import io
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from triptych.core.documents import UnreadableFile
from triptych.core.errors import Kind, TriptychError

if sys.version_info >= (3, 14):
    from compression.zstd import ZstdError, ZstdFile
else:
    from backports.zstd import ZstdError, ZstdFile

Content: TypeAlias = io.BufferedReader | gzip.GzipFile | ZstdFile
STANDARD_INPUT: Final = "-"
_GZIP: Final = b"\x1f\x8b"
_ZSTD: Final = b"\x28\xb5\x2f\xfd"


class BrokenFile(TriptychError):
    """The file cannot be read to its end."""

    kind = Kind.MALFORMED
    hint = "What was read before is stored. Get the file whole and load it again: nothing doubles."


@dataclass(frozen=True, slots=True)
class InputFile:
    """An open file, and how much of it has been read."""

    name: str
    size: int | None
    """In bytes, as it lies there; unknown of standard input."""
    raw: io.BufferedReader
    content: Content
    """What is in it, unpacked."""

    @property
    def done(self) -> int:
        """The bytes of `size` that have been read."""
        return self.raw.tell() if self.size is not None else 0


@contextmanager
def open_input(path: str) -> Iterator[InputFile]:
    """Open a file, or standard input for `-`; unpacked if it is gzip or zstd.

    Raises:
        UnreadableFile: it is missing, forbidden or a folder.
    """
    if path == STANDARD_INPUT:
        raw = sys.stdin.buffer
        assert isinstance(raw, io.BufferedReader)  # noqa: S101  # as long as nobody replaced it
        yield InputFile("stdin", None, raw, _unpacked(raw))
        return
    try:
        opened = Path(path).open("rb")  # noqa: SIM115  # closed below
    except OSError as error:
        raise UnreadableFile(f"{path!r}: {error.strerror}") from None
    with opened as raw:
        name = Path(path).name.encode(errors="replace").decode()
        yield InputFile(name, Path(path).stat().st_size, raw, _unpacked(raw))


def _unpacked(raw: io.BufferedReader) -> Content:
    start = raw.peek(4)[:4]
    if start.startswith(_GZIP):
        return gzip.GzipFile(fileobj=raw)
    if start == _ZSTD:
        return ZstdFile(raw)
    return raw


@contextmanager
def reading(file: InputFile) -> Iterator[None]:
    """Tell of a file that is damaged while it is read.

    Raises:
        BrokenFile: it is cut off or damaged.
    """
    try:
        yield
    except (EOFError, zlib.error, ZstdError, OSError) as error:
        raise BrokenFile(f"{file.name!r}: {error}") from None
