"""Expressions that people write into pipelines: parsed, checked against a list, never pasted.

An expression is SQL in DuckDB's dialect, over the columns of the row. What is not on the list is
refused: no subquery, no function that touches files, the network or the system.
"""

from typing import Annotated, TypeAlias

import sqlglot
from pydantic import PlainValidator, WithJsonSchema
from sqlglot import exp
from sqlglot.errors import SqlglotError

DIALECT = "duckdb"
INTERNAL = "_"
"""Columns that begin with this are the framework's own: no expression sees them."""

_ALLOWED: tuple[type[exp.Expr], ...] = (
    # values
    exp.Column, exp.Identifier, exp.Literal, exp.Boolean, exp.Null, exp.Paren, exp.Tuple,
    # arithmetic
    exp.Add, exp.Sub, exp.Mul, exp.Div, exp.Mod, exp.Neg, exp.Abs, exp.Round, exp.Floor, exp.Ceil,
    # comparison and logic
    exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.And, exp.Or, exp.Not, exp.Is, exp.In,
    exp.Between, exp.Like, exp.ILike, exp.Case, exp.If, exp.Coalesce, exp.Nullif,
    # text
    exp.Lower, exp.Upper, exp.Trim, exp.Length, exp.Substring, exp.Concat, exp.DPipe, exp.StartsWith,
    # types and time
    exp.Cast, exp.TryCast, exp.DataType, exp.DataTypeParam, exp.TimestampTrunc, exp.DateTrunc,
    exp.Extract, exp.Var,
)  # fmt: skip


def parse(text: object) -> exp.Expr:
    """The expression that `text` says.

    Raises:
        ValueError: it is none, or uses what is not allowed.
    """
    if isinstance(text, exp.Expr):
        return text
    if not isinstance(text, str):
        raise ValueError(f"{text!r} is no expression: write it as text")
    try:
        trees = sqlglot.parse(text, dialect=DIALECT)
    except RecursionError:
        raise ValueError("the expression is nested too deeply") from None
    except SqlglotError as error:
        reason = str(error).splitlines()[0].partition(". Line")[0]
        raise ValueError(f"{text!r} is no expression: {reason}") from None
    match trees:
        case [exp.Expr() as tree]:
            _check(text, tree)
            return tree
        case _:
            raise ValueError(f"{text!r} is not one expression")


def column(name: str) -> exp.Column:
    """A reference to a column, quoted."""
    return exp.column(name, quoted=True)


def _check(text: str, tree: exp.Expr) -> None:
    for node in tree.walk():
        if not isinstance(node, _ALLOWED):
            raise ValueError(f"{text!r}: {_shown(node)!r} is not allowed in an expression")
        if isinstance(node, exp.Column) and (node.table or node.name.startswith(INTERNAL)):
            raise ValueError(f"{text!r}: {node.sql(DIALECT)!r} is no column of the row")
        if isinstance(node, exp.Identifier):
            node.args["quoted"] = True


def _shown(node: exp.Expr) -> str:
    try:
        return node.name if isinstance(node, exp.Anonymous) else node.sql(DIALECT)
    except SqlglotError:
        return node.key


Sql: TypeAlias = Annotated[exp.Expr, PlainValidator(parse), WithJsonSchema({"type": "string"})]
"""A field of a plugin's configuration that holds an expression."""
