"""What changed from one version of a contract to the next, and whom it breaks.

Each keyword of JSON Schema (2020-12) that asserts something is compared alone: a schema whose every
assertion is as weak as the other's, or weaker, allows all that the other allows. So nothing that
breaks is missed; what only several keywords together make harmless is told as breaking. What
cannot be compared (`oneOf`, `not`, `if`, …) is said to break both directions when it changed.
"""

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum, auto
from fractions import Fraction
from typing import Final, TypeAlias

from triptych.core.domain.contract import Contract
from triptych.core.domain.json import Json, pointer

Schema: TypeAlias = Mapping[str, Json]


class Direction(StrEnum):
    """Who has to get along with whom."""

    BACKWARD = auto()
    """What is valid by the old version is valid by the new: new consumers read old events."""
    FORWARD = auto()
    """What is valid by the new version is valid by the old: old consumers read new events."""


@dataclass(frozen=True, slots=True)
class Change:
    """Something that a version asserts otherwise than the one before it."""

    pointer: str
    """Where in the schema."""
    message: str
    breaks: frozenset[Direction]


_NARROWER: Final = frozenset({Direction.BACKWARD})
_WIDER: Final = frozenset({Direction.FORWARD})
_EITHER: Final = _NARROWER | _WIDER


def compare(old: Contract, new: Contract) -> tuple[Change, ...]:
    """Everything that `new` asserts otherwise than `old`, in the order of its places."""
    one = _Side(old.schema, old.schema, old.parts)
    other = _Side(new.schema, new.schema, new.parts)
    return tuple(sorted(_Comparison(set()).of(one, other, ()), key=lambda change: change.pointer))


@dataclass(frozen=True, slots=True)
class _Side:
    """A schema somewhere in a document, and what it can refer to."""

    schema: Json
    root: Schema
    parts: Mapping[str, Schema]

    def at(self, schema: Json) -> "_Side":
        """Another schema of the same document."""
        return replace(self, schema=schema)

    def keywords(self) -> Schema:
        """What it asserts. `true` asserts nothing, and `false` that there is nothing."""
        if isinstance(self.schema, Mapping):
            return {k: v for k, v in self.schema.items() if k in _ASSERTIONS}
        return {} if self.schema else {"not": {}}

    def resolved(self) -> "_Side | None":
        """What it refers to when that is all it does; itself without a reference."""
        seen: set[str] = set()
        side = self
        while "$ref" in (keywords := side.keywords()):
            reference = keywords["$ref"]
            if len(keywords) > 1 or not isinstance(reference, str) or reference in seen:
                return None
            seen.add(reference)
            target = side._target(reference)
            if target is None:
                return None
            side = target
        return side

    def _target(self, reference: str) -> "_Side | None":
        uri, _, fragment = reference.partition("#")
        root = self.root if not uri or uri == self.root.get("$id") else self.parts.get(uri)
        if root is None or (fragment and not fragment.startswith("/")):
            return None
        schema: Json = root
        for step in fragment.split("/")[1:]:
            name = step.replace("~1", "/").replace("~0", "~")
            if not isinstance(schema, Mapping) or name not in schema:
                return None
            schema = schema[name]
        return _Side(schema, root, self.parts)


Steps: TypeAlias = tuple[str | int, ...]
_Compare: TypeAlias = Callable[["_Comparison", _Side, _Side, Steps], Iterator[Change]]


@dataclass(frozen=True, slots=True)
class _Comparison:
    """Compares, and remembers which schemas it is comparing already: they may hold themselves."""

    seen: set[tuple[int, int]]

    def of(self, one: _Side, other: _Side, steps: Steps) -> Iterator[Change]:
        """What the other side asserts otherwise."""
        old, new = one.resolved(), other.resolved()
        if old is None or new is None:
            if one.keywords() != other.keywords():
                yield _undecided(steps, "$ref")
            return
        if old.schema is False or new.schema is False:  # there is nothing to compare it with
            lost, won = old.schema is not False, new.schema is not False
            before, after = ("something" if any_ else "nothing" for any_ in (lost, won))
            yield from _sets(steps, before, after, lost and not won, won and not lost)
            return
        if (id(old.schema), id(new.schema)) in self.seen:
            return
        self.seen.add((id(old.schema), id(new.schema)))
        for keyword in sorted(old.keywords().keys() | new.keywords().keys()):
            yield from _KEYWORDS[keyword](self, old, new, (*steps, keyword))
        yield from self._properties(old, new, steps)

    def _properties(self, old: _Side, new: _Side, steps: Steps) -> Iterator[Change]:
        before, after = old.keywords(), new.keywords()
        if _open(before) and _open(after):
            return
        patterns = _members(before, "patternProperties")
        if patterns != _members(after, "patternProperties"):
            yield _undecided(steps, "patternProperties")
            return
        rest = old.at(before.get("additionalProperties", True))
        new_rest = new.at(after.get("additionalProperties", True))
        known, new_known = _members(before, "properties"), _members(after, "properties")
        for name in sorted(known.keys() | new_known.keys()):
            # A name that is not listed falls under the patterns that it matches, else to the rest.
            matched = any(re.search(pattern, name) for pattern in patterns)
            one = old.at(_ANYTHING) if matched else rest
            other = new.at(_ANYTHING) if matched else new_rest
            yield from self.of(
                old.at(known[name]) if name in known else one,
                new.at(new_known[name]) if name in new_known else other,
                (*steps, "properties", name),
            )
        yield from self.of(rest, new_rest, (*steps, "additionalProperties"))


