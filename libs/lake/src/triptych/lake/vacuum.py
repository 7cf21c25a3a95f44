"""Remove files that no version needs that anybody may still read."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

ORPHANED_AFTER: Final = timedelta(days=1)
"""A file that no version holds may belong to a run that is about to commit it, when it is younger."""


@dataclass(frozen=True, slots=True)
class Vacuumed:
    """What a vacuum removed, or would remove."""

    files: int
    bytes: int


def vacuum(folder: Path, kept: Collection[Path], now: datetime, *, dry_run: bool) -> Vacuumed:
    """Remove the data files in a table's folder that are neither kept nor young."""
    files = total = 0
    for path in _data_files(folder):
        found = path.stat()
        old = found.st_mtime < (now - ORPHANED_AFTER).timestamp()
        if path in kept or not old:
            continue
        files += 1
        total += found.st_size
        if not dry_run:
            path.unlink()
            _remove_empty(path.parent, folder)
    return Vacuumed(files, total)


def _data_files(folder: Path) -> list[Path]:
    """Those of the table, and those in folders that an engine was writing partitions to."""
    files = folder.rglob("*.parquet")
    return [path for path in files if path.relative_to(folder).parts[0] != "_delta_log"]


def _remove_empty(inner: Path, folder: Path) -> None:
    while inner != folder and not any(inner.iterdir()):
        inner.rmdir()
        inner = inner.parent
