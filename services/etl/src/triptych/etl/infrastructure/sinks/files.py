"""The sink `files`: a new file a run, in a folder that others read.

A file's name says how far its rows reach, so that renaming it into place commits the rows and the
position at once: `sales-00000000000000000000-00000000000000000042.parquet`.
"""

import fcntl
import re
import shutil
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum, auto
from pathlib import Path
from typing import Final

import pyarrow.csv
from pydantic import Field
from sqlglot import exp

from triptych.core.documents import Part
from triptych.core.errors import Kind, TriptychError
from triptych.etl.application.ports import Effects, Engine, Resources, Writing
from triptych.etl.domain.plugins import Rule
from triptych.etl.domain.relation import Relation, as_json, column, named, text
from triptych.etl.infrastructure.folders import Confined
from triptych.etl.infrastructure.sinks.keys import count
from triptych.lake.change import Progress
from triptych.lake.disk import flush
from triptych.lake.errors import ConcurrentCommit

_STAGING: Final = ".staging"
_ABANDONED_SECONDS: Final = 24 * 3600
_FORMULA: Final = r"^[=+\-@\t\r\n]"
"""What a spreadsheet takes for the beginning of a formula (OWASP, CSV Injection)."""


class FilesAway(TriptychError):
    """A folder that a pipeline writes to cannot be used."""

    kind = Kind.UNAVAILABLE
    hint = "Check TRIPTYCH_FILES_DIR, its permissions and its free space; run it again."


class Format(StrEnum):
    """What files hold."""

    PARQUET = auto()
    CSV = auto()
    """With a header. Text that a spreadsheet would compute begins with an apostrophe."""
    NDJSON = auto()


class How(StrEnum):
    """How the file of a run meets those of earlier ones."""

    APPEND = auto()
    """It is one more."""
    REPLACE = auto()
    """It takes the place of all, which go as soon as it is there."""


class FilesSink(Part):
    """Write the rows of each run to a new file, which appears whole or not at all."""

    folder: Confined = Field(
        description="Below the folder TRIPTYCH_FILES_DIR.", examples=["exports/sales"]
    )
    format: Format = Format.PARQUET
    mode: How = Field(default=How.APPEND, description="How a file meets those of earlier runs.")

    @property
    def target(self) -> str:
        """See `Sink.target`."""
        return self.folder

    @property
    def replaces(self) -> bool:
        """See `Sink.replaces`."""
        return self.mode is How.REPLACE

    def position(self, resources: Resources, writer: str) -> int:
        """See `Sink.position`."""
        return _reach(_committed(resources.files / self.folder, writer))

    def rules(self, resources: Resources, rows: Relation) -> Iterator[Rule]:
        """See `Sink.rules`. A file takes whatever there is."""
        yield from ()

    def columns(self, resources: Resources) -> dict[str, str]:
        """See `Sink.columns`. No file asks anything of those that come after it."""
        return {}

    def effects(self, writing: Writing, rows: Relation) -> Effects:
        """See `Sink.effects`."""
        given = count(writing.engine, rows, self._label)
        return Effects(given, given)

    def stage(self, writing: Writing, rows: Relation, progress: Progress) -> "StagedFile":
        """See `Sink.stage`."""
        folder = writing.resources.files / self.folder
        staging = folder / _STAGING / uuid.uuid4().hex
        number = count(writing.engine, rows, self._label)
        with _reporting(folder):
            _sweep(staging.parent)
            staging.mkdir(parents=True)
            try:
                file = self._write(writing.engine, rows, staging)
                flush(file)
            except BaseException:
                shutil.rmtree(staging)
                raise
        return StagedFile(file, progress, number, self.replaces)

    def _write(self, engine: Engine, rows: Relation, folder: Path) -> Path:
        plain = [column(name) for name in rows.columns]
        match self.format:
            case Format.PARQUET:
                query = exp.select(*plain).from_(rows.table)
                return engine.write(query, folder).files[0].path
            case Format.CSV:
                guarded = exp.select(*(_guarded(rows, name) for name in rows.columns))
                found = engine.stream(guarded.from_(rows.table), self._label)
                file = folder / "rows.csv"
                with pyarrow.csv.CSVWriter(file, found.schema) as csv:
                    for batch in found.batches:
                        csv.write_batch(batch)
            case Format.NDJSON:
                lines = exp.select(named(as_json(rows, "rows"), "line"))
                source = exp.alias_(rows.table, "rows", table=True)
                found = engine.stream(lines.from_(source), self._label)
                file = folder / "rows.ndjson"
                with file.open("w", encoding="utf-8") as opened:
                    for batch in found.batches:
                        opened.writelines(f"{line}\n" for line in batch.column(0).to_pylist())
        return file

    @property
    def _label(self) -> str:
        return f"sink {self.folder}"


@dataclass(frozen=True)
class StagedFile:
    """A file that has not its name yet."""

    file: Path
    progress: Progress
    rows: int
    replaces: bool

    def commit(self, notes: Mapping[str, str]) -> int:
        """See `Staged.commit`.

        Raises:
            ConcurrentCommit: another run was faster.
            FilesAway: the file cannot get its name; nothing is committed.
        """
        folder = self.file.parents[2]
        writer = self.progress.writer
        with _reporting(folder), _locked(folder / _STAGING):
            there = _committed(folder, writer)
            if _reach(there) != self.progress.before:
                raise ConcurrentCommit(f"{folder.name!r}: another run has moved {writer!r}")
            self.file.rename(folder / f"{_stem(self.progress)}{self.file.suffix}")
            flush(folder)
            if self.replaces:
                for path in there:
                    path.unlink()
        self.discard()
        return len(there)

    def discard(self) -> None:
        """See `Staged.discard`."""
        shutil.rmtree(self.file.parent, ignore_errors=True)


def _stem(progress: Progress) -> str:
    return f"{_plain(progress.writer)}-{progress.before:020d}-{progress.after:020d}"


def _plain(writer: str) -> str:
    return writer.rpartition(":")[2]


def _committed(folder: Path, writer: str) -> dict[Path, int]:
    """The files of a writer, whatever they hold, and how far their rows reach."""
    named_so = re.compile(rf"{re.escape(_plain(writer))}-\d{{20}}-(\d{{20}})\.[a-z]+")
    with _reporting(folder):
        paths = sorted(folder.iterdir()) if folder.is_dir() else []
    found = ((path, named_so.fullmatch(path.name)) for path in paths)
    return {path: int(match[1]) for path, match in found if match}


def _reach(committed: Mapping[Path, int]) -> int:
    return max(committed.values(), default=0)


def _sweep(staging: Path) -> None:
    """Remove what runs left that died."""
    for folder in staging.iterdir() if staging.is_dir() else ():
        if folder.is_dir() and time.time() - folder.stat().st_mtime > _ABANDONED_SECONDS:
            shutil.rmtree(folder, ignore_errors=True)


def _guarded(rows: Relation, name: str) -> exp.Expr:
    """A column for CSV: no text of it begins as a formula does (OWASP, CSV Injection)."""
    if rows.types[name] != "text":
        return column(name)
    begins = exp.RegexpLike(this=column(name), expression=text(_FORMULA))
    safe = exp.Concat(expressions=[text("'"), column(name)], safe=False, coalesce=False)
    return named(exp.case().when(begins, safe).else_(column(name)), name)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Alone among the processes that commit to a folder; the system ends it when one dies."""
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def _reporting(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise FilesAway(f"{str(folder)!r}: {error.strerror or error}") from None
