"""Queries in DuckDB's dialect, as Spark understands them: the same rows have to come out."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sqlglot import exp

from triptych.etl.domain.secrets import is_hidden

_NUMBER: Final = r"^\s*[-+]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][-+]?[0-9]+)?\s*$"
_FLOAT: Final = (
    r"^\s*[-+]?(([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][-+]?[0-9]+)?"
    r"|[iI][nN][fF]([iI][nN][iI][tT][yY])?|[nN][aA][nN])\s*$"
)
_WRITTEN: Final[Mapping[exp.DType, str]] = {exp.DType.DOUBLE: _FLOAT, exp.DType.DECIMAL: _NUMBER}
"""How text is written that both take for a value: Spark takes `1d` for 1."""
_DAY: Final = r"^([0-9]+-[0-9]+-[0-9]+)"
_TEXTS: Final = (exp.DType.TEXT, exp.DType.VARCHAR)
_INTEGERS: Final = (exp.DType.INT, exp.DType.BIGINT)
_WHOLE: Final = exp.DataType.build("decimal(38, 0)")


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement for Spark."""

    sql: str
    secrets: Mapping[str, str]
    """The secrets in it, by the parameters that stand for them."""


def statement(query: exp.Query, views: Mapping[str, str]) -> Statement:
    """What a query is for Spark, which knows the relations as these views."""
    tree = query.copy()
    _rename_tables(tree, views)
    secrets: dict[str, str] = {}
    for literal in [node for node in tree.find_all(exp.Literal) if is_hidden(node)]:
        name = f"secret_{len(secrets)}"
        secrets[name] = literal.name
        literal.replace(exp.Placeholder(this=name))
    # From the leaves up: what is wrapped has been rewritten.
    for node in reversed(list(tree.walk())):
        if (new := _rewritten(node)) is not node:
            node.replace(new)
    return Statement(tree.sql("spark"), secrets)


def _rename_tables(tree: exp.Expr, views: Mapping[str, str]) -> None:
    own = {cte.alias for cte in tree.find_all(exp.CTE)}
    for table in list(tree.find_all(exp.Table)):
        if table.name in views and table.name not in own:
            alias = table.alias or table.name
            view = exp.table_(views[table.name], quoted=True)
            joins = table.args.get("joins")
            new = exp.alias_(view, exp.to_identifier(alias, quoted=True), table=True)
            if joins:
                new.set("joins", joins)
            table.replace(new)


def _rewritten(node: exp.Expr) -> exp.Expr:
    match node:
        case exp.Anonymous(this=str() as name):
            return _function(name.lower(), node)
        case exp.TryCast() | exp.Cast():
            return _cast(node)
        case exp.RegexpLike():
            return _pattern(node)
        case exp.Div():
            return _quotient(node)
        case _:
            return node


def _function(name: str, node: exp.Anonymous) -> exp.Expr:
    given = node.expressions
    match name:
        case "json_valid":
            return exp.Paren(this=_call("try_parse_json", given[0]).is_(exp.null()).not_())
        case "from_json":
            structure = _structure(json.loads(given[1].name))
            return _call("from_json", given[0], exp.Literal.string(structure))
        case "to_json" if isinstance(given[0], exp.Struct):
            return _document(given[0])
        case "to_json":
            return _value(given[0])
        case "error":
            return _call("raise_error", *given)
        case _:
            return node


def _call(name: str, *arguments: exp.Expr) -> exp.Anonymous:
    return exp.Anonymous(this=name, expressions=list(arguments))


def _structure(told: object) -> str:
    """What DuckDB calls `{"a": "VARCHAR"}` and `["VARCHAR"]`."""
    match told:
        case dict():
            members = (f"`{name}`: {_structure(inner)}" for name, inner in told.items())
            return f"STRUCT<{', '.join(members)}>"
        case [item]:
            return f"ARRAY<{_structure(item)}>"
        case _:
            return "STRING"


def _document(row: exp.Struct) -> exp.Expr:
    """A JSON object. Spark leaves members out that are null, and writes times in another way."""
    members = [_member(member.name, member.expression) for member in row.expressions]
    inner = _call("concat_ws", exp.Literal.string(","), *members)
    return _call("concat", exp.Literal.string("{"), inner, exp.Literal.string("}"))


def _member(name: str, value: exp.Expr) -> exp.Expr:
    key = exp.Literal.string(f"{json.dumps(name, ensure_ascii=False)}:")
    is_json = isinstance(value, exp.Case)  # of calls of `to_json`, which have been rewritten
    return _call("concat", key, value if is_json else _value(value))


