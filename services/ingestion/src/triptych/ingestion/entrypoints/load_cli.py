"""The door for files: `ingestion load`."""

import base64
import hashlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Annotated, Final

import orjson
import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

from triptych.core import documents
from triptych.core.domain.clock import SystemClock
from triptych.core.errors import Kind, TriptychError
from triptych.core.logging import configure_logging, get_logger
from triptych.ingestion.application.load import Decide, Load, Record, Report, Summary
from triptych.ingestion.domain.admission import Arrival, EventLimits
from triptych.ingestion.domain.mapping import EventMapping
from triptych.ingestion.domain.outcome import Outcome, Status
from triptych.ingestion.infrastructure.contracts import read_contracts
from triptych.ingestion.infrastructure.deciding import here, in_processes
from triptych.ingestion.infrastructure.files.formats import Format, read_records
from triptych.ingestion.infrastructure.files.opening import STANDARD_INPUT, InputFile, open_input
from triptych.ingestion.infrastructure.memory import Nowhere
from triptych.ingestion.settings import IngestionSettings
from triptych.ingestion.wiring import wire

log = get_logger(__name__)

SOMETHING_REFUSED: Final = 3
"""The exit code when all was loaded, and some of it was refused."""
WORTH_WORKERS: Final = 32 * 1024 * 1024
"""Bytes of a file from which on it pays to start processes."""
LOG_EVERY: Final = 10.0  # seconds


class CannotWriteRejects(TriptychError):
    """The file for what is refused cannot be written."""

    kind = Kind.INVALID
    hint = "Give another path: --reject-file PATH."


def load(
    files: Annotated[
        list[str],
        typer.Argument(
            help="NDJSON, a JSON array, CSV or Parquet; gzip, zstd or plain. - is stdin."
        ),
    ],
    mapping: Annotated[
        Path | None, typer.Option(help="For CSV and Parquet: which columns make what, in YAML.")
    ] = None,
    format: Annotated[  # noqa: A002  # the option's name
        Format | None, typer.Option(help="What the files are, if they do not tell.")
    ] = None,
    workers: Annotated[
        int, typer.Option(min=0, help="Processes that check events; 0 chooses by size.")
    ] = 0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check all, store nothing.")] = False,
    restart: Annotated[
        bool, typer.Option("--restart", help="Begin again, where a load before stopped or not.")
    ] = False,
    reject_file: Annotated[
        Path | None, typer.Option(help="Write what is refused there, too: NDJSON, with reasons.")
    ] = None,
) -> None:
    """Load files. What was loaded before is skipped, and nothing is ever stored twice.

    What is refused is kept with its reasons, and the exit code is then 3.
    """
    settings = IngestionSettings.load()
    configure_logging(settings.log)
    columns = documents.load(mapping).to(EventMapping) if mapping else None
    refused = 0
    with ExitStack() as stack:
        rejects = stack.enter_context(_rejects(reject_file))
        loading = Load(Nowhere(), None, SystemClock())
        if not dry_run:
            loading = replace(stack.enter_context(wire(settings)).load, restart=restart)
        for path in files:
            source = _Source(path, columns, format)
            with source, _deciding(settings, workers, source.size) as decide:
                chosen = replace(loading, marks=None) if source.once else loading
                with _progress(source) as report:
                    summary = chosen(source.key, source.records, decide, report, rejects)
            _print_summary(source.name, summary)
            refused += summary.refused
    raise typer.Exit(SOMETHING_REFUSED if refused else 0)


