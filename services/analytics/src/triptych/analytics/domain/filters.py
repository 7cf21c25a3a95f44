"""The filter language: conditions over columns, as they stand in an address or a metric's file.

    country in ('France', 'Spain') and (revenue >= 100 or not cancelled)

    filter    = both *( "or" both )
    both      = one *( "and" one )
    one       = "not" one / "(" filter ")" / test
    test      = name                                        ; a column of true and false
              / name ( "=" / "!=" / "<" / "<=" / ">" / ">=" ) value
              / name [ "not" ] "in" "(" value *( "," value ) ")"
              / name [ "not" ] "like" text                  ; % any text, _ any character
              / name "is" [ "not" ] "null"
    value     = text / number / "true" / "false"
    text      = "'" *( any / "''" ) "'"                     ; or in "

As in SQL, a comparison with null is neither true nor false, and what is not true is left out.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Final, TypeAlias

from triptych.analytics.domain.columns import Cell, Columns, ColumnType, WrongValue, type_of, typed
from triptych.core.errors import Kind, TriptychError

MAX_LENGTH: Final = 4096
MAX_TOKENS: Final = 1000
MAX_DEPTH: Final = 32


class WrongFilter(TriptychError):
    """The filter cannot be read."""

    kind = Kind.MALFORMED
    hint = "Write it like: country in ('France', 'Spain') and revenue >= 100 and not cancelled."


class Operator(StrEnum):
    """How a column is compared with a value."""

    EQ = "="
    NE = "!="
    LT = "<"
    LE = "<="
    GT = ">"
    GE = ">="


@dataclass(frozen=True, slots=True)
class Compare:
    """A column beside a value."""

    column: str
    operator: Operator
    value: Cell


@dataclass(frozen=True, slots=True)
class Among:
    """A column that has one of some values."""

    column: str
    values: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Like:
    """A column of text that looks like this."""

    column: str
    pattern: str


@dataclass(frozen=True, slots=True)
class IsNull:
    """A column without a value."""

    column: str


@dataclass(frozen=True, slots=True)
class Not:
    """The opposite."""

    of: "Filter"


@dataclass(frozen=True, slots=True)
class All:
    """Each of them."""

    of: "tuple[Filter, ...]"


@dataclass(frozen=True, slots=True)
class Some:
    """At least one of them."""

    of: "tuple[Filter, ...]"


Filter: TypeAlias = Compare | Among | Like | IsNull | Not | All | Some


def parse(text: str, columns: Columns) -> Filter:
    """The filter that a text says, over columns of these types.

    Raises:
        WrongFilter: it says none; with the place and what was expected there.
        UnknownColumn, WrongValue: it names a column that there is not, or a value of another type.
    """
    if len(text) > MAX_LENGTH:
        raise WrongFilter(f"it is longer than {MAX_LENGTH} characters")
    return _Parser(list(_tokens(text)), columns).read()


def columns_of(found: Filter) -> Iterator[str]:
    """The columns that a filter is over."""
    match found:
        case Not(of):
            yield from columns_of(of)
        case All(parts) | Some(parts):
            for part in parts:
                yield from columns_of(part)
        case _:
            yield found.column


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    place: int


_TOKEN: Final = re.compile(
    r"""\s*(?:
      (?P<text>'(?:[^']|'')*'|"(?:[^"]|"")*")
    | (?P<number>[-+]?(?:[0-9]+(?:[.][0-9]*)?|[.][0-9]+)(?:[eE][-+]?[0-9]{1,3})?)
    | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
    | (?P<sign><=|>=|!=|<>|[=<>(),])
    )""",
    re.VERBOSE,
)
_WORDS: Final = frozenset({"and", "or", "not", "in", "like", "is", "null", "true", "false"})
_END: Final = "the end"


def _tokens(text: str) -> Iterator[_Token]:
    place, end = 0, len(text.rstrip())
    for _ in range(MAX_TOKENS):
        if place >= end:
            yield _Token("end", _END, end)
            return
        match = _TOKEN.match(text, place)
        if match is None:
            skipped = len(text[place:]) - len(text[place:].lstrip())
            raise WrongFilter(f"at {place + skipped + 1}: {text[place + skipped]!r} says nothing")
        kind = str(match.lastgroup)
        found, begin = match[kind], match.start(kind)
        if kind == "name" and found.lower() in _WORDS:
            kind, found = "word", found.lower()
        yield _Token(kind, "!=" if found == "<>" else found, begin)
        place = match.end()
    raise WrongFilter(f"it has more than {MAX_TOKENS} words and signs")


class _Parser:
    def __init__(self, tokens: list[_Token], columns: Columns) -> None:
        self._tokens = tokens
        self._columns = columns
        self._at = 0
        self._depth = 0

    def read(self) -> Filter:
        found = self._filter()
        if self._next.kind != "end":
            raise self._expected("'and', 'or' or the end")
        return found

    @property
    def _next(self) -> _Token:
        return self._tokens[self._at]

    def _take(self, *texts: str) -> str | None:
        """The next word or sign, if it is one of these."""
        if self._next.kind in ("word", "sign") and self._next.text in texts:
            self._at += 1
            return self._tokens[self._at - 1].text
        return None

    def _need(self, text: str) -> None:
        if not self._take(text):
            raise self._expected(repr(text))

    def _expected(self, what: str) -> WrongFilter:
        found = self._next.text if self._next.kind == "end" else repr(self._next.text)
        return WrongFilter(f"at {self._next.place + 1}: {what} is expected, and there is {found}")

    def _filter(self) -> Filter:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise WrongFilter(f"it is nested more than {MAX_DEPTH} deep")
        parts = [self._both()]
        while self._take("or"):
            parts.append(self._both())
        self._depth -= 1
        return parts[0] if len(parts) == 1 else Some(tuple(parts))

    def _both(self) -> Filter:
        parts = [self._one()]
        while self._take("and"):
            parts.append(self._one())
        return parts[0] if len(parts) == 1 else All(tuple(parts))

    def _one(self) -> Filter:
        negated = False
        while self._take("not"):
            negated = not negated
        if self._take("("):
            found = self._filter()
            self._need(")")
        else:
            found = self._test()
        return Not(found) if negated else found

    def _test(self) -> Filter:
        if self._next.kind != "name":
            raise self._expected("a column's name")
        name = self._next.text
        kind = type_of(name, self._columns)
        self._at += 1
        if operator := self._take(*Operator):
            return Compare(name, Operator(operator), self._value(name, kind))
        if self._take("is"):
            negated = bool(self._take("not"))
            self._need("null")
            return Not(IsNull(name)) if negated else IsNull(name)
        negated = bool(self._take("not"))
        if self._take("in"):
            found: Filter = Among(name, tuple(self._values(name, kind)))
        elif self._take("like"):
            found = Like(name, self._pattern(name, kind))
        elif negated or kind is not ColumnType.BOOLEAN:
            raise self._expected("'in' or 'like'" if negated else "a comparison")
        else:
            found = Compare(name, Operator.EQ, value=True)
        return Not(found) if negated else found

    def _values(self, name: str, kind: ColumnType) -> Iterator[Cell]:
        self._need("(")
        yield self._value(name, kind)
        while self._take(","):
            yield self._value(name, kind)
        self._need(")")

    def _value(self, name: str, kind: ColumnType) -> Cell:
        token = self._next
        match token.kind, token.text:
            case "text", text:
                value: str | Decimal | bool = text[1:-1].replace(text[0] * 2, text[0])
            case "number", number:
                value = Decimal(number)
            case "word", ("true" | "false") as word:
                value = word == "true"
            case _:
                raise self._expected("a value: 'text', a number, true or false")
        if isinstance(value, str) and "\x00" in value:
            raise WrongValue(f"{name}: no text has a NUL character")
        self._at += 1
        return typed(value, kind, name)

    def _pattern(self, name: str, kind: ColumnType) -> str:
        if kind is not ColumnType.TEXT:
            raise WrongValue(f"{name} is of type {kind.value}, and 'like' is for text")
        return str(self._value(name, kind))
