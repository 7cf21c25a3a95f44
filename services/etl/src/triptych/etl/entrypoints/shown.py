"""How things are shown to a person."""

from collections.abc import Iterable, Sequence

import pyarrow as pa
from rich.console import Console
from rich.table import Table

_UNBOUNDED = 10_000  # where no terminal says how wide it is, a row is a line
_LONGEST = 60


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], title: str = "") -> None:
    """Print rows as a table."""
    shown = Table(*columns, title=title or None, title_justify="left", box=None, pad_edge=False)
    for row in rows:
        shown.add_row(*(_short(value) for value in row))
    console = Console()
    console = console if console.is_terminal else Console(width=_UNBOUNDED)
    console.print(shown)


def rows(found: pa.Table, title: str = "") -> None:
    """Print the rows of an Arrow table."""
    columns = [column.to_pylist() for column in found.columns]
    table(found.column_names, list(zip(*columns, strict=True)), title)


def _short(value: object) -> str:
    text = "" if value is None else str(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
