"""The load: a process of its own that asks over many connections, and counts the answers.

    python -m triptych.tools.bench.generator < job.json > result.json

Each connection sends its next request when the last is answered. The requests are bytes with
another id in the same place, and of an answer no more is read than its status and its length:
the generator takes a small part of what the server takes.
"""

import asyncio
import itertools
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, Self, cast
from urllib.parse import urlsplit

import orjson
import uvloop

from triptych.testing.processes import environment
from triptych.tools.bench import events

STRUCTURED: Final = "application/cloudevents+json"
BATCH: Final = "application/cloudevents-batch+json"

_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_OK: Final = (b"200", b"304")


@dataclass(frozen=True, slots=True)
class Job:
    """What to send, where, and for how long."""

    url: str
    """With the path."""
    batch: int
    """Events a request; one is sent in structured mode."""
    connections: int
    seconds: float
    warmup: float = 0
    """Seconds before these that are not measured."""
    paths: tuple[str, ...] = ()
    """What is asked for instead, one after the other."""
    headers: str = ""
    """Lines that are sent then, too."""


@dataclass(slots=True)
class Result:
    """What came back."""

    acknowledged: int = 0
    """Events, or requests, that were answered well, those of the warm-up too."""
    measured: int = 0
    """Those that were in the time that is measured."""
    seconds: float = 0
    """That time."""
    latencies: Counter[int] = field(default_factory=Counter)
    """How many requests took how long, in hundredths of a millisecond."""
    errors: Counter[str] = field(default_factory=Counter)
    """How many answers had another status, or never came."""
    generator_cpu: float = 0
    """The share of a core that the generator took."""

    @property
    def rate(self) -> float:
        """Events, or requests, a second."""
        return self.measured / self.seconds if self.seconds else 0.0

    def milliseconds(self, share: float) -> float:
        """The time that this share of the requests did not exceed."""
        left = share * self.latencies.total()
        for hundredths, number in sorted(self.latencies.items()):
            left -= number
            if left <= 0:
                return hundredths / 100
        return 0.0

    def __add__(self, other: Self) -> "Result":
        return Result(
            self.acknowledged + other.acknowledged,
            self.measured + other.measured,
            self.seconds + other.seconds,
            self.latencies + other.latencies,
            self.errors + other.errors,
            max(self.generator_cpu, other.generator_cpu),
        )


@contextmanager
def generating(job: Job) -> Iterator["subprocess.Popen[bytes]"]:
    """The generator at work, until the block ends; `finish` waits for its result."""
    command = [sys.executable, "-m", __name__]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment({})
    ) as process:
        assert process.stdin is not None  # noqa: S101  # it is a pipe
        process.stdin.write(orjson.dumps(job))
        process.stdin.close()
        process.stdin = None
        try:
            yield process
        finally:
            process.kill()


def finish(process: "subprocess.Popen[bytes]", seconds: float | None = None) -> Result:
    """Wait for the generator, and take its result.

    Raises:
        TimeoutExpired: it is still at work after these seconds; it can be waited for again.
    """
    said, _ = process.communicate(timeout=seconds)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, __name__)
    found = orjson.loads(said)
    latencies = Counter({int(time): number for time, number in found.pop("latencies").items()})
    return Result(**{**found, "latencies": latencies, "errors": Counter(found["errors"])})


def generate(job: Job) -> Result:
    """Send, in another process, and count."""
    with generating(job) as process:
        return finish(process)


class _Connection(asyncio.Protocol):
    """One connection: the next request follows the last answer."""

    def __init__(self, requests: Iterator[bytes], job: Job, result: Result, begin: float) -> None:
        self.requests = requests
        self.batch = job.batch
        self.result = result
        self.begin = begin
        self.end = begin + job.seconds
        self.closed = asyncio.get_running_loop().create_future()
        self.answer = b""
        self.sent = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self._send()

    def data_received(self, data: bytes) -> None:
        self.answer += data
        head = self.answer.find(b"\r\n\r\n")
        if head < 0:
            return
        length = _LENGTH.search(self.answer, 0, head)
        if length is None and self.answer[9:12] == b"304":
            self._count(time.perf_counter())
        elif length is None:
            self.transport.abort()
        elif len(self.answer) >= head + 4 + int(length[1]):
            self._count(time.perf_counter())

    def connection_lost(self, error: Exception | None) -> None:
        if self.sent:
            self.result.errors["lost"] += 1
        self.closed.set_result(None)

    def _send(self) -> None:
        self.answer = b""
        self.sent = time.perf_counter()
        self.transport.write(next(self.requests))

    def _count(self, now: float) -> None:
        if (status := self.answer[9:12]) not in _OK:
            self.result.errors[status.decode()] += 1
        else:
            self.result.acknowledged += self.batch
            if self.begin <= now <= self.end:
                self.result.measured += self.batch
                self.result.latencies[round((now - self.sent) * 100_000)] += 1
        if now < self.end:
            self._send()
        else:
            self.sent = 0.0
            self.transport.close()


def _requests(job: Job) -> Iterator[bytes]:
    url = urlsplit(job.url)
    if job.paths:
        asked = [
            f"GET {path} HTTP/1.1\r\nHost: {url.netloc}\r\n{job.headers}\r\n" for path in job.paths
        ]
        yield from itertools.cycle(text.encode() for text in asked)
    ids = events.ids()
    kind = STRUCTURED if job.batch == 1 else BATCH
    head = f"POST {url.path} HTTP/1.1\r\nHost: {url.netloc}\r\nContent-Type: {kind}\r\n"
    while True:
        body = b",".join(events.event(id_) for id_ in itertools.islice(ids, job.batch))
        if job.batch > 1:
            body = b"[%b]" % body
        yield b"%bContent-Length: %d\r\n\r\n%b" % (head.encode(), len(body), body)


async def _work(job: Job) -> Result:
    url = urlsplit(job.url)
    host, port = url.hostname or "", url.port or 80
    loop = asyncio.get_running_loop()
    result = Result(seconds=job.seconds)
    requests = _requests(job)
    begin = time.perf_counter() + job.warmup
    used = time.process_time()
    connections = [
        await loop.create_connection(lambda: _Connection(requests, job, result, begin), host, port)
        for _ in range(job.connections)
    ]
    await asyncio.gather(*(connection.closed for _, connection in connections))
    took = time.perf_counter() - begin + job.warmup
    result.generator_cpu = (time.process_time() - used) / took
    return result


def main() -> None:
    """Do the job on standard input, write its result to standard output."""
    result = uvloop.run(_work(Job(**orjson.loads(sys.stdin.buffer.read()))))
    sys.stdout.buffer.write(orjson.dumps(result, option=orjson.OPT_NON_STR_KEYS))


if __name__ == "__main__":
    main()
