"""The atomic commit: all of a change, and how far its writer has come, or nothing."""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyarrow as pa
from deltalake import (
    CommitProperties,
    DeltaTable,
    PostCommitHookProperties,
    Schema,
    Transaction,
)
from deltalake.exceptions import CommitFailedError, DeltaError
from deltalake.transaction import AddAction, RemoveAction, create_table_with_add_actions

from triptych.core.logging import get_logger
from triptych.lake.change import (
    Change,
    DataFile,
    Exchange,
    Progress,
    Replace,
    ReplacePartitions,
    Rewrite,
)
from triptych.lake.delta import first_line, stored_files
from triptych.lake.disk import flush
from triptych.lake.errors import ConcurrentCommit, LakeAway, SchemaChanged, UnsupportedColumn

_log = get_logger(__name__)
_CHECKPOINT_EVERY: Final = 100  # versions
# The library's own hook would fail the commit after it has been made.
_NO_HOOKS: Final = PostCommitHookProperties(create_checkpoint=False, cleanup_expired_logs=False)
# Each attempt is lost to another writer that did commit: together they advance, however many lose.
_COMMIT_ATTEMPTS: Final = 1000


@dataclass
class Commit:
    """A change that is to become the next version of a table."""

    name: str
    folder: Path
    open: Callable[[], DeltaTable | None]
    """The table as it is now; `None` before its first version."""
    change: Change
    progress: Sequence[Progress]
    notes: Mapping[str, str]
    _widened: int | None = None
    """The version that this commit gave new columns to: what was computed from it still holds."""

    def make(self) -> int:
        """See `Table.commit`."""
        try:
            for file in self.change.files:
                flush(file.path)
            for _ in range(_COMMIT_ATTEMPTS):
                if (version := self._try()) is not None:
                    self._flush(version)
                    return version
            raise LakeAway(f"{self.name!r}: lost every race", hint="Run it again.")
        except OSError as error:
            self._remove_uncommitted()
            raise LakeAway(f"{self.name!r}: {error.strerror or error}") from error
        except BaseException:
            self._remove_uncommitted()
            raise

    def _try(self) -> int | None:
        """The new version, or `None` when another writer was faster."""
        delta = self.open()
        self._check_progress(delta)
        schema = _delta_schema(self.change.schema)
        try:
            if delta is None:
                self._create(schema)
                return 0
            if self._widen(delta, schema):
                return None  # again, from the version that has the new columns
            self._write(delta, schema)
            return delta.version() + 1
        except CommitFailedError:
            return None
        except DeltaError as error:
            if delta is None and self.open() is not None:  # another writer made it first
                return None
            raise LakeAway(f"{self.name!r}: {first_line(error)}") from error

    def _check_progress(self, delta: DeltaTable | None) -> None:
        for moved in self.progress:
            now = (delta.transaction_version(moved.writer) if delta else None) or 0
            if now != moved.before:
                message = f"{self.name!r}: {moved.writer!r} is at {now}, not at {moved.before}"
                raise ConcurrentCommit(message)

    def _create(self, schema: Schema) -> None:
        self.folder.mkdir(exist_ok=True)
        create_table_with_add_actions(
            self.folder.as_uri(),
            schema,
            list(self._added()),
            mode="error",
            partition_by=list(self.change.partition_by),
            commit_properties=self._properties(),
            post_commithook_properties=_NO_HOOKS,
        )

    def _widen(self, delta: DeltaTable, schema: Schema) -> bool:
        """Give the table the columns that it has not, in a version of their own."""
        if isinstance(self.change.mode, Replace):
            return False  # the new rows bring their own columns
        if list(self.change.partition_by) != delta.metadata().partition_columns:
            raise SchemaChanged(f"{self.name!r} is divided by other columns")
        before, after = _types(delta.schema()), _types(schema)
        new = after.keys() - before.keys() if self.change.evolve else set()
        differing = {name for name, _ in before.items() ^ after.items()} - new
        if differing:
            raise SchemaChanged(f"{self.name!r}: {', '.join(sorted(differing))}")
        if new:
            self._widened = delta.version()
            delta.alter.add_columns([f for f in schema.fields if f.name in new])
        return bool(new)

    def _write(self, delta: DeltaTable, schema: Schema) -> None:
        delta.create_write_transaction(
            [*self._added(), *self._removed(delta)],
            "overwrite" if isinstance(self.change.mode, Replace) else "append",
            schema,
            list(self.change.partition_by),
            commit_properties=self._properties(),
            post_commithook_properties=_NO_HOOKS,
        )

    def _properties(self) -> CommitProperties:
        # Without retries of its own the library never rebases onto a version that was not checked.
        moved = [Transaction(progress.writer, progress.after) for progress in self.progress]
        return CommitProperties(dict(self.notes), max_commit_retries=0, app_transactions=moved)

    def _added(self) -> Iterator[AddAction]:
        for file in self.change.files:
            yield AddAction(
                path=file.path.relative_to(self.folder).as_posix(),
                size=file.path.stat().st_size,
                partition_values=dict(file.partition),
                modification_time=_now(),
                data_change=True,
                stats=json.dumps({"numRecords": file.rows}),
            )

    def _removed(self, delta: DeltaTable) -> Iterator[RemoveAction]:
        for file in self._leaving(delta):
            yield RemoveAction(
                path=file.path.name,
                data_change=True,
                deletion_timestamp=_now(),
                size=None,
                partition_values=dict(file.partition),
            )

    def _leaving(self, delta: DeltaTable) -> list[DataFile]:
        match self.change.mode:
            case ReplacePartitions(partitions):
                stored = stored_files(delta, self.folder)
                return [file for file in stored if file.partition in partitions]
            case Rewrite(base, files):
                widened = self._widened == base and delta.version() == base + 1
                if delta.version() != base and not widened:
                    message = f"{self.name!r}: version {delta.version()} came after {base}"
                    raise ConcurrentCommit(message)
                stored = stored_files(delta, self.folder)
                return [file for file in stored if str(file.path) in files]
            case Exchange(files):
                stored = stored_files(delta, self.folder)
                leaving = [file for file in stored if str(file.path) in files]
                if len(leaving) < len(files):
                    message = f"{self.name!r}: another writer has exchanged the same files"
                    raise ConcurrentCommit(message)
                return leaving
            case _:  # nothing goes, or the library sees to it that all do
                return []

    def _flush(self, version: int) -> None:
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

    def _remove_uncommitted(self) -> None:
        # What went wrong may have done so after the commit: then the newest version holds them.
        delta = self.open()
        held = {Path(uri).name for uri in delta.file_uris()} if delta else set()
        for file in self.change.files:
            if file.path.name not in held:
                file.path.unlink(missing_ok=True)


def _now() -> int:
    return int(time.time() * 1000)


def _types(schema: Schema) -> dict[str, tuple[str, bool]]:
    return {field.name: (str(field.type), field.nullable) for field in schema.fields}


def _delta_schema(schema: pa.Schema) -> Schema:
    try:
        return Schema.from_arrow(schema)
    except Exception as error:  # noqa: BLE001  # the library raises nothing more specific
        raise UnsupportedColumn(first_line(error).rpartition(": ")[2]) from None
