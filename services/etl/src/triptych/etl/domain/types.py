"""The types that a column may have, as pipelines write them, and how text becomes a value of one."""

import re
from typing import Annotated, Final, TypeAlias

from pydantic import AfterValidator, Field
from sqlglot import exp

from triptych.etl.domain.expressions import DIALECT

_TYPE: Final = re.compile(
    r"text|integer|bigint|double|boolean|date|timestamptz|decimal\(([1-9]|[12][0-9]|3[0-8]), ?[0-9]+\)"
)


def _known_type(text: str) -> str:
    if not known(text):
        raise ValueError(
            f"{text!r} is no type: use text, integer, bigint, double, boolean, date, timestamptz"
            " or decimal(DIGITS, SCALE)"
        )
    if found := decimal(text):
        if found[1] > found[0]:
            raise ValueError(f"{text!r} has more decimals than digits")
        return f"decimal({found[0]}, {found[1]})"
    return text


TypeName: TypeAlias = Annotated[
    str,
    AfterValidator(_known_type),
    Field(examples=["text", "integer", "decimal(18, 4)", "timestamptz"]),
]
"""A type: text, integer, bigint, double, boolean, date, timestamptz or decimal(DIGITS, SCALE)."""

ColumnName: TypeAlias = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
"""A name for a column: lower-case letters, digits and underscores."""


def data_type(name: str) -> exp.DataType:
    """A type, in a query."""
    return exp.DataType.build(name, dialect=DIALECT)


def known(name: str) -> bool:
    """Whether it is a type that a pipeline can name: a table may have others."""
    return _TYPE.fullmatch(name) is not None


def decimal(name: str) -> tuple[int, int] | None:
    """The digits of a decimal type, and how many of them are decimals; none for another type."""
    if not name.startswith("decimal"):
        return None
    digits, scale = (int(number) for number in re.findall(r"[0-9]+", name))
    return digits, scale


def read_as(text: exp.Expr, kind: str) -> exp.Expr:
    """Text as a value of a type; null where it is none."""
    return text if kind == "text" else exp.TryCast(this=text, to=data_type(kind))


def readable_as(text: exp.Expr, kind: str) -> exp.Expr:
    """Whether text is absent, or the value of a type that is written so that nothing is lost."""
    whole: exp.Expr = read_as(text.copy(), kind).is_(exp.null()).not_()
    if pattern := _plainly_written(kind):
        plain = exp.RegexpLike(this=text.copy(), expression=exp.Literal.string(f"^({pattern})$"))
        whole = exp.and_(whole, plain)
    return exp.Paren(this=exp.or_(text.is_(exp.null()), whole))


_TIME_OF_DAY: Final = r"([01]?[0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9]([.][0-9]{1,9})?)?"
_ZONE: Final = r" ?(Z|[+-][0-9]{2}(:?[0-9]{2})?)"


def _plainly_written(kind: str) -> str | None:
    """How a value is written so that every engine reads the same, and the cast changes nothing of
    it: it would round 2.5 to 3, and takes `infinity` for a day."""
    if found := decimal(kind):
        return f"-?[0-9]+([.][0-9]{{0,{found[1]}}}0*)?"
    match kind:
        case "integer" | "bigint":
            return "-?[0-9]+([.]0+)?"
        case "double":
            return "[^_]*"
        case "boolean":
            return "[a-zA-Z0-9]*"
        case "date":
            return f"[0-9]{{4}}-[0-9]{{1,2}}-[0-9]{{1,2}}([ T]{_TIME_OF_DAY}({_ZONE})?)?"
        case "timestamptz":  # more would cost more than the cast itself
            return "[0-9]{4}-[0-9]{1,2}-[0-9].*"
        case _:
            return None
