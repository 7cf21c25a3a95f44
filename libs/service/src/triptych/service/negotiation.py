"""Which form of an answer a client wants.

>>> choose("text/html, application/*;q=0.5", ["text/csv", "application/json"])
'application/json'
>>> choose(None, ["text/csv", "application/json"])
'text/csv'
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from starlette.datastructures import Headers

from triptych.core.errors import Kind, TriptychError

MAX_ELEMENTS: Final = 64
"""How many wishes are read: nobody has more, and reading them takes time."""

# What stands between commas, or semicolons: a quoted text may hold either, and may lack its end.
_QUOTED: Final = r'"(?:[^"\\]|\\.?)*(?:"|$)'
_ELEMENT: Final = re.compile(rf'(?:[^,"]|{_QUOTED})+')
_PART: Final = re.compile(rf'(?:[^;"]|{_QUOTED})+')
_TYPE: Final = re.compile(r"([\w!#$&^.+-]+)/([\w!#$&^.+-]+|\*)|(\*)/(\*)", re.ASCII)
_WEIGHT: Final = re.compile(r"0(\.[0-9]{0,3})?|1(\.0{0,3})?")


class NotAcceptable(TriptychError):
    """The answer cannot be had in a form that is wanted."""

    kind = Kind.NOT_ACCEPTABLE


@dataclass(frozen=True)
class _Range:
    """What a client accepts, such as `text/*;q=0.5`, or what is offered, such as `text/csv`."""

    type: str
    subtype: str
    parameters: frozenset[tuple[str, str]]
    weight: float

    def matches(self, offer: "_Range") -> bool:
        return (
            self.type in ("*", offer.type)
            and self.subtype in ("*", offer.subtype)
            and self.parameters <= offer.parameters
        )

    @property
    def specificity(self) -> tuple[bool, bool, int]:
        return self.type != "*", self.subtype != "*", len(self.parameters)


def choose(accept: str | None, offered: Sequence[str]) -> str:
    """The media type among `offered` that the client's `Accept` likes best (RFC 9110, 12.5.1).

    Of those that it likes as much, the first; without wishes that can be read, the first of all.

    Raises:
        NotAcceptable: it wants none of them.
    """
    ranges = [r for e in _elements(accept or "") if (r := _range(e))]
    if not ranges:
        return offered[0]
    best = max(offered, key=lambda offer: _weight(offer, ranges))
    if not _weight(best, ranges):
        raise NotAcceptable(repr(accept), hint=f"Accept one of: {', '.join(offered)}.")
    return best


def prefers_minimal(headers: Headers) -> bool:
    """Whether the client can do without a body in the answer: `Prefer: return=minimal` (RFC 7240).

    Of contradicting preferences the first counts.
    """
    for element in _elements(",".join(headers.getlist("prefer"))):
        name, value = _pair(_PART.findall(element)[0])
        if name == "return":
            return value == "minimal"
    return False


def _weight(offer: str, ranges: Sequence[_Range]) -> float:
    """How much an offer is liked: what the most specific range says that matches it."""
    offered = _range(offer)
    matching = [r for r in ranges if offered and r.matches(offered)]
    return max(((r.specificity, r.weight) for r in matching), default=((), 0.0))[1]


def _range(text: str) -> _Range | None:
    first, *rest = _PART.findall(text)
    found = _TYPE.fullmatch(first.strip().lower())
    parameters = dict(_pair(part) for part in rest)
    weight = parameters.pop("q", "1")
    if not found or not _WEIGHT.fullmatch(weight):
        return None
    kind, subtype = found[1] or "*", found[2] or "*"
    return _Range(kind, subtype, frozenset(parameters.items()), float(weight))


def _elements(field: str) -> Iterator[str]:
    found = (match[0].strip(" \t;") for match in _ELEMENT.finditer(field))
    return islice(filter(None, found), MAX_ELEMENTS)


def _pair(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return name.strip().lower(), re.sub(r"\\(.)", r"\1", value.strip().lower().strip('"'))
