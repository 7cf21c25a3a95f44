"""Delta tables below one folder: commit files that an engine wrote, read one consistent version."""

import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import unquote

import pyarrow as pa
from deltalake import (
    CommitProperties,
    DeltaTable,
    PostCommitHookProperties,
    Schema,
    Transaction,
)
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError
from deltalake.transaction import AddAction, create_table_with_add_actions

from triptych.core.errors import Kind, TriptychError
from triptych.core.logging import get_logger
from triptych.lake.disk import flush

_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
_log = get_logger(__name__)
_CHECKPOINT_EVERY: Final = 100  # versions
# The library's own hook would fail the commit after it has been made.
_NO_HOOKS: Final = PostCommitHookProperties(create_checkpoint=False, cleanup_expired_logs=False)
# Each attempt is lost to another writer that did commit: together they advance, however many lose.
_COMMIT_ATTEMPTS: Final = 1000


class WrongTableName(TriptychError):
    """A table is named in lower-case letters, digits and underscores."""

    kind = Kind.INVALID
    hint = "Begin the name with a letter, and use at most 63 characters."


class NoSuchTable(TriptychError):
    """The lake has no such table."""

    kind = Kind.NOT_FOUND
    hint = "Run the pipeline that writes it: etl run PIPELINE.yaml."


class WrongLake(TriptychError):
    """The URL names no place for a lake."""

    kind = Kind.INVALID
    hint = "Set TRIPTYCH_LAKE_URL to a folder, such as /var/lib/triptych/lake."


class UnsupportedColumn(TriptychError):
    """A column is of a type that a table cannot hold."""

    kind = Kind.INVALID
    hint = "Cast the column to another type in the pipeline."


class LakeAway(TriptychError):
    """The lake cannot be used now."""

    kind = Kind.UNAVAILABLE
    hint = "Check TRIPTYCH_LAKE_URL, and that this user may read and write there."


class ConcurrentCommit(TriptychError):
    """Another run has committed what this one was about to commit."""

    kind = Kind.CONFLICT
    hint = "Nothing of this run was written, and nothing is lost: run it again."


class SchemaChanged(TriptychError):
    """The rows do not have the columns that the table has."""

    kind = Kind.CONFLICT
    hint = "Write to a table of another name, or remove this one."


@dataclass(frozen=True, slots=True)
class DataFile:
    """A Parquet file in a table's folder that no version holds yet."""

    path: Path
    rows: int


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a writer has read its source: committed together with the rows."""

    writer: str
    """A stable name: a table keeps one position for each writer."""
    before: int
    """The position that the rows start after; the commit fails when the table's is another."""
    after: int
    """The position that the rows reach."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One version of a table. It stays readable while the table moves on."""

    table: str
    version: int
    files: tuple[str, ...]
    schema: pa.Schema


@dataclass(frozen=True)
class Lake:
    """The tables below a folder. Thread-safe; any number of processes may write at once."""

    root: Path

    @classmethod
    def open(cls, url: str) -> "Lake":
        """The lake at `url`: a path, or `file://` and one.

        Raises:
            WrongLake: the URL is of another scheme, or the path looks percent-encoded.
            LakeAway: the folder cannot be made, or is none.
        """
        scheme, separator, path = url.partition("://")
        if separator and scheme != "file":
            raise WrongLake(f"{scheme!r} is not supported")
        root = Path(unquote(path) if separator else url)
        if re.search("%[0-9A-Fa-f]{2}", str(root)):  # deltalake would decode it, and look elsewhere
            raise WrongLake(f"{str(root)!r} looks percent-encoded")
        try:
            root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise LakeAway(f"the folder {str(root)!r}: {error.strerror}") from None
        return cls(root.resolve())

    def table(self, name: str) -> "Table":
        """The table of that name, which need not exist yet.

        Raises:
            WrongTableName: the name could lead out of the lake, or be misread.
        """
        if not _NAME.fullmatch(name):
            raise WrongTableName(repr(name))
        return Table(name, self.root / name)

    def names(self) -> list[str]:
        """The tables that exist, in the order of the alphabet.

        Raises:
            LakeAway: the folder cannot be read.
        """
        try:
            return sorted(p.name for p in self.root.iterdir() if any(p.glob("_delta_log/*.json")))
        except OSError as error:
            raise LakeAway(f"the folder {str(self.root)!r}: {error.strerror}") from None


