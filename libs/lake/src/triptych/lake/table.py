"""A Delta table in a folder: read a version of it, and commit the next one."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError, TableNotFoundError

from triptych.lake.change import Change, DataFile, Progress
from triptych.lake.commit import Commit
from triptych.lake.delta import first_line, stored_files
from triptych.lake.errors import LakeAway, NoSuchTable, NoSuchVersion, Rewritten
from triptych.lake.vacuum import Vacuumed, vacuum


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One version of a table. It stays readable while the table moves on."""

    table: str
    version: int
    stored: tuple[DataFile, ...]
    schema: pa.Schema
    partition_by: tuple[str, ...] = ()

    @property
    def files(self) -> tuple[str, ...]:
        """The paths of its files."""
        return tuple(str(file.path) for file in self.stored)

    @property
    def rows(self) -> int:
        """How many rows it has."""
        return sum(file.rows for file in self.stored)


@dataclass(frozen=True, slots=True)
class Version:
    """An entry in a table's history."""

    number: int
    at: datetime
    """When it was committed, by the clock of who did."""
    notes: Mapping[str, str]
    """What was said with the commit."""


@dataclass(frozen=True)
class Table:
    """A named sequence of numbered versions."""

    name: str
    folder: Path

    def new_folder(self) -> Path:
        """The folder that an engine may write files into that are to be committed; it exists.

        Raises:
            LakeAway: the folder cannot be made.
        """
        try:
            self.folder.mkdir(exist_ok=True)
        except OSError as error:
            raise LakeAway(f"the folder {str(self.folder)!r}: {error.strerror}") from None
        return self.folder

    def new_file(self, name: str) -> Path:
        """Where an engine may write a file of that name, likewise.

        Raises:
            LakeAway: the folder cannot be made.
            ValueError: the name leads out of the folder.
        """
        if Path(name).name != name:
            raise ValueError(f"{name!r} is no plain file name")
        return self.new_folder() / name

    def exists(self) -> bool:
        """Whether anything was ever committed to it.

        Raises:
            LakeAway: it cannot be read.
        """
        return self._open() is not None

    def snapshot(self, at: int | datetime | None = None) -> Snapshot:
        """The newest version, or the one of that number, or the newest of that time.

        Raises:
            NoSuchTable: nothing was ever committed to it.
            NoSuchVersion: there is no such version, or a vacuum removed it.
            LakeAway: it cannot be read.
        """
        delta = self._existing()
        if at is not None:
            with self._reading():
                self._go_to(delta, at)
        with self._reading():
            snapshot = self._snapshot(delta)
        if at is not None and not all(file.path.exists() for file in snapshot.stored):
            raise NoSuchVersion(f"{self.name!r}: version {snapshot.version} was vacuumed")
        return snapshot

    def moved_on(self, version: int) -> bool:
        """Whether there is a newer version. It costs a look at two files' names, and no more."""
        log = f"{self.folder}/_delta_log/"  # it is asked at every request: paths take their time
        known, newer = (f"{log}{number:020}.json" for number in (version, version + 1))
        return os.path.exists(newer) or not os.path.exists(known)  # noqa: PTH110

    def history(self, limit: int | None = None) -> list[Version]:
        """The versions, the newest first.

        Raises:
            NoSuchTable: nothing was ever committed to it.
            LakeAway: it cannot be read.
        """
        delta = self._existing()
        with self._reading():
            return [_version(entry) for entry in delta.history(limit)]

    def added(self, after: int, until: int) -> tuple[DataFile, ...]:
        """The files that the versions `after < version <= until` added.

        Raises:
            Rewritten: one of them removed files, too: what is new cannot be told from the rest.
            NoSuchVersion: one of them was vacuumed, or is not there.
            LakeAway: it cannot be read.
        """
        old = {file.path for file in self.snapshot(after).stored} if after >= 0 else set()
        new = self.snapshot(until).stored
        if missing := old - {file.path for file in new}:
            message = f"{self.name!r}: {len(missing)} files of version {after} are not in {until}"
            raise Rewritten(message)
        return tuple(file for file in new if file.path not in old)

    def position(self, writer: str) -> int:
        """How far `writer` had read when it last committed; 0 if it never did.

        Raises:
            LakeAway: the table cannot be read.
        """
        delta = self._open()
        return (delta.transaction_version(writer) if delta else None) or 0

    def commit(
        self,
        change: Change,
        progress: Sequence[Progress] = (),
        notes: Mapping[str, str] | None = None,
    ) -> int:
        """Make a new version, and record the progress of its writers, atomically.

        `notes` stand in the version's entry in the table's history. The version is on the disk when
        this returns. Fails as a whole: the files of a failed commit are removed.

        Returns:
            The new version's number.

        Raises:
            ConcurrentCommit: a writer's position is not its `before` any more, or the files
                that the rows were computed from are not the newest.
            SchemaChanged: the table has columns that the change has not, or of other types.
            LakeAway: the table cannot be written.
        """
        return Commit(self.name, self.folder, self._open, change, progress, notes or {}).make()

    def vacuum(self, keep_versions: int, now: datetime, *, dry_run: bool = False) -> Vacuumed:
        """Remove what the newest `keep_versions` versions do not need.

        Files that no version ever held are removed when they are a day old: whoever wrote them has
        died, or would have committed them.

        Raises:
            NoSuchTable: nothing was ever committed to it.
            LakeAway: it cannot be read or written.
        """
        delta = self._existing()
        with self._reading():
            oldest = max(0, delta.version() - keep_versions + 1)
            kept = {path for n in range(oldest, delta.version() + 1) for path in self._held(n)}
            return vacuum(self.folder, kept, now, dry_run=dry_run)

    def _held(self, version: int) -> Iterator[Path]:
        delta = DeltaTable(self.folder.as_uri(), version=version)
        return (self.folder / Path(uri).name for uri in delta.file_uris())

    def _go_to(self, delta: DeltaTable, at: int | datetime) -> None:
        if isinstance(at, int) and not 0 <= at <= delta.version():
            raise NoSuchVersion(f"{self.name!r}: version {at} of {delta.version()}")
        if isinstance(at, datetime) and at < (first := _version(delta.history()[-1]).at):
            raise NoSuchVersion(f"{self.name!r}: it begins at {first.isoformat()}")
        try:
            delta.load_as_version(at)
        except DeltaError as error:
            raise NoSuchVersion(f"{self.name!r}: {at}: {first_line(error)}") from None

    def _snapshot(self, delta: DeltaTable) -> Snapshot:
        partition_by = tuple(delta.metadata().partition_columns)
        schema = pa.schema(delta.schema().to_arrow())
        stored = stored_files(delta, self.folder)
        return Snapshot(self.name, delta.version(), stored, schema, partition_by)

    def _existing(self) -> DeltaTable:
        delta = self._open()
        if delta is None:
            raise NoSuchTable(repr(self.name))
        return delta

    def _open(self) -> DeltaTable | None:
        with self._reading():
            try:
                if not (self.folder / "_delta_log").is_dir():
                    return None
                return DeltaTable(self.folder.as_uri())
            except TableNotFoundError:
                return None

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except (DeltaError, OSError) as error:
            raise LakeAway(f"{self.name!r}: {first_line(error)}") from error


def _version(entry: Mapping[str, Any]) -> Version:
    at = datetime.fromtimestamp(entry["timestamp"] / 1000, UTC)
    notes = {key: value for key, value in entry.items() if isinstance(value, str)}
    return Version(entry["version"], at, notes)
