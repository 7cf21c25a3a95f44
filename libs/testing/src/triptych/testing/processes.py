"""Run a service as a process of its own, as its users do."""

import os
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import orjson

START_SECONDS = 60.0
STOP_SECONDS = 30.0
# Absolute, and as it is now: some paths are relative to a folder that a test may leave.
_IMPORT_PATH = os.pathsep.join(str(Path(path).resolve()) for path in sys.path)


class DidNotStart(Exception):
    """A service ended, or was silent, instead of listening; its last words are the message."""


@dataclass
class Service:
    """A service that is running."""

    name: str
    process: subprocess.Popen[str]
    url: str = ""
    lines: deque[str] = field(default_factory=lambda: deque(maxlen=1000))
    """The last lines of its log."""

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Send it a signal and wait for its end; its exit code."""
        self.process.send_signal(how)
        return self.process.wait(STOP_SECONDS)


def run(
    name: str, *arguments: str, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run `python -m triptych.NAME ARGUMENTS…` to its end."""
    return subprocess.run(
        [sys.executable, "-m", f"triptych.{name}", *arguments],
        env=environment(env or {}),
        capture_output=True,
        text=True,
        timeout=START_SECONDS,
        check=False,
    )


@contextmanager
def running(name: str, env: Mapping[str, str], *arguments: str) -> Iterator[Service]:
    """The service `triptych.NAME serve ARGUMENTS…`, on a free port, until the block ends.

    Raises:
        DidNotStart: it does not listen in time.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", f"triptych.{name}", "serve", *arguments],
        env=environment({**env, "TRIPTYCH_LOG__FORMAT": "json"}),
        stderr=subprocess.PIPE,
        text=True,
    )
    service = Service(name, process)
    listening = threading.Event()
    reader = threading.Thread(target=_follow, args=(service, listening), daemon=True)
    reader.start()
    try:
        if not listening.wait(START_SECONDS) or not service.url:
            raise DidNotStart(f"{name}: {' '.join(service.lines)}")
        yield service
    finally:
        if process.poll() is None:
            service.stop()
        reader.join(STOP_SECONDS)


def _follow(service: Service, listening: threading.Event) -> None:
    stderr = service.process.stderr
    assert stderr is not None  # noqa: S101  # it is a pipe
    with stderr:
        for line in stderr:
            service.lines.append(line)
            if '"http.listening"' in line:
                service.url = orjson.loads(line)["url"]
                listening.set()
    listening.set()  # it has ended: whoever waits need wait no longer


def environment(extra: Mapping[str, str]) -> dict[str, str]:
    """Ours without Triptych's settings, and with the import path of this very process."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("TRIPTYCH_")}
    return {**inherited, "PYTHONPATH": _IMPORT_PATH, **extra}
