"""Measure ingestion beside what it is compared with, in one run."""

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeAlias

from triptych.core.errors import TriptychError
from triptych.tools.bench import events, files
from triptych.tools.bench.generator import Result, generate
from triptych.tools.bench.subjects import OVER_HTTP, Server, Shape, Subject, servers
from triptych.tools.memory import peak_mb, reset_peak
from triptych.tools.stores import NewStore, StoreName, stores

Step: TypeAlias = Callable[[str], None]
"""Told what is measured next."""

ONE_FILE: Final = "one file"
BATCHES: Final = Shape(batch=500, connections=8)


class LostEvents(TriptychError):
    """Events that were acknowledged are not stored."""

    hint = "What is fast is worth nothing then: see ./triptych chaos ingestion."


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured."""

    stores: tuple[StoreName, ...]
    connections: tuple[int, ...] = (1, 16, 64, 256)
    """Of single events."""
    batches: Shape = BATCHES
    rounds: int = 3
    seconds: float = 5
    warmup: float = 2
    file_events: int = 1_000_000
    copied_events: int = 100_000
    """In commits of a batch each."""

    @property
    def shapes(self) -> list[Shape]:
        """How the events come over HTTP."""
        return [*(Shape(1, number) for number in self.connections), self.batches]

    @property
    def steps(self) -> int:
        """How often `Step` is told something."""
        over_http = len(self.shapes) * self.rounds * len(OVER_HTTP)
        copies = 2 if StoreName.POSTGRES in self.stores else 0
        return len(self.stores) * (over_http + 1) + copies


@dataclass(frozen=True, slots=True)
class Row:
    """What was measured of one subject."""

    store: StoreName
    work: str
    subject: Subject
    events_per_second: float
    p50_ms: float | None = None
    p99_ms: float | None = None
    peak_mb: float | None = None
    """Of the process that is measured."""
    errors: dict[str, int] = field(default_factory=dict)
    """Answers other than 200, by their status."""
    generator_cpu: float | None = None
    """The share of a core that the load took."""


@dataclass(slots=True)
class _Tally:
    """What was measured of one subject so far."""

    result: Result = field(default_factory=Result)
    peak: float = 0

    def row(self, store: StoreName, work: str, subject: Subject) -> Row:
        found = self.result
        return Row(
            store,
            work,
            subject,
            found.rate,
            found.milliseconds(0.5),
            found.milliseconds(0.99),
            self.peak,
            dict(found.errors),
            found.generator_cpu,
        )


def measure(plan: Plan, step: Step) -> Iterator[Row]:
    """Measure everything.

    Raises:
        LostEvents: a subject has not stored what it acknowledged.
    """
    for name in plan.stores:
        with stores(name) as new_store:
            yield from _over_http(plan, name, new_store, step)
            yield from _from_a_file(plan, name, new_store, step)
            if name is StoreName.POSTGRES:
                yield from _copied(plan, new_store, step)


def _over_http(plan: Plan, name: StoreName, new_store: NewStore, step: Step) -> Iterator[Row]:
    with servers(new_store) as running:
        acknowledged = [0] * len(running)
        for shape in plan.shapes:
            tallies = [_Tally() for _ in running]
            for round_ in range(plan.rounds):
                # Sides take turns at being the first, so that none always follows the same one.
                for index in _turned(range(len(running)), round_):
                    server = running[index]
                    step(f"{name}: {shape}: {server.subject}")
                    result = _once(plan, server, shape, tallies[index])
                    acknowledged[index] += result.acknowledged
            for server, tally in zip(running, tallies, strict=True):
                yield tally.row(name, str(shape), server.subject)
        for server, number in zip(running, acknowledged, strict=True):
            _check(server, number)


def _once(plan: Plan, server: Server, shape: Shape, tally: _Tally) -> Result:
    if server.store is not None:
        server.store.settle()
    reset_peak(server.pid)
    result = generate(server.job(shape, plan.seconds, plan.warmup))
    tally.result += result
    tally.peak = max(tally.peak, peak_mb(server.pid))
    return result


def _turned(order: range, by: int) -> list[int]:
    by %= len(order)
    return [*order[by:], *order[:by]]


def _check(server: Server, acknowledged: int) -> None:
    if server.store is not None and (stored := server.store.count("events")) < acknowledged:
        raise LostEvents(f"{server.subject}: {acknowledged} acknowledged, {stored} stored")


def _from_a_file(plan: Plan, name: StoreName, new_store: NewStore, step: Step) -> Iterator[Row]:
    with tempfile.TemporaryDirectory(prefix="triptych-bench-") as folder:
        file = Path(folder, "events.ndjson")
        events.write_ndjson(file, plan.file_events)
        step(f"{name}: {ONE_FILE}: {Subject.INGESTION}")
        store = new_store()
        seconds, peak = files.load(store, file)
    if (stored := store.count("events")) < plan.file_events:
        raise LostEvents(f"{plan.file_events} loaded, {stored} stored")
    rate = plan.file_events / seconds
    yield Row(name, ONE_FILE, Subject.INGESTION, rate, peak_mb=peak)


def _copied(plan: Plan, new_store: NewStore, step: Step) -> Iterator[Row]:
    batches, one_file = str(plan.batches), ONE_FILE
    for work, number, commit_every in (
        (batches, plan.copied_events, plan.batches.batch),
        (one_file, plan.file_events, plan.file_events),
    ):
        step(f"{StoreName.POSTGRES}: {work}: {Subject.COPY}")
        seconds = files.copy(new_store(), number, commit_every)
        yield Row(StoreName.POSTGRES, work, Subject.COPY, number / seconds)
