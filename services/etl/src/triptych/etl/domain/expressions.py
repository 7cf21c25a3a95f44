"""Expressions that people write into pipelines: parsed, checked against a list, never pasted.

An expression is SQL in DuckDB's dialect, over the columns of the row. What is not on the list is
refused: no subquery, no function that touches files, the network or the system.
"""

from typing import Annotated, Final, TypeAlias

import sqlglot
from pydantic import PlainValidator, WithJsonSchema
from sqlglot import exp
from sqlglot.errors import SqlglotError

from triptych.etl.domain.relation import INTERNAL

DIALECT: Final = "duckdb"

ALLOWED: Final[tuple[type[exp.Expr], ...]] = (
    # values
    exp.Column, exp.Identifier, exp.Literal, exp.Boolean, exp.Null, exp.Paren, exp.Tuple,
    # arithmetic
    exp.Add, exp.Sub, exp.Mul, exp.Div, exp.Mod, exp.Neg, exp.Abs, exp.Round, exp.Floor, exp.Ceil,
    exp.Greatest, exp.Least, exp.Sign,
    # comparison and logic
    exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.And, exp.Or, exp.Not, exp.Is, exp.In,
    exp.NullSafeEQ, exp.NullSafeNEQ, exp.Between, exp.Like, exp.ILike, exp.Case, exp.If,
    exp.Coalesce, exp.Nullif,
    # text
    exp.Lower, exp.Upper, exp.Trim, exp.Length, exp.Substring, exp.Concat, exp.DPipe,
    exp.StartsWith, exp.EndsWith, exp.Contains, exp.Replace, exp.Reverse, exp.Left, exp.Right,
    exp.StrPosition, exp.RegexpLike, exp.MD5, exp.SHA2,
    # types and time
    exp.Cast, exp.TryCast, exp.DataType, exp.DataTypeParam, exp.TimestampTrunc, exp.DateTrunc,
    exp.Extract, exp.Var, exp.Year, exp.Month, exp.Day, exp.DateDiff, exp.Interval,
)  # fmt: skip
AGGREGATES: Final[tuple[type[exp.Expr], ...]] = (
    exp.Sum, exp.Count, exp.Min, exp.Max, exp.Avg, exp.Distinct, exp.Star, exp.Filter, exp.Where,
    exp.LogicalAnd, exp.LogicalOr,
)  # fmt: skip


def parse(text: object) -> exp.Expr:
    """The expression over one row that `text` says.

    Raises:
        ValueError: it is none, or uses what is not allowed.
    """
    return _parse(text, ALLOWED)


def parse_aggregate(text: object) -> exp.Expr:
    """The expression over a group of rows that `text` says, such as `sum(quantity)`.

    Raises:
        ValueError: it is none, or uses what is not allowed, or does not sum rows up.
    """
    tree = _parse(text, ALLOWED + AGGREGATES)
    if not tree.find(exp.AggFunc):
        raise ValueError(f"{text!r} does not sum rows up: use sum, count, min, max or avg")
    return tree


def _parse(text: object, allowed: tuple[type[exp.Expr], ...]) -> exp.Expr:
    if isinstance(text, exp.Expr):
        return text
    tree = parse_one(text)
    check(str(text), tree, allowed)
    return tree


def parse_one(text: object) -> exp.Expr:
    """The one piece of SQL that `text` holds, whatever it is.

    Raises:
        ValueError: it holds none, or several.
    """
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
            return tree
        case _:
            raise ValueError(f"{text!r} is not one expression")


def check(
    text: str, tree: exp.Expr, allowed: tuple[type[exp.Expr], ...], *, tables: bool = False
) -> None:
    """Make sure that a tree holds nothing but what is allowed, and quote its names.

    Raises:
        ValueError: with what is not allowed.
    """
    for node in tree.walk():
        if not isinstance(node, allowed):
            raise ValueError(f"{text!r}: {_shown(node)!r} is not allowed in an expression")
        if isinstance(node, exp.Column) and (
            (node.table and not tables) or node.name.startswith(INTERNAL)
        ):
            raise ValueError(f"{text!r}: {node.sql(DIALECT)!r} is no column of the row")
        if isinstance(node, exp.Table) and (node.db or not isinstance(node.this, exp.Identifier)):
            raise ValueError(f"{text!r}: {_shown(node)!r} is not allowed in an expression")
        if isinstance(node, exp.Identifier):
            node.args["quoted"] = True


def _shown(node: exp.Expr) -> str:
    try:
        return node.name if isinstance(node, exp.Anonymous) else node.sql(DIALECT)
    except SqlglotError:
        return node.key


Sql: TypeAlias = Annotated[exp.Expr, PlainValidator(parse), WithJsonSchema({"type": "string"})]
"""A field of a plugin's configuration that holds an expression over a row."""
Aggregate: TypeAlias = Annotated[
    exp.Expr, PlainValidator(parse_aggregate), WithJsonSchema({"type": "string"})
]
"""A field of a plugin's configuration that holds an expression over a group of rows."""
