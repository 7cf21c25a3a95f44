"""Columns that are read from JSON objects."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Final, TypeAlias

from pydantic import BeforeValidator, Field
from sqlglot import exp

from triptych.core.documents import Part
from triptych.etl.domain.plugins import Rule
from triptych.etl.domain.relation import column, named
from triptych.etl.domain.types import ColumnName, TypeName, read_as, readable_as

_PARSED: Final = "_parsed"


class Member(Part):
    """A column that is read from a JSON object."""

    type: TypeName
    at: str | None = Field(
        default=None,
        pattern=r"^(/[A-Za-z_-][A-Za-z0-9 _-]*)+$",
        description="Where in the object, as a JSON pointer; the column's name if it is left out.",
        examples=["/customer/id"],
    )


def _as_member(value: object) -> object:
    return {"type": value} if isinstance(value, str) else value


Members: TypeAlias = dict[
    ColumnName,
    Annotated[Member, BeforeValidator(_as_member, json_schema_input_type=TypeName | Member)],
]
"""Columns that are read from a JSON object: name and type."""

_Tree: TypeAlias = dict[str, "_Tree"]


@dataclass(frozen=True, slots=True)
class MemberColumns:
    """Reads members from a column of JSON objects, each of which is parsed once."""

    members: Members
    document: str
    """The column that holds the objects, as text; what is no JSON is an object without members."""

    def parsed(self) -> exp.Expr:
        """The column in which the objects are parsed: what the others are computed from."""
        structure = text_of(self._tree())
        parse = exp.Anonymous(this="from_json", expressions=[column(self.document), structure])
        valid = exp.Anonymous(this="json_valid", expressions=[column(self.document)])
        return named(exp.case().when(valid, parse), _PARSED)

    def columns(self) -> Iterator[exp.Expr]:
        """Each member as a column; null where it is absent, or of another type."""
        for name, member in self.members.items():
            yield named(read_as(self._text(name), member.type), name)

    def rules(self) -> Iterator[Rule]:
        """What the members have to keep in order to be readable."""
        for name, member in self.members.items():
            if member.type != "text":
                rule = readable_as(self._text(name), member.type)
                yield Rule(f"{name} is no {member.type}", rule)

    def _text(self, name: str) -> exp.Expr:
        """The text of a member; null when it is absent or null."""
        path = self._path(name)
        if self._shadowed(path):
            keys = [exp.JSONPathRoot(), *(exp.JSONPathKey(this=step) for step in path)]
            valid = exp.Anonymous(this="json_valid", expressions=[column(self.document)])
            found = exp.JSONExtractScalar(
                this=column(self.document), expression=exp.JSONPath(expressions=keys)
            )
            return exp.Paren(this=exp.case().when(valid, exp.Paren(this=found)))
        text: exp.Expr = column(_PARSED)
        for step in path:
            text = exp.Dot(this=text, expression=exp.to_identifier(step, quoted=True))
        return text

    def _path(self, name: str) -> list[str]:
        return (self.members[name].at or f"/{name}").split("/")[1:]

    def _tree(self) -> _Tree:
        tree: _Tree = {}
        for name in self.members:
            if self._shadowed(path := self._path(name)):
                continue
            place = tree
            for step in path:
                place = place.setdefault(step, {})
        return tree

    def _shadowed(self, path: list[str]) -> bool:
        """Whether it cannot be told from others in one structure: then it is found by itself."""
        others = list(map(self._path, self.members))
        holds_others = any(
            len(path) < len(other) and path == other[: len(path)] for other in others
        )
        return holds_others or any(_differ_in_case(path, other) for other in others)


def is_object(document: str) -> exp.Expr:
    """Whether the text in a column is a JSON object."""
    return _is_json(document, "{")


def is_array(document: str) -> exp.Expr:
    """Whether the text in a column is a JSON array."""
    return _is_json(document, "[")


def _is_json(document: str, beginning: str) -> exp.Expr:
    valid = exp.Anonymous(this="json_valid", expressions=[column(document)])
    text = exp.Trim(this=column(document), position="LEADING")
    return exp.and_(valid, exp.StartsWith(this=text, expression=exp.Literal.string(beginning)))


def _differ_in_case(one: list[str], other: list[str]) -> bool:
    """Whether they part at names that an engine takes for the same."""
    parting = next((pair for pair in zip(one, other, strict=False) if pair[0] != pair[1]), None)
    return parting is not None and parting[0].lower() == parting[1].lower()


def text_of(tree: _Tree) -> exp.Literal:
    """The structure of objects, as `from_json` wants it: every leaf is text."""

    def leaves(branch: Mapping[str, _Tree]) -> dict[str, object]:
        return {name: leaves(inner) if inner else "VARCHAR" for name, inner in branch.items()}

    return exp.Literal.string(json.dumps(leaves(tree)))
