"""Read what people declare again while the service runs: on SIGHUP, and from time to time."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol


class Reloadable(Protocol):
    """Something that can be read again. Both keep the old when the new is broken."""

    def reload(self) -> None:
        """Read it again."""
        ...

    def reload_if_changed(self) -> None:
        """Read it again if it looks different."""
        ...


@contextmanager
def reloading(what: Reloadable, seconds: float) -> Iterator[None]:
    """Reload on SIGHUP and, unless `seconds` is 0, whenever it changed, as long as the block lasts.

    Neither happens on the thread that serves: nobody waits for it.
    """
    ended = threading.Event()
    before = signal.signal(signal.SIGHUP, lambda *_: _aside(what.reload))
    if seconds:
        _aside(lambda: _watch(what, seconds, ended))
    try:
        yield
    finally:
        ended.set()
        signal.signal(signal.SIGHUP, before)


def _watch(what: Reloadable, seconds: float, ended: threading.Event) -> None:
    while not ended.wait(seconds):
        what.reload_if_changed()


def _aside(act: Callable[[], None]) -> None:
    threading.Thread(target=act, daemon=True).start()