def _value(value: exp.Expr) -> exp.Expr:
    alone = _call("to_json", _call("named_struct", exp.Literal.string("v"), value.copy()))
    # of '{"v":1}', what stands for the value
    plain = _call(
        "substring", alone, exp.Literal.number(6), _call("length", alone.copy()) - exp.convert(6)
    )
    time = _call("concat", exp.Literal.string('"'), _plain_text(value), exp.Literal.string('+00"'))
    decimal = exp.Like(
        this=_call("typeof", value.copy()), expression=exp.Literal.string("decimal%")
    )
    return (
        exp.case()
        .when(value.copy().is_(exp.null()), exp.Literal.string("null"))
        .when(_is_time(value), time)
        .when(decimal, _plain_text(value))
        .else_(plain)
    )


def _is_time(value: exp.Expr) -> exp.Expr:
    return _call("typeof", value.copy()).eq(exp.Literal.string("timestamp"))


def _as_text(value: exp.Expr) -> exp.Expr:
    """A value as DuckDB writes it: a time tells its zone."""
    zoned = _call("concat", _plain_text(value), exp.Literal.string("+00"))
    return exp.Paren(this=exp.case().when(_is_time(value), zoned).else_(_plain_text(value)))


def _plain_text(value: exp.Expr) -> exp.Expr:
    return _kept(exp.Cast(this=value.copy(), to=exp.DataType.build("text")))


def _quotient(node: exp.Div) -> exp.Expr:
    """A double, as in DuckDB: by zero it is infinite, where Spark fails."""
    double = exp.DataType.build("double")
    dividend, divisor = (
        _kept(exp.Cast(this=part, to=double.copy())) for part in (node.this, node.expression)
    )
    infinite = _kept(exp.Cast(this=exp.Literal.string("Infinity"), to=double.copy()))
    nonzero = exp.Nullif(this=divisor.copy(), expression=exp.Literal.number(0))
    plain = exp.Div(this=dividend.copy(), expression=nonzero)
    by_zero = exp.Mul(this=dividend, expression=infinite)
    return exp.Paren(this=exp.case().when(divisor.eq(0), by_zero).else_(plain))


def _cast(node: exp.Cast) -> exp.Expr:
    kind = node.to.this
    if isinstance(node.this, exp.Null):
        return node
    if kind in _TEXTS:  # what a function made is text already, such as JSON
        made = isinstance(node.this, exp.Literal | exp.Anonymous)
        return node if made else _as_text(node.this)
    if kind in _INTEGERS:
        return _whole_number(node)
    if isinstance(node, exp.TryCast):
        if kind is exp.DType.DATE:  # of a time that is read as a day, not every Spark takes it
            day = _call("regexp_extract", _plain_text(node.this), exp.Literal.string(_DAY))
            node.set("this", day)
        return _try_cast(node, _WRITTEN.get(kind))
    return node


def _try_cast(node: exp.TryCast, pattern: str | None) -> exp.Expr:
    if pattern is None:
        return _kept(node)
    written = exp.RegexpLike(this=_plain_text(node.this), expression=exp.Literal.string(pattern))
    return exp.Paren(this=exp.case().when(written, _kept(node.copy())))


def _whole_number(node: exp.Cast) -> exp.Expr:
    """Spark makes no whole number of '3.0', and cuts 2.5 where DuckDB rounds it."""
    rounded = _kept(type(node)(this=node.this, to=_WHOLE.copy()))
    return _kept(type(node)(this=rounded, to=node.to))


def _kept(cast: exp.Cast) -> exp.Cast:
    """A cast that sqlglot leaves as it is."""
    if isinstance(cast, exp.TryCast):
        cast.set("safe", True)  # noqa: FBT003  # or sqlglot makes a plain cast of it
    return cast


def _pattern(node: exp.RegexpLike) -> exp.Expr:
    r"""Java's `$` is also before a last line's end: `\z` is not. `\w` may be of all alphabets."""
    if isinstance(node.expression, exp.Literal):
        written = _TOKEN.sub(_in_ascii, node.expression.name)
        node.set("expression", exp.Literal.string(written))
    return node


_TOKEN: Final = re.compile(r"\\.|\[\^?\]?(?:\\.|\[:\w+:\]|[^\]\\])*\]|\$", re.DOTALL)
_ASCII: Final = {"d": "0-9", "w": "0-9A-Za-z_", "s": r"\t\n\f\r "}


def _in_ascii(token: re.Match[str]) -> str:
    match token[0]:
        case "$":
            return r"\z"
        case inside if inside.startswith("["):
            return re.sub(
                r"\\(.)", lambda found: _ASCII.get(found[1], found[0]), inside, flags=re.DOTALL
            )
        case escaped:
            name = escaped[1:]
            negated = "^" if name.isupper() else ""
            members = _ASCII.get(name.lower())
            return f"[{negated}{members}]" if members else escaped
