"""Read what people declare again while the service runs: on SIGHUP, and from time to time."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def reloading(
    reload: Callable[[], None],
    reload_if_changed: Callable[[], None] | None = None,
    seconds: float = 0,
) -> Iterator[None]:
    """Reload on SIGHUP and, unless `seconds` is 0, whenever it changed, as long as the block lasts.

    Both keep what they have when the new is broken. Neither happens on the thread that serves:
    nobody waits for it.
    """
    ended = threading.Event()
    before = signal.signal(signal.SIGHUP, lambda *_: _aside(reload))
    if reload_if_changed is not None and seconds:
        _aside(lambda: _watch(reload_if_changed, seconds, ended))
    try:
        yield
    finally:
        ended.set()
        signal.signal(signal.SIGHUP, before)


def _watch(look: Callable[[], None], seconds: float, ended: threading.Event) -> None:
    while not ended.wait(seconds):
        look()


def _aside(act: Callable[[], None]) -> None:
    threading.Thread(target=act, daemon=True).start()