_ANYTHING: Final[Schema] = {}  # one object: schemas are told apart by identity


def _open(keywords: Schema) -> bool:
    return not keywords.keys() & {"properties", "patternProperties", "additionalProperties"}


def _members(keywords: Schema, name: str) -> Schema:
    members = keywords.get(name, {})
    return members if isinstance(members, Mapping) else {}


def _undecided(steps: Steps, keyword: str) -> Change:
    return Change(pointer(*steps, keyword), "it changed, and cannot be compared", _EITHER)


def _change(steps: Steps, old: object, new: object, breaks: frozenset[Direction]) -> Change:
    effects = {
        _NARROWER: "refuses what was allowed",
        _WIDER: "allows what was refused",
        _EITHER: "refuses what was allowed, and allows what was refused",
    }
    return Change(pointer(*steps), f"{_told(old)} -> {_told(new)}: {effects[breaks]}", breaks)


def _told(value: object) -> str:
    return "nothing" if value is None else str(value)


def _sets(steps: Steps, old: object, new: object, lost: object, won: object) -> Iterator[Change]:
    """The change between two sets, of which some members were lost and others won."""
    breaks = (_NARROWER if lost else frozenset()) | (_WIDER if won else frozenset())
    if breaks:
        yield _change(steps, old, new, breaks)


def _values(one: _Side, other: _Side, steps: Steps) -> tuple[Json, Json]:
    name = steps[-1]
    assert isinstance(name, str)  # noqa: S101  # the keyword's name
    return one.keywords().get(name), other.keywords().get(name)


def _types(_: _Comparison, one: _Side, other: _Side, steps: Steps) -> Iterator[Change]:
    old, new = _values(one, other, steps)
    before, after = _type_set(old), _type_set(new)
    yield from _sets(steps, old, new, before - after, after - before)


_ALL_TYPES: Final = frozenset({"null", "boolean", "object", "array", "number", "integer", "string"})


def _type_set(value: Json) -> frozenset[str]:
    if value is None:
        return _ALL_TYPES
    names = [value] if isinstance(value, str) else value
    assert isinstance(names, Sequence)  # noqa: S101  # it is a schema
    types = frozenset(str(name) for name in names)
    return types | {"integer"} if "number" in types else types


def _chosen(_: _Comparison, one: _Side, other: _Side, steps: Steps) -> Iterator[Change]:
    """`enum` and `const`: which values there are."""
    old, new = _values(one, other, steps)
    before = [old] if steps[-1] == "const" and "const" in one.keywords() else old
    after = [new] if steps[-1] == "const" and "const" in other.keywords() else new
    if not isinstance(before, list) or not isinstance(after, list):
        yield from _sets(steps, old, new, after is not None, before is not None)
        return
    kept, made = [_exact(v) for v in before], [_exact(v) for v in after]
    lost, won = [v for v in kept if v not in made], [v for v in made if v not in kept]
    yield from _sets(steps, old, new, lost, won)


def _exact(value: Json) -> tuple[str, Json]:
    """A value that `==` tells apart as JSON does: true is not 1."""
    return ("boolean" if isinstance(value, bool) else "other", value)


def _names(_: _Comparison, one: _Side, other: _Side, steps: Steps) -> Iterator[Change]:
    """`required`: which names there have to be."""
    old, new = _values(one, other, steps)
    before = {str(name) for name in (old or ())} if isinstance(old, list | None) else set()
    after = {str(name) for name in (new or ())} if isinstance(new, list | None) else set()
    for name in sorted(after - before):
        yield _change(steps, None, repr(name), _NARROWER)
    for name in sorted(before - after):
        yield _change(steps, repr(name), None, _WIDER)


def _bound(sign: int) -> _Compare:
    """A keyword whose number bounds something: from above with sign 1, from below with -1."""

    def compare_bounds(_: _Comparison, one: _Side, other: _Side, steps: Steps) -> Iterator[Change]:
        old, new = _values(one, other, steps)
        before = math.inf if old is None else sign * Fraction(str(old))
        after = math.inf if new is None else sign * Fraction(str(new))
        yield from _sets(steps, old, new, after < before, after > before)

    return compare_bounds


