"""The source `files`: files below one folder, or in object storage, each read once."""

import csv
import gzip
import io
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import StrEnum, auto
from itertools import chain
from pathlib import Path, PurePath
from typing import IO, Any, ClassVar, Final, Self, cast

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field, model_validator
from sqlglot import exp

from triptych.core.documents import Part
from triptych.core.errors import Kind, TriptychError
from triptych.etl.application.ports import Batches, Format, Reading, Scan
from triptych.etl.domain.members import MemberColumns, Members, is_object
from triptych.etl.domain.plugins import Rule
from triptych.etl.domain.relation import Relation, column, named
from triptych.etl.domain.types import read_as, readable_as
from triptych.etl.infrastructure.storage import S3, Mark, Pattern, Storage

if sys.version_info >= (3, 14):
    from compression.zstd import ZstdError, ZstdFile
else:
    from backports.zstd import ZstdError, ZstdFile

FILE: Final = "file"
"""The column of the raw rows that says which file each is from."""
_LINE: Final = "line"


class FileChanged(TriptychError):
    """A file that was read is not what it was."""

    kind = Kind.CONFLICT
    hint = "Give new rows a file of their own: nobody could tell the old ones from the new."


class BrokenFile(TriptychError):
    """A file cannot be read."""

    kind = Kind.FAILED
    hint = "Nothing was written. Mend or remove the file, and run again."


class Kinds(StrEnum):
    """What files hold."""

    CSV = auto()
    NDJSON = auto()
    JSON = auto()
    PARQUET = auto()


_SUFFIXES: Final = {
    ".csv": Kinds.CSV,
    ".ndjson": Kinds.NDJSON,
    ".jsonl": Kinds.NDJSON,
    ".json": Kinds.JSON,
    ".parquet": Kinds.PARQUET,
}
_FORMATS: Final = {
    Kinds.CSV: Format.CSV,
    Kinds.NDJSON: Format.LINES,
    Kinds.JSON: Format.ITEMS,
    Kinds.PARQUET: Format.PARQUET,
}


