"""Let a few queries run at a time, and a few more wait."""

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

from triptych.analytics.application.errors import Busy

T = TypeVar("T")


@dataclass
class Workers:
    """Threads that queries run in. For one event loop."""

    number: int
    queue: int
    """How many may wait for one."""
    _waiting: int = 0
    _threads: ThreadPoolExecutor = field(init=False)

    def __post_init__(self) -> None:
        self._threads = ThreadPoolExecutor(self.number, "query")

    @property
    def waiting(self) -> int:
        """How many run or wait."""
        return self._waiting

    async def run(self, work: Callable[[], T]) -> T:
        """What `work` returns, once there is a thread for it.

        Raises:
            Busy: too many wait already.
        """
        if self._waiting >= self.number + self.queue:
            raise Busy(f"{self._waiting} are being answered or wait")
        self._waiting += 1
        try:
            here = contextvars.copy_context()  # whose request it is, for the log and for traces
            return await asyncio.get_running_loop().run_in_executor(self._threads, here.run, work)
        finally:
            self._waiting -= 1

    def close(self) -> None:
        """End the threads; what runs is waited for."""
        self._threads.shutdown(cancel_futures=True)
