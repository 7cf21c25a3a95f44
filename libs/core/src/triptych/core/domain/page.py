"""Keyset pagination: a page, and the signed cursor that leads to the next one."""

import base64
import binascii
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

import orjson

from triptych.core.domain.result import Err, Ok, Result

T = TypeVar("T")
U = TypeVar("U")

Key: TypeAlias = str | int | float | bool | None
"""One value of a keyset: whatever JSON can hold in one cell."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """The place between two rows, named by the sort key of the row before it.

    Written out it is opaque and signed: a client can neither read meaning into it nor
    forge one that makes a service seek where it should not.
    """

    after: tuple[Key, ...]
    """The sort key of the last row that was seen, in the order of the sort."""
    scope: str = ""
    """What the cursor is for (the query and, say, a table's version): it opens nothing else."""

    def encode(self, secret: bytes) -> str:
        """The cursor as URL-safe text, signed with HMAC-SHA256 (RFC 2104)."""
        body = orjson.dumps([self.scope, list(self.after)])
        return base64.urlsafe_b64encode(_signature(body, secret) + body).rstrip(b"=").decode()

    @classmethod
    def decode(cls, text: str, secret: bytes, *, scope: str = "") -> "Result[Cursor, str]":
        """The cursor that `encode` wrote for `scope`, or why this text is none."""
        try:
            raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            return Err("the cursor is not one that this service wrote")
        signature, body = raw[:_SIGNATURE_BYTES], raw[_SIGNATURE_BYTES:]
        if not hmac.compare_digest(signature, _signature(body, secret)):
            return Err("the cursor was altered, or signed with another key")
        written_for, after = orjson.loads(body)
        if written_for != scope:
            return Err("the cursor belongs to another query")
        return Ok(cls(tuple(after), scope))


@dataclass(frozen=True)
class Page(Generic[T]):
    """Some items of a longer list, and where the next ones begin."""

    items: tuple[T, ...]
    next: Cursor | None = None
    """Absent on the last page."""

    @classmethod
    def of(
        cls, found: list[T], limit: int, key: Callable[[T], tuple[Key, ...]], scope: str = ""
    ) -> "Page[T]":
        """The page of at most `limit` items of what a query for `limit + 1` found."""
        items = tuple(found[:limit])
        more = len(found) > limit and items
        return cls(items, Cursor(key(items[-1]), scope) if more else None)

    def map(self, change: Callable[[T], U]) -> "Page[U]":
        """The same page with every item changed."""
        return Page(tuple(change(item) for item in self.items), self.next)


_SIGNATURE_BYTES = 32


def _signature(body: bytes, secret: bytes) -> bytes:
    return hmac.digest(secret, body, "sha256")