class Files(Part):
    """Read files, each once: CSV, NDJSON, JSON arrays or Parquet; gzip or zstd, or plain."""

    whole: ClassVar = False

    paths: tuple[Pattern, ...] = Field(
        min_length=1,
        description="Patterns below the folder TRIPTYCH_FILES_DIR, or in object storage; `**` stands"
        " for any folders.",
        examples=[["orders/*.ndjson.gz", "s3://shop/orders/*.ndjson.gz"]],
    )
    storage: Storage = Field(default=Storage(), description="Where the paths s3://… are.")
    format: Kinds | None = Field(
        default=None, description="What they hold; their names say it if it is left out."
    )
    separator: str = Field(default=",", min_length=1, max_length=1, description="Of CSV.")
    columns: Members = Field(
        default={},
        description="The columns to read: name and type. For CSV, all as text if left out.",
        examples=[{"invoice": "text", "quantity": {"type": "integer", "at": "/Quantity"}}],
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        kind = self._kind
        if kind in (Kinds.NDJSON, Kinds.JSON) and not self.columns:
            raise ValueError(f"{kind} needs 'columns'")
        if kind is Kinds.PARQUET and self.columns:
            raise ValueError(
                "Parquet has columns of its own: use the transforms 'select' and 'cast'"
            )
        if kind is Kinds.CSV and (
            deep := [n for n, m in self.columns.items() if len(_at(n, m.at)) > 1]
        ):
            raise ValueError(f"CSV has no columns in columns: {', '.join(deep)}")
        return self

    @property
    def _kind(self) -> Kinds:
        if self.format is not None:
            return self.format
        kinds = {_SUFFIXES.get(_suffix(pattern)) for pattern in self.paths}
        if len(kinds) != 1 or (kind := kinds.pop()) is None:
            known = ", ".join(_SUFFIXES)
            raise ValueError(f"the names do not say one format ({known}): set 'format'")
        return kind

    @property
    def origin(self) -> str:
        """See `Source.origin`."""
        return f"files/{','.join(self.paths)}"

    def newest(self, reading: Reading, after: int) -> int:
        """See `Source.newest`.

        Raises:
            FileChanged: a file that was read before is another now.
        """
        seen = _manifest(reading, after)
        there = self._look(reading.resources.files)
        _check_same(seen, {name: there[name] for name in seen if name in there})
        if there.keys() <= seen.keys():
            return after
        return reading.memory.remember({**seen, **there})

    def read(self, reading: Reading, after: int, until: int) -> Scan:
        """See `Source.read`.

        Raises:
            FileChanged: a file is not what it was when the run was begun, or is gone.
            BrokenFile: a file cannot be read.
        """
        seen, known = _manifest(reading, after), _manifest(reading, until)
        new = {name: mark for name, mark in known.items() if name not in seen}
        root = reading.resources.files
        objects = {name: mark for name, mark in new.items() if name.startswith(S3)}
        local = new.keys() - objects.keys()
        now = {name: _mark(root / name) for name in local if (root / name).is_file()}
        _check_same(new, now | (self.storage.marks(objects) if objects else {}))
        held = self.storage.download(objects) if objects else None
        files = {name: held.path(name) if held and name in objects else root / name for name in new}
        paths = tuple(str(files[name]) for name in sorted(files))
        renamed = (f"{held.folder}/", S3) if held else None
        with _renaming(renamed):
            schema = self._schema(map(Path, paths))
            headers = self._headers(paths)
        kind = _FORMATS[self._kind]
        return Scan(paths, kind, schema, self.separator, FILE, renamed, headers, held)

    def _look(self, root: Path) -> dict[str, Mark]:
        found = _look(root, [path for path in self.paths if not path.startswith(S3)])
        for path in self.paths:
            if path.startswith(S3):
                found |= self.storage.look(path)
        return found

    def _headers(self, paths: Iterable[str]) -> tuple[tuple[str, ...], ...]:
        if self._kind is not Kinds.CSV:
            return ()
        return tuple(tuple(_header(Path(path), self.separator)) for path in paths)

    def _schema(self, files: Iterable[Path]) -> pa.Schema:
        match self._kind:
            case Kinds.PARQUET:
                found = pa.unify_schemas([_parquet_schema(file) for file in files])
            case Kinds.CSV:
                headers = [_header(file, self.separator) for file in files]
                names = dict.fromkeys(chain.from_iterable(headers or [self._cells()]))
                found = pa.schema([(name, pa.string()) for name in names])
            case _:
                found = pa.schema([(_LINE, pa.string())])
        return found.append(pa.field(FILE, pa.string()))

    def _cells(self) -> list[str]:
        """The columns of a file that the configured ones are read from."""
        return [_at(name, member.at)[0] for name, member in self.columns.items()]

    def given(self, rows: Sequence[Mapping[str, Any]]) -> Batches:
        """See `Source.given`."""
        match self._kind:
            case Kinds.NDJSON | Kinds.JSON:
                lines = [json.dumps(row, default=str) for row in rows]
                table = pa.table({_LINE: pa.array(lines, pa.string())})
            case Kinds.CSV:
                names = dict.fromkeys([*self._cells(), *(name for row in rows for name in row)])
                cells = [{n: None if v is None else str(v) for n, v in row.items()} for row in rows]
                schema = pa.schema([(name, pa.string()) for name in names])
                table = pa.Table.from_pylist(cells, schema=schema)
            case Kinds.PARQUET:
                table = pa.Table.from_pylist([dict(row) for row in rows])
        return Batches(table.schema, table.to_batches())

    def written(self, raw: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """See `Source.written`."""
        if self._kind in (Kinds.CSV, Kinds.PARQUET):
            return {name: value for name, value in raw.items() if name != FILE}
        try:
            row = json.loads(raw[_LINE])
        except ValueError:
            return None
        return row if isinstance(row, dict) else None

    def decode(self, raw: Relation) -> exp.Select:
        """See `Source.decode`."""
        if self._kind in (Kinds.NDJSON, Kinds.JSON):
            members = self._members()
            parsed = raw.select([column(_LINE), members.parsed()]).subquery("parsed")
            return raw.select(members.columns(), of=parsed)
        if not self.columns:
            return raw.select(column(name) for name in raw.columns if name != FILE)
        raw.check_has(self._cells())
        return raw.select(
            named(read_as(column(_at(name, member.at)[0]), member.type), name)
            for name, member in self.columns.items()
        )

    def rules(self, raw: Relation) -> Iterator[Rule]:
        """See `Source.rules`."""
        if self._kind in (Kinds.NDJSON, Kinds.JSON):
            yield Rule("it is no JSON object", is_object(_LINE))
            yield from self._members().rules()
            return
        for name, member in self.columns.items():
            if member.type != "text":
                value = readable_as(column(_at(name, member.at)[0]), member.type)
                yield Rule(f"{name} is no {member.type}", value)

    def _members(self) -> MemberColumns:
        return MemberColumns(self.columns, _LINE)


def _at(name: str, pointer: str | None) -> list[str]:
    return (pointer or f"/{name}").split("/")[1:]


def _suffix(pattern: str) -> str:
    suffixes = [suffix.rstrip("*").lower() for suffix in PurePath(pattern).suffixes]
    telling = [suffix for suffix in suffixes if suffix not in (".gz", ".zst")]
    return telling[-1] if telling else ""


def _manifest(reading: Reading, position: int) -> dict[str, Mark]:
    return cast("dict[str, Mark] | None", reading.memory.recall(position)) or {}


def _look(root: Path, patterns: Iterable[str]) -> dict[str, Mark]:
    inside = root.resolve()
    return {
        str(path.relative_to(root)): _mark(path)
        for pattern in patterns
        for path in root.glob(pattern)
        if path.is_file() and path.resolve().is_relative_to(inside)
    }


def _mark(path: Path) -> Mark:
    found = path.stat()
    return [found.st_size, found.st_mtime_ns]


def _check_same(before: Mapping[str, Mark], now: Mapping[str, Mark]) -> None:
    if changed := sorted(name for name, mark in now.items() if mark != before[name]):
        raise FileChanged(", ".join(map(repr, changed)))


@contextmanager
def _renaming(renamed: tuple[str, str] | None) -> Iterator[None]:
    """Call files what a person calls them, should one be broken."""
    try:
        yield
    except BrokenFile as error:
        raise (BrokenFile(str(error).replace(*renamed)) if renamed else error) from None


def _parquet_schema(file: Path) -> pa.Schema:
    try:
        return pq.read_schema(file)
    except (pa.ArrowException, OSError) as error:
        raise BrokenFile(f"{str(file)!r}: {str(error).splitlines()[0]}") from None


def _header(file: Path, separator: str) -> list[str]:
    try:
        with _open(file) as opened:
            return next(csv.reader(opened, delimiter=separator), [])
    except (OSError, EOFError, UnicodeDecodeError, ZstdError, csv.Error) as error:
        raise BrokenFile(f"{str(file)!r}: {error}") from None


def _open(file: Path) -> IO[str]:
    match file.suffix:
        case ".gz":
            return gzip.open(file, "rt", encoding="utf-8-sig", newline="")
        case ".zst":
            return io.TextIOWrapper(ZstdFile(file), encoding="utf-8-sig", newline="")
        case _:
            return file.open(encoding="utf-8-sig", newline="")
