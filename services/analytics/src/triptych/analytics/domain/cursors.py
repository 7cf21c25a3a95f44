"""Pages of answers: each begins where a signed cursor says, in the versions that it is pinned to."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Final

from triptych.analytics.domain.columns import Cell
from triptych.core.domain.page import Cursor, Key
from triptych.core.domain.result import Err
from triptych.core.errors import Kind, TriptychError


class WrongCursor(TriptychError):
    """The cursor leads nowhere."""

    kind = Kind.MALFORMED
    hint = "Take it from an answer to the same query, as it is; or begin again without one."


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page begins."""

    key: tuple[Cell, ...]
    """The values of the row before it, in the columns of the order."""
    backwards: bool
    """Whether the page ends there instead."""
    versions: Mapping[str, int]
    """The versions of the tables that all pages are of."""


@dataclass(frozen=True, slots=True)
class Cursors:
    """Writes and reads cursors."""

    secret: bytes
    lifetime: timedelta

    def write(self, place: Place, scope: str, now: datetime) -> str:
        """A place as text that nobody can change, for the query of that scope."""
        head: list[Key] = [int(now.timestamp()), place.backwards, len(place.versions)]
        for name, version in sorted(place.versions.items()):
            head += [name, version]
        key = tuple(_plain(value) for value in place.key)
        return Cursor((*head, *key), scope).encode(self.secret)

    def read(self, text: str, scope: str, now: datetime) -> Place:
        """The place that was written for the query of that scope.

        Raises:
            WrongCursor: it was altered, is for another query, or too old.
        """
        match Cursor.decode(text, self.secret, scope=scope):
            case Err(reason):
                raise WrongCursor(reason)
            case found:
                issued, backwards, count, *rest = found.value.after
        if now.timestamp() - float(str(issued)) > self.lifetime.total_seconds():
            raise WrongCursor(f"the cursor is older than {self.lifetime}")
        pinned, key = rest[: 2 * int(str(count))], rest[2 * int(str(count)) :]
        versions = {str(n): int(str(v)) for n, v in zip(pinned[::2], pinned[1::2], strict=True)}
        values = tuple(map(_cell, key))
        return Place(values, bool(backwards), versions)


def _plain(value: Cell) -> Key:
    """A value as JSON holds it: text begins with a letter that says what it stands for."""
    match value:
        case datetime():
            return f"t{value.isoformat()}"
        case date():
            return f"d{value.isoformat()}"
        case Decimal():
            return f"n{value}"
        case float() if not math.isfinite(value):
            return f"f{value}"
        case str():
            return f"s{value}"
        case _:
            return value


_READ: Final[Mapping[str, Callable[[str], Cell]]] = {
    "t": datetime.fromisoformat,
    "d": date.fromisoformat,
    "n": Decimal,
    "f": float,
    "s": str,
}


def _cell(key: Key) -> Cell:
    return _READ[key[0]](key[1:]) if isinstance(key, str) else key
