"""stub until merge"""

from collections.abc import Mapping, Sequence


def choose(accept: str | None, offered: Sequence[str]) -> str:
    return offered[0]


def prefers_minimal(headers: Mapping[str, str]) -> bool:
    return "return=minimal" in headers.get("prefer", "")
