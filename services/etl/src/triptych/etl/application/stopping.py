"""Runs that can be stopped between any two queries, also where no rows pass through Python."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, cast

from triptych.etl.application.history import Report
from triptych.etl.application.pipeline import Pipeline
from triptych.etl.application.ports import Engine, EngineFactory, Watcher
from triptych.etl.application.run import Run


@dataclass(frozen=True, slots=True)
class StoppableRun:
    """A run whose watcher may end it, by raising an error, until it begins to commit."""

    run: Run

    def __call__(self, pipeline: Pipeline, watcher: Watcher) -> list[Report]:
        """See `Run`."""

        def ask() -> None:
            watcher.reading(0)

        run = replace(self.run, engines=_AskingFactory(self.run.engines, ask))
        return run(pipeline, watcher)


@dataclass(frozen=True, slots=True)
class _AskingFactory:
    engines: EngineFactory
    ask: Callable[[], None]

    @contextmanager
    def open(self) -> Iterator[Engine]:
        with self.engines.open() as engine:
            yield cast("Engine", _Asking(engine, self.ask))


class _Asking:
    """An engine that asks, before whatever it is to make, whether to go on."""

    def __init__(self, engine: Engine, ask: Callable[[], None]) -> None:
        self._engine = engine
        self._ask = ask

    def __getattr__(self, method: str) -> Any:
        if method != "stream":  # a sink counts with it what it has written, and not yet told of
            self._ask()
        return getattr(self._engine, method)
