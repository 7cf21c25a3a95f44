"""The types of Arrow, as pipelines name them."""

from collections.abc import Mapping
from typing import Final

import pyarrow as pa

from triptych.etl.domain.relation import Relation
from triptych.etl.domain.types import decimal

_NAMES: Final[Mapping[pa.DataType, str]] = {
    pa.string(): "text",
    pa.int32(): "integer",
    pa.int64(): "bigint",
    pa.float64(): "double",
    pa.bool_(): "boolean",
    pa.date32(): "date",
    pa.timestamp("us", tz="UTC"): "timestamptz",
}

_TYPES: Final = {name: kind for kind, name in _NAMES.items()}


def relation(name: str, schema: pa.Schema) -> Relation:
    """A relation of that name with these columns."""
    return Relation(name, types(schema))


def types(schema: pa.Schema) -> dict[str, str]:
    """The types of columns; one that no pipeline can name has Arrow's name."""
    return {field.name: _name(field.type) for field in schema}


def data_type(name: str) -> pa.DataType:
    """The type of Arrow that a pipeline's type stands for."""
    if found := decimal(name):
        return pa.decimal128(*found)
    return _TYPES[name]


def _name(kind: pa.DataType) -> str:
    if pa.types.is_decimal(kind):
        return f"decimal({kind.precision}, {kind.scale})"
    return _NAMES.get(kind, str(kind))
