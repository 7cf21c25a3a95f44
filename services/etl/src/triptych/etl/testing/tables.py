"""Tables to try a plugin on, made of those that its author gives."""

from collections.abc import Mapping
from typing import Any, Final

import pyarrow as pa
from hypothesis import strategies as st

HOSTILE: Final = ('a "quoted" name', "select", "größe; drop table x")
"""Names that a query is broken by unless it quotes them."""
ANOTHER: Final = "zzz"
"""What a column is called that is to be missing under its own name."""
_INTEGERS = st.integers(-(2**31), 2**31 - 1)
_MOST: Final = 12  # rows


def nothing_but_nulls(table: pa.Table) -> pa.Table:
    """Three rows of these columns, without a value."""
    columns = [pa.nulls(3, field.type) for field in table.schema]
    return pa.Table.from_arrays(columns, schema=table.schema)


def with_names(table: pa.Table, names: Mapping[str, str]) -> pa.Table:
    """The table, some columns of which have other names."""
    return table.rename_columns([names.get(name, name) for name in table.column_names])


def renamed(value: Any, names: Mapping[str, str]) -> Any:
    """A configuration in which columns have other names, wherever they stand in it."""
    match value:
        case str():
            return names.get(value, value)
        case Mapping():
            return {names.get(key, key): renamed(part, names) for key, part in value.items()}
        case list() | tuple():
            return [renamed(part, names) for part in value]
    return value


def like(table: pa.Table) -> st.SearchStrategy[pa.Table]:
    """Tables with these columns: their values come from the table, or are any of their types."""
    columns = {
        field.name: st.none() | st.sampled_from([*column.to_pylist(), None]) | _any(field.type)
        for field, column in zip(table.schema, table.columns, strict=True)
    }
    rows = st.lists(st.fixed_dictionaries(columns), max_size=_MOST)
    return rows.map(lambda made: pa.Table.from_pylist(made, schema=table.schema))


def _any(kind: pa.DataType) -> st.SearchStrategy[Any]:
    if pa.types.is_int64(kind) or pa.types.is_int32(kind):
        return _INTEGERS
    if pa.types.is_string(kind):
        return st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=8)
    if pa.types.is_floating(kind):
        return st.floats(-1e9, 1e9)
    if pa.types.is_boolean(kind):
        return st.booleans()
    return st.none()
