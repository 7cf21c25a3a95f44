"""Decide about records: in this process, or in several side by side."""

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final, TypeAlias

from triptych.core.errors import TriptychError
from triptych.ingestion.application.load import Chunk, Decide
from triptych.ingestion.domain.admission import ContractSet, Decision, Door, EventLimits
from triptych.ingestion.infrastructure.contracts import read_contracts

AHEAD: Final = 3
"""Chunks for each worker that are read before the first of them is stored."""


class WorkerDied(TriptychError):
    """A process that decided about records died."""

    hint = "What was read before is stored. Load the file again, perhaps with --workers 1."


def here(contracts: ContractSet, limits: EventLimits) -> Decide:
    """Decide in this process."""
    door = Door(contracts)

    def decide(chunks: Iterable[Chunk]) -> Iterator[tuple[Chunk, list[Decision]]]:
        for chunk in chunks:
            yield chunk, _admit(door, limits, chunk)

    return decide


@contextmanager
def in_processes(workers: int, folder: Path, limits: EventLimits) -> Iterator[Decide]:
    """Decide in so many processes, each of which reads the contracts itself."""
    context = multiprocessing.get_context("spawn")  # this process may have threads
    with ProcessPoolExecutor(workers, context, _start, (folder, limits)) as pool:

        def decide(chunks: Iterable[Chunk]) -> Iterator[tuple[Chunk, list[Decision]]]:
            try:
                yield from _in_order(pool, chunks, workers * AHEAD)
            except BrokenProcessPool:
                raise WorkerDied from None

        try:
            yield decide
        finally:
            pool.shutdown(cancel_futures=True)


_Task: TypeAlias = tuple[Chunk, "Future[list[Decision]]"]


def _in_order(
    pool: ProcessPoolExecutor, chunks: Iterable[Chunk], ahead: int
) -> Iterator[tuple[Chunk, list[Decision]]]:
    """What was decided, in the order of the chunks; those that are read come before an error."""
    under_way: deque[_Task] = deque()
    broken: TriptychError | None = None
    source = iter(chunks)
    while True:
        while broken is None and len(under_way) < ahead:
            try:
                chunk = next(source)
            except StopIteration:
                break
            except TriptychError as error:
                broken = error
            else:
                under_way.append((chunk, pool.submit(_decide, chunk)))
        if not under_way:
            break
        chunk, decided = under_way.popleft()
        yield chunk, decided.result()
    if broken is not None:
        raise broken


_worker: Callable[[Chunk], list[Decision]] | None = None


def _start(folder: Path, limits: EventLimits) -> None:
    """What a worker does first."""
    global _worker  # noqa: PLW0603  # a process has nowhere else to keep it
    _worker = partial(_admit, Door(read_contracts(folder)), limits)


def _decide(chunk: Chunk) -> list[Decision]:
    assert _worker is not None  # noqa: S101  # `_start` came first
    return _worker(chunk)


def _admit(door: Door, limits: EventLimits, chunk: Chunk) -> list[Decision]:
    return [door.admit(record.candidate(limits)) for record in chunk.records]
