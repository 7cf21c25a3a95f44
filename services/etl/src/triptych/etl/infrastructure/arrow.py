"""The types of Arrow, as pipelines name them."""

from collections.abc import Mapping
from typing import Final

import pyarrow as pa

from triptych.etl.domain.relation import Relation

_NAMES: Final[Mapping[pa.DataType, str]] = {
    pa.string(): "text",
    pa.int32(): "integer",
    pa.int64(): "bigint",
    pa.float64(): "double",
    pa.bool_(): "boolean",
    pa.date32(): "date",
    pa.timestamp("us", tz="UTC"): "timestamptz",
}


def relation(name: str, schema: pa.Schema) -> Relation:
    """A relation of that name with these columns."""
    return Relation(name, types(schema))


def types(schema: pa.Schema) -> dict[str, str]:
    """The types of columns; one that no pipeline can name has Arrow's name."""
    return {field.name: _name(field.type) for field in schema}


def _name(kind: pa.DataType) -> str:
    if pa.types.is_decimal(kind):
        return f"decimal({kind.precision}, {kind.scale})"
    return _NAMES.get(kind, str(kind))
