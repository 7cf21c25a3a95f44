"""What a person sees of a run while it goes on: a line a step on a terminal, log events elsewhere."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import TypeAlias

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, Task, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

from triptych.core.logging import get_logger
from triptych.etl.application.ports import Watcher

log = get_logger(__name__)

Watch: TypeAlias = Callable[[str], Watcher]
"""Makes the watcher of a run of the pipeline of that name."""


@contextmanager
def progress(terminal: Console | None = None) -> Iterator[Watch]:
    """Show the progress of runs, on standard error if that is a terminal."""
    terminal = terminal or Console(stderr=True)
    if not terminal.is_terminal:
        yield lambda _: _logged()
        return
    columns = (SpinnerColumn(finished_text="✓"), TextColumn("{task.description}"), _Rows())
    with Progress(*columns, TimeElapsedColumn(), console=terminal) as bar:
        yield lambda pipeline: _Lines(bar, pipeline).watcher()
        for task in bar.tasks:
            if not task.finished:
                bar.remove_task(task.id)


class _Rows(TextColumn):
    """How many rows there are so far, and how many a second."""

    def __init__(self) -> None:
        super().__init__("")

    def render(self, task: Task) -> Text:
        """See `ProgressColumn.render`."""
        seconds = (task.finished_time if task.finished else task.elapsed) or 0
        rate = f", {task.completed / seconds:,.0f}/s" if seconds >= _TELLING else ""
        return Text(f"{task.completed:,.0f} rows{rate}")


_TELLING = 0.05  # seconds: a rate over less is noise


class _Lines:
    """The steps of one run, a line each: the last one is under way."""

    def __init__(self, bar: Progress, pipeline: str) -> None:
        self._bar = bar
        self._pipeline = pipeline
        self._current: TaskID = self._begin("reading")

    def watcher(self) -> Watcher:
        return Watcher(step=self._step, reading=self._reading)

    def _begin(self, what: str) -> TaskID:
        return self._bar.add_task(f"{self._pipeline}: {what}", total=None)

    def _reading(self, rows: int) -> None:
        self._bar.advance(self._current, rows)

    def _step(self, label: str, rows: int) -> None:
        done = f"{self._pipeline}: {label}"
        self._bar.update(self._current, description=done, total=rows, completed=rows)
        self._current = self._begin("…")


def _logged() -> Watcher:
    """Each step is an event; the log knows the pipeline from its context."""
    began = monotonic()

    def step(label: str, rows: int) -> None:
        log.info("run.step", step=label, rows=rows, seconds=round(monotonic() - began, 3))

    return Watcher(step=step)
