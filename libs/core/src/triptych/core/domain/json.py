"""JSON as Python sees it, and what is wrong with a piece of it."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias, Union

import orjson

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


_LONG_NUMBER: Final = re.compile(rb"[0-9]{19}")


def loads(raw: bytes) -> object:
    """The value that a JSON text (RFC 8259) holds.

    Whole numbers are exact, however long; other numbers are binary64, as RFC 8259 (6) expects.

    Raises:
        ValueError: it is no JSON, is not UTF-8, or is nested deeper than any parser follows.
    """
    if not _LONG_NUMBER.search(raw):
        return orjson.loads(raw)
    # orjson would round a whole number of more than 64 bits without a word. It is the judge of
    # what is JSON still: the standard library's parser also takes NaN, lone surrogates and others.
    try:
        orjson.loads(raw)
        return json.loads(raw)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def depth_exceeds(limit: int, value: object, raw: bytes) -> bool:
    """Whether arrays and objects are nested deeper than `limit` in the value of `raw`."""
    if raw.count(b"{") + raw.count(b"[") <= limit:  # so nothing can be
        return False
    level = [value]
    for _ in range(limit):
        level = [
            inner
            for outer in level
            if isinstance(outer, (dict, list))
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
    return any(isinstance(inner, (dict, list)) for inner in level)
