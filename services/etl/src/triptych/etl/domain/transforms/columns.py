"""Transforms of columns: a row comes out for each that goes in."""

from collections.abc import Iterator
from enum import StrEnum, auto
from typing import ClassVar, Final

from pydantic import Field, SecretStr, field_validator
from sqlglot import exp

from triptych.core.documents import Part
from triptych.etl.domain.expressions import Sql
from triptych.etl.domain.members import MemberColumns, Members
from triptych.etl.domain.plugins import Effect, Rule
from triptych.etl.domain.relation import Inputs, Relation, column, named, text
from triptych.etl.domain.secrets import Secret, hidden
from triptych.etl.domain.types import (
    ColumnName,
    TypeName,
    data_type,
    read_as,
    readable_as,
)


class Select(Part):
    """Keep some columns, in this order."""

    effect: ClassVar = Effect.KEEPS

    columns: tuple[str, ...] = Field(min_length=1, examples=[["invoice", "country"]])

    def apply(self, relation: Relation, inputs: Inputs) -> exp.Select:
        """See `Transform.apply`."""
        relation.check_has(self.columns)
        return relation.select(column(name) for name in self.columns)


class Rename(Part):
    """Give columns other names; they keep their places."""

    effect: ClassVar = Effect.KEEPS

    columns: dict[str, ColumnName] = Field(
        min_length=1,
        description="The names as they are, and as they are to be.",
        examples=[{"qty": "quantity"}],
    )

    def apply(self, relation: Relation, inputs: Inputs) -> exp.Select:
        """See `Transform.apply`."""
        relation.check_has(self.columns)
        return relation.select(
            named(column(name), self.columns.get(name, name)) for name in relation.columns
        )


class Derive(Part):
    """Add columns that are computed from others."""

    effect: ClassVar = Effect.KEEPS

    columns: dict[ColumnName, Sql] = Field(
        min_length=1,
        description="The new columns: name and expression.",
        examples=[{"revenue": "quantity * unit_price"}],
    )

    def apply(self, relation: Relation, inputs: Inputs) -> exp.Select:
        """See `Transform.apply`."""
        there = [column(name) for name in relation.columns]
        new = [named(sql.copy(), name) for name, sql in self.columns.items()]
        return relation.select([*there, *new])


class OnError(StrEnum):
    """What becomes of a row whose value is of another type."""

    QUARANTINE = auto()
    FAIL = auto()


class Cast(Part):
    """Give columns other types. Nothing is rounded or cut: what does not fit is an error."""

    effect: ClassVar = Effect.KEEPS

    columns: dict[str, TypeName] = Field(min_length=1, examples=[{"quantity": "integer"}])
    on_error: OnError = Field(
        default=OnError.QUARANTINE,
        description="`quarantine` sets the row aside, `fail` ends the run.",
    )

    def rules(self, relation: Relation, inputs: Inputs) -> Iterator[Rule]:
        """See `RowCheck.rules`."""
        relation.check_has(self.columns)
        if self.on_error is OnError.QUARANTINE:
            for name, kind in self.columns.items():
                yield Rule(_fault(name, kind), readable_as(_as_text(name), kind))

    def apply(self, relation: Relation, inputs: Inputs) -> exp.Select:
        """See `Transform.apply`."""
        relation.check_has(self.columns)
        return relation.select(self._column(name) for name in relation.columns)

    def _column(self, name: str) -> exp.Expr:
        kind = self.columns.get(name)
        if kind is None:
            return column(name)
        value = read_as(_as_text(name), kind)
        if self.on_error is OnError.FAIL:
            failing = exp.Anonymous(this="error", expressions=[text(_fault(name, kind))])
            value = exp.case().when(readable_as(_as_text(name), kind), value).else_(failing)
        return named(value, name)


def _fault(name: str, kind: str) -> str:
    return f"{name} is no {kind}"


def _as_text(name: str) -> exp.Expr:
    return exp.Cast(this=column(name), to=data_type("text"))


class Flatten(Part):
    """Add columns that are read from a column of JSON objects."""

    effect: ClassVar = Effect.KEEPS

    column: str = Field(
        description="The column that holds the objects, as text.", examples=["customer"]
    )
    columns: Members = Field(
        min_length=1,
        description="The new columns: name and type.",
        examples=[{"city": {"type": "text", "at": "/address/city"}}],
    )

    def rules(self, relation: Relation, inputs: Inputs) -> Iterator[Rule]:
        """See `RowCheck.rules`."""
        yield from MemberColumns(self.columns, self.column).rules()

    def apply(self, relation: Relation, inputs: Inputs) -> exp.Select:
        """See `Transform.apply`."""
        relation.check_has([self.column])
        reading = MemberColumns(self.columns, self.column)
        there = [column(name) for name in relation.columns]
        parsed = relation.select([*there, reading.parsed()]).subquery("parsed")
        new = [*there, *reading.columns()]
        return relation.select((part.copy() for part in new), of=parsed)


class How(StrEnum):
    """How a value is masked."""

    HASH = auto()
    """Equal values become equal text that tells nothing of them without the key."""
    REDACT = auto()
    """Every value becomes the same text."""


_SHORTEST_KEY: Final = 16  # characters


class Mask(Part):
    """Hide what columns say: nobody who reads the table learns it."""

    effect: ClassVar = Effect.KEEPS

    columns: dict[str, How] = Field(min_length=1, examples=[{"email": "hash", "name": "redact"}])
    key: Secret | None = Field(
        default=None,
        description="The key of `hash`: the same key makes the same text of the same value.",
        examples=["${MASKING_KEY}"],
    )

    @field_validator("key")
    @classmethod
    def _long_enough(cls, key: SecretStr | None) -> SecretStr | None:
        if key is not None and len(key) < _SHORTEST_KEY:
            raise ValueError(f"a key has at least {_SHORTEST_KEY} characters")
        return key

    def apply(self, relation: Relation, inputs: Inputs) -> exp.Select:
        """See `Transform.apply`."""
        relation.check_has(self.columns)
        return relation.select(self._column(name) for name in relation.columns)

    def _column(self, name: str) -> exp.Expr:
        match self.columns.get(name):
            case None:
                return column(name)
            case How.REDACT:
                value: exp.Expr = exp.Literal.string("***")
            case How.HASH:
                value = self._hash(_as_text(name))
        present = column(name).is_(exp.null()).not_()
        return named(exp.case().when(present, value), name)

    def _hash(self, value: exp.Expr) -> exp.Expr:
        """Nested, as HMAC is (RFC 2104): of the one hash nobody could make another one."""
        if self.key is None:
            raise ValueError("'hash' needs a 'key'")
        key = hidden(self.key.get_secret_value())
        inner = exp.SHA2(this=exp.DPipe(this=key.copy(), expression=value), length=_256.copy())
        return exp.SHA2(this=exp.DPipe(this=key, expression=inner), length=_256.copy())


_256 = exp.Literal.number(256)
