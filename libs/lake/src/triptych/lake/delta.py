"""What the Delta library says, in our words."""

from pathlib import Path

import pyarrow as pa
from deltalake import DeltaTable

from triptych.lake.change import DataFile


def stored_files(delta: DeltaTable, folder: Path) -> tuple[DataFile, ...]:
    """The files of a version, in the order of their names. They lie flat in the table's folder."""
    partition_by = delta.metadata().partition_columns
    actions = pa.table(delta.get_add_actions(flatten=True)).to_pylist()
    stored = (
        DataFile(
            folder / Path(action["path"]).name,
            action["num_records"] or 0,
            tuple((name, text_of(action[f"partition.{name}"])) for name in partition_by),
        )
        for action in actions
    )
    return tuple(sorted(stored, key=lambda file: file.path))


def text_of(value: object) -> str | None:
    """The value of a column that a table is divided by, as Delta writes it in its log.

    >>> text_of(True), text_of(None)
    ('true', None)
    """
    if value is None:
        return None
    return str(value).lower() if isinstance(value, bool) else str(value)


def first_line(error: Exception) -> str:
    """The first line of an error of the library: the others are of no use to a person."""
    return next(iter(str(error).splitlines()), type(error).__name__)
