"""Keep answers, and let equal questions at the same time be answered once.

An answer's key names the versions of its tables, so it is true for ever: nothing has to be
invalidated, and nothing stale can be served.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeAlias

Headers: TypeAlias = tuple[tuple[str, str], ...]
_LARGEST_SHARE: Final = 8
_OVERHEAD: Final = 512  # bytes that an entry takes beside its body, about


@dataclass(frozen=True, slots=True)
class Representation:
    """An answer in the bytes that are sent, and what its headers say of them."""

    body: bytes
    headers: Headers

    @property
    def size(self) -> int:
        """About how many bytes it takes to keep it."""
        return len(self.body) + sum(len(n) + len(v) for n, v in self.headers) + _OVERHEAD


class Cache(Protocol):
    """Keeps representations by their keys. Whatever fails in it, is a miss."""

    async def get(self, key: str) -> Representation | None:
        """What was kept under a key."""
        ...

    async def put(self, key: str, value: Representation) -> None:
        """Keep it, if there is room."""
        ...


@dataclass
class MemoryCache:
    """Keeps what is used, up to so many bytes. For one event loop.

    What is asked for a second time moves to a part of its own (segmented LRU): whoever walks
    through everything once pushes out nothing that others come back to. What is larger than an
    eighth of the room is not kept.
    """

    room: int
    size: int = 0
    _once: "OrderedDict[str, Representation]" = field(default_factory=OrderedDict)
    _often: "OrderedDict[str, Representation]" = field(default_factory=OrderedDict)
    _often_size: int = 0

    async def get(self, key: str) -> Representation | None:
        """See `Cache.get`."""
        return self.look(key)

    async def put(self, key: str, value: Representation) -> None:
        """See `Cache.put`."""
        self.keep(key, value)

    def look(self, key: str) -> Representation | None:
        """The same as `get`, for who cannot wait."""
        if (found := self._often.get(key)) is not None:
            self._often.move_to_end(key)
        elif (found := self._once.pop(key, None)) is not None:
            self._often[key] = found
            self._often_size += found.size
            while self._often_size > self.room * 4 // 5:  # the rest is for what is new
                name, least = self._often.popitem(last=False)
                self._often_size -= least.size
                self._once[name] = least
        return found

    def keep(self, key: str, value: Representation) -> None:
        """The same as `put`."""
        if key in self._often or key in self._once or value.size > self.room // _LARGEST_SHARE:
            return
        self._once[key] = value
        self.size += value.size
        while self.size > self.room:
            self.size -= self._once.popitem(last=False)[1].size


@dataclass
class SingleFlight:
    """Runs what several ask for at once only once. For one event loop.

    It goes on when one who waits for it goes away; when it fails, all of them learn of it, and who
    asks later starts anew.
    """

    _running: "dict[str, asyncio.Task[Representation]]" = field(default_factory=dict)

    def running(self, key: str) -> bool:
        """Whether somebody has asked for it, and waits."""
        return key in self._running

    async def run(
        self, key: str, make: Callable[[], Coroutine[None, None, Representation]]
    ) -> Representation:
        """What is made under this key, by this call or by one before that has not ended.

        Raises:
            Exception: what `make` raises.
        """
        task = self._running.get(key)
        if task is None:
            task = asyncio.get_running_loop().create_task(make())
            self._running[key] = task
            task.add_done_callback(lambda ended: self._ended(key, ended))
        return await asyncio.shield(task)

    def _ended(self, key: str, task: "asyncio.Task[Representation]") -> None:
        del self._running[key]
        if not task.cancelled():
            task.exception()  # everybody who waited may have gone away