def _multiples(_: _Comparison, one: _Side, other: _Side, steps: Steps) -> Iterator[Change]:
    old, new = _values(one, other, steps)
    if old is None or new is None:
        yield from _sets(steps, old, new, new is not None, old is not None)
        return
    ratio = Fraction(str(new)) / Fraction(str(old))
    wider, narrower = (1 / ratio).denominator == 1, ratio.denominator == 1
    yield from _sets(steps, old, new, not wider, not narrower)


def _texts(_: _Comparison, one: _Side, other: _Side, steps: Steps) -> Iterator[Change]:
    """A keyword that asserts something, which only differs or not."""
    old, new = _values(one, other, steps)
    if old != new:
        yield from _sets(steps, old, new, new is not None, old is not None)


def _unique(_: _Comparison, one: _Side, other: _Side, steps: Steps) -> Iterator[Change]:
    old, new = _values(one, other, steps)
    yield from _sets(steps, old, new, new and not old, old and not new)


def _all_of(_: _Comparison, one: _Side, other: _Side, steps: Steps) -> Iterator[Change]:
    lost, won = _only(one, other, steps)
    yield from _sets(steps, lost or None, won or None, won, lost)


def _any_of(_: _Comparison, one: _Side, other: _Side, steps: Steps) -> Iterator[Change]:
    lost, won = _only(one, other, steps)
    old, new = _values(one, other, steps)
    yield from _sets(steps, lost or None, won or None, lost or old is None, won or new is None)


def _only(one: _Side, other: _Side, steps: Steps) -> tuple[list[Json], list[Json]]:
    """The schemas of a list that only the old side has, and those that only the new one has."""
    old, new = _values(one, other, steps)
    before = old if isinstance(old, list) else []
    after = new if isinstance(new, list) else []
    same = one.root == other.root and one.parts == other.parts
    if not same and any("$ref" in str(schema) for schema in (*before, *after)):
        return before, after  # alike to look at, and perhaps not what they refer to
    return [s for s in before if s not in after], [s for s in after if s not in before]


def _items(comparison: _Comparison, one: _Side, other: _Side, steps: Steps) -> Iterator[Change]:
    before, after = one.keywords(), other.keywords()
    first, second = before.get("prefixItems", []), after.get("prefixItems", [])
    assert isinstance(first, list)  # noqa: S101  # it is a schema
    assert isinstance(second, list)  # noqa: S101
    if len(first) != len(second):
        yield _undecided(steps[:-1], "prefixItems")
        return
    if steps[-1] == "items":
        old, new = before.get("items", True), after.get("items", True)
        yield from comparison.of(one.at(old), other.at(new), steps)
        return
    for n, (old, new) in enumerate(zip(first, second, strict=True)):
        yield from comparison.of(one.at(old), other.at(new), (*steps, n))


def _opaque(_: _Comparison, one: _Side, other: _Side, steps: Steps) -> Iterator[Change]:
    old, new = _values(one, other, steps)
    refers = "$ref" in str(old) and (one.root != other.root or one.parts != other.parts)
    if old != new or refers:
        yield Change(pointer(*steps), "it changed, and cannot be compared", _EITHER)


def _elsewhere(*_: object) -> Iterator[Change]:
    """Compared together with its neighbours."""
    return iter(())


_AT_MOST: Final = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
_AT_LEAST: Final = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_KEYWORDS: Final[Mapping[str, _Compare]] = {
    "type": _types,
    "enum": _chosen,
    "const": _chosen,
    "required": _names,
    **dict.fromkeys(_AT_MOST, _bound(1)),
    **dict.fromkeys(_AT_LEAST, _bound(-1)),
    "multipleOf": _multiples,
    **dict.fromkeys(("pattern", "format", "contentEncoding", "contentMediaType"), _texts),
    "uniqueItems": _unique,
    "allOf": _all_of,
    "anyOf": _any_of,
    **dict.fromkeys(("items", "prefixItems"), _items),
    **dict.fromkeys(("properties", "patternProperties", "additionalProperties"), _elsewhere),
    **dict.fromkeys(
        (
            "$dynamicRef",
            "contains",
            "dependentRequired",
            "dependentSchemas",
            "else",
            "if",
            "maxContains",
            "minContains",
            "not",
            "oneOf",
            "propertyNames",
            "then",
            "unevaluatedItems",
            "unevaluatedProperties",
        ),
        _opaque,
    ),
    "$ref": _elsewhere,
}
_ASSERTIONS: Final = frozenset(_KEYWORDS)