@dataclass(frozen=True)
class Table:
    """A named sequence of numbered versions."""

    name: str
    folder: Path

    def new_file(self, name: str) -> Path:
        """Where an engine may write a file that is to be committed; its folder exists.

        Raises:
            LakeAway: the folder cannot be made.
            ValueError: the name leads out of the folder.
        """
        if Path(name).name != name:
            raise ValueError(f"{name!r} is no plain file name")
        try:
            self.folder.mkdir(exist_ok=True)
        except OSError as error:
            raise LakeAway(f"the folder {str(self.folder)!r}: {error.strerror}") from None
        return self.folder / name

    def snapshot(self) -> Snapshot:
        """The newest version.

        Raises:
            NoSuchTable: nothing was ever committed to it.
            LakeAway: it cannot be read.
        """
        delta = self._open()
        if delta is None:
            raise NoSuchTable(repr(self.name))
        # The library percent-encodes the folder; the files lie flat in it.
        files = tuple(sorted(str(self.folder / Path(uri).name) for uri in delta.file_uris()))
        return Snapshot(self.name, delta.version(), files, pa.schema(delta.schema().to_arrow()))

    def position(self, writer: str) -> int:
        """How far `writer` had read when it last committed; 0 if it never did.

        Raises:
            LakeAway: the table cannot be read.
        """
        return _position(self._open(), writer)

    def commit(
        self,
        files: Sequence[DataFile],
        schema: pa.Schema,
        progress: Progress,
        notes: Mapping[str, str],
    ) -> int:
        """Add these files to the table in a new version, and record the progress, atomically.

        `notes` stand in the version's entry in the table's history. The version is on the disk when this returns. Fails as a whole: the files of a failed
        commit are removed.

        Returns:
            The new version's number.

        Raises:
            ConcurrentCommit: the writer's position is not `progress.before` any more.
            SchemaChanged: the table has other columns.
            LakeAway: the table cannot be written.
        """
        try:
            for file in files:
                flush(file.path)
            for _ in range(_COMMIT_ATTEMPTS):
                version = self._try_commit(files, schema, progress, notes)
                if version is not None:
                    self._flush_commit(version)
                    return version
            raise LakeAway(f"{self.name!r}: lost every race", hint="Run it again.")
        except OSError as error:
            self._remove_uncommitted(files)
            raise LakeAway(f"{self.name!r}: {error.strerror or error}") from error
        except BaseException:
            self._remove_uncommitted(files)
            raise

    def _try_commit(
        self,
        files: Sequence[DataFile],
        schema: pa.Schema,
        progress: Progress,
        notes: Mapping[str, str],
    ) -> int | None:
        """The new version, or `None` when another writer was faster."""
        delta = self._open()
        if (now := _position(delta, progress.writer)) != progress.before:
            message = f"{self.name!r}: {progress.writer!r} is at {now}, not at {progress.before}"
            raise ConcurrentCommit(message)
        wanted = _delta_schema(schema)
        actions = [_add(file, self.folder) for file in files]
        # Without retries of its own the library never rebases onto a version that was not checked.
        properties = CommitProperties(
            custom_metadata=dict(notes),
            max_commit_retries=0,
            app_transactions=[Transaction(progress.writer, progress.after)],
        )
        try:
            if delta is None:
                self.folder.mkdir(exist_ok=True)
                create_table_with_add_actions(
                    self.folder.as_uri(),
                    wanted,
                    actions,
                    mode="error",
                    commit_properties=properties,
                    post_commithook_properties=_NO_HOOKS,
                )
                return 0
            _check_schema(self.name, delta.schema(), wanted)
            delta.create_write_transaction(
                [*actions],
                "append",
                wanted,
                commit_properties=properties,
                post_commithook_properties=_NO_HOOKS,
            )
            return delta.version() + 1
        except CommitFailedError:
            return None
        except DeltaError as error:
            if delta is None and self._open() is not None:  # another writer made it first
                return None
            raise LakeAway(f"{self.name!r}: {_first_line(error)}") from error

    def _flush_commit(self, version: int) -> None:
        log = self.folder / "_delta_log"
        for path in (log / f"{version:020}.json", log, self.folder, self.folder.parent):
            flush(path)
        if version % _CHECKPOINT_EVERY == _CHECKPOINT_EVERY - 1:
            self._checkpoint(version)

    def _checkpoint(self, version: int) -> None:
        """Sum the log up, so that it is read faster. The commit stands, whether or not it works."""
        try:
            DeltaTable(self.folder.as_uri()).create_checkpoint()
        except (DeltaError, OSError) as error:
            _log.warning("lake.checkpoint_failed", table=self.name, version=version, exc_info=error)

    def _remove_uncommitted(self, files: Sequence[DataFile]) -> None:
        # What went wrong may have done so after the commit: then the newest version holds them.
        delta = self._open()
        held = {Path(uri).name for uri in delta.file_uris()} if delta else set()
        for file in files:
            if file.path.name not in held:
                file.path.unlink(missing_ok=True)

    def _open(self) -> DeltaTable | None:
        try:
            if not (self.folder / "_delta_log").is_dir():
                return None
            return DeltaTable(self.folder.as_uri())
        except TableNotFoundError:
            return None
        except (DeltaError, OSError) as error:
            raise LakeAway(f"{self.name!r}: {_first_line(error)}") from error


def _position(delta: DeltaTable | None, writer: str) -> int:
    return (delta.transaction_version(writer) if delta else None) or 0


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)


def _delta_schema(schema: pa.Schema) -> Schema:
    try:
        return Schema.from_arrow(schema)
    except Exception as error:  # noqa: BLE001  # the library raises nothing more specific
        raise UnsupportedColumn(_first_line(error).rpartition(": ")[2]) from None


def _add(file: DataFile, folder: Path) -> AddAction:
    return AddAction(
        path=file.path.relative_to(folder).as_posix(),
        size=file.path.stat().st_size,
        partition_values={},
        modification_time=int(time.time() * 1000),
        data_change=True,
        stats=json.dumps({"numRecords": file.rows}),
    )


def _check_schema(table: str, old: Schema, new: Schema) -> None:
    before = {field.name: (str(field.type), field.nullable) for field in old.fields}
    after = {field.name: (str(field.type), field.nullable) for field in new.fields}
    if before != after:
        names = sorted(name for name, _ in before.items() ^ after.items())
        raise SchemaChanged(f"{table!r}: {', '.join(dict.fromkeys(names))}")
