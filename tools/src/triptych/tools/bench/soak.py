"""Load that lasts: does the service's memory stay what it is?"""

import statistics
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from triptych.tools.bench.generator import Result, finish, generating
from triptych.tools.bench.subjects import Server, Shape, Subject, ingestion
from triptych.tools.memory import resident_mb
from triptych.tools.stores import Store

LOAD: Final = Shape(batch=1, connections=16)
FLAT: Final = 1.05
"""The last quarter's memory may be this many times the first one's."""


@dataclass(frozen=True, slots=True)
class Soaked:
    """What a long load did."""

    result: Result
    samples: tuple[tuple[float, float], ...]
    """Seconds since the start, MB."""

    @property
    def first(self) -> float:
        """The median of the first quarter, in MB."""
        return statistics.median(mb for _, mb in self._quarter(0))

    @property
    def last(self) -> float:
        """The median of the last quarter, in MB."""
        return statistics.median(mb for _, mb in self._quarter(3))

    @property
    def mb_an_hour(self) -> float:
        """By how much it grows."""
        return 3600 * statistics.linear_regression(*zip(*self.samples, strict=True)).slope

    @property
    def flat(self) -> bool:
        """Whether it does not grow."""
        return self.last <= self.first * FLAT

    def _quarter(self, number: int) -> tuple[tuple[float, float], ...]:
        size = max(1, len(self.samples) // 4)
        start = min(number * size, len(self.samples) - size)
        return self.samples[start : start + size]


def soak(
    store: Store, minutes: float, *, every: float = 5, sampled: Callable[[float], None]
) -> Soaked:
    """Send single events over 16 connections all the time, and sample the service's memory.

    The first tenth of the time is its warm-up: nothing is sampled then.
    """
    seconds = minutes * 60
    with ingestion(store) as service:
        server = Server(Subject.INGESTION, service, store)
        started = time.monotonic()
        samples: list[tuple[float, float]] = []
        with generating(server.job(LOAD, seconds * 0.9, warmup=seconds * 0.1)) as generator:
            while True:
                try:
                    return Soaked(finish(generator, every), tuple(samples))
                except subprocess.TimeoutExpired:
                    elapsed = time.monotonic() - started
                sampled(elapsed)
                if elapsed > seconds * 0.1:
                    samples.append((elapsed, resident_mb(server.pid)))
