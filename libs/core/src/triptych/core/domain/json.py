"""JSON as Python sees it, and what is wrong with a piece of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias, Union

Json: TypeAlias = Union[bool, int, float, str, Sequence["Json"], Mapping[str, "Json"], None]
"""A JSON value (RFC 8259)."""


@dataclass(frozen=True, slots=True)
class Violation:
    """One rule that a value breaks."""

    pointer: str
    """Where: a JSON pointer (RFC 6901); empty for the value as a whole."""
    keyword: str
    """Which rule: a JSON Schema keyword, or the name of a CloudEvents rule."""
    message: str
    """What is wrong, for a person."""

    def __str__(self) -> str:
        return f"{self.pointer}: {self.message}" if self.pointer else self.message


def pointer(*steps: str | int) -> str:
    """The JSON pointer (RFC 6901) that these steps make.

    >>> pointer("data", "a/b", 0)
    '/data/a~1b/0'
    """
    return "".join(f"/{str(step).replace('~', '~0').replace('/', '~1')}" for step in steps)