@dataclass
class _Source:
    """A file that can be read from its beginning again, unless it is standard input."""

    path: str
    mapping: EventMapping | None
    format: Format | None
    _opened: ExitStack = field(default_factory=ExitStack)
    _file: InputFile | None = None

    def __enter__(self) -> "_Source":
        self._open()
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    @property
    def once(self) -> bool:
        return self.path == STANDARD_INPUT

    @property
    def name(self) -> str:
        return self._now().name

    @property
    def size(self) -> int | None:
        return self._now().size

    @property
    def done(self) -> int:
        return self._now().done

    @property
    def key(self) -> str:
        """By which its progress is found again: with another mapping it holds other events."""
        how = self.mapping.model_dump_json() if self.mapping else ""
        return f"{self.name} {hashlib.sha256(how.encode()).hexdigest()[:16]}"

    def records(self) -> Iterator[Record]:
        """Its records, from the first one."""
        file = self._now() if self.once else self._open()
        return read_records(file, self.mapping, self.format)

    def _open(self) -> InputFile:
        self._opened.close()
        self._file = self._opened.enter_context(open_input(self.path))
        return self._file

    def _now(self) -> InputFile:
        assert self._file is not None  # noqa: S101  # it is used inside its `with` block
        return self._file


@contextmanager
def _deciding(settings: IngestionSettings, workers: int, size: int | None) -> Iterator[Decide]:
    limits = EventLimits(settings.limits.event_bytes, settings.limits.depth)
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    chosen = workers or (max(1, cpus - 1) if size is None or size >= WORTH_WORKERS else 0)
    if workers == 1 or not chosen:
        yield here(read_contracts(settings.contracts_dir), limits)
        return
    with in_processes(chosen, settings.contracts_dir, limits) as decide:
        yield decide


@contextmanager
def _rejects(path: Path | None) -> Iterator[Callable[[Arrival, Outcome], None]]:
    """Write what is refused to a file, line by line as it is found."""
    if path is None:
        yield lambda *_: None
        return
    try:
        file = path.open("wb")
    except OSError as error:
        raise CannotWriteRejects(f"{str(path)!r}: {error.strerror}") from None
    with file:
        yield lambda arrival, outcome: _write_reject(file, arrival, outcome)


def _write_reject(file: IO[bytes], arrival: Arrival, outcome: Outcome) -> None:
    try:
        raw = {"raw": arrival.raw.decode()}
    except UnicodeDecodeError:
        raw = {"raw_base64": base64.b64encode(arrival.raw).decode()}
    violations = [
        {"pointer": v.pointer, "keyword": v.keyword, "message": v.message}
        for v in outcome.violations
    ]
    line = {"origin": arrival.origin, "reason": outcome.reason, "violations": violations, **raw}
    file.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))


@contextmanager
def _progress(source: _Source) -> Iterator[Report]:
    """A bar on a terminal, lines in the log elsewhere."""
    terminal = Console(stderr=True)
    if not terminal.is_terminal:
        yield _Logged(source)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    started = time.monotonic()
    with Progress(*columns, console=terminal, transient=True) as bar:
        task = bar.add_task(source.name, total=source.size, rate="")

        def show(summary: Summary) -> None:
            rate = (summary.read - summary.skipped) / (time.monotonic() - started)
            bar.update(task, completed=source.done, rate=f"{rate:,.0f} events/s")

        yield show


@dataclass
class _Logged:
    """Tells from time to time how far a load is."""

    source: _Source
    _last: float = field(default_factory=time.monotonic)

    def __call__(self, summary: Summary) -> None:
        now = time.monotonic()
        if now - self._last >= LOG_EVERY:
            self._last = now
            log.info(
                "load.progress",
                file=self.source.name,
                read=summary.read,
                bytes=self.source.done,
                of=self.source.size,
            )


def _print_summary(name: str, summary: Summary) -> None:
    parts = [f"{summary.outcomes[status]:,} {status.value}" for status in Status]
    if summary.skipped:
        parts.append(f"{summary.skipped:,} loaded before")
    typer.echo(f"{name}: {summary.read:,} read = {' + '.join(parts)}")
    for reasons, number in summary.refusals.most_common():
        typer.echo(f"  {number:>7,}  {reasons}")
    sys.stdout.flush()
