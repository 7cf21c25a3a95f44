"""`etl serve`: run pipelines when they are due."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from triptych.core.errors import TriptychError
from triptych.core.logging import configure_logging, get_logger
from triptych.etl.entrypoints.opening import pipeline_at
from triptych.etl.infrastructure.pipelines import PipelineFiles
from triptych.etl.infrastructure.plugins import InstalledPlugins
from triptych.etl.settings import EtlSettings
from triptych.etl.wiring import wire, wire_serving
from triptych.service.reloading import reloading

if TYPE_CHECKING:
    from triptych.etl.application.scheduler import Scheduler

log = get_logger(__name__)

_TICK_SECONDS: Final = 0.5
"""So late a run may begin; and so late a server notices that it is to stop."""


def serve(
    pipelines: Annotated[
        list[Path],
        typer.Argument(help="The pipelines' YAML files, or folders of them.", metavar="PIPELINE…"),
    ],
) -> None:
    """Run pipelines by their schedules, and tell of them over HTTP, until SIGTERM or Ctrl-C."""
    # A web server takes longer to import than a short command, such as `etl run`, takes to run.
    from triptych.etl.entrypoints.http import create_etl  # noqa: PLC0415
    from triptych.service.server import serve as serve_http  # noqa: PLC0415
    from triptych.service.tracing import configure_tracing  # noqa: PLC0415

    settings = EtlSettings.load()
    configure_logging(settings.log)
    configure_tracing("etl", settings.traces.endpoint)
    files = PipelineFiles(pipelines, partial(pipeline_at, plugins=InstalledPlugins()))
    log.info("pipelines.served", pipelines=sorted(files.current()))
    for pipeline in files.current().values():
        if pipeline.file.schedule is None:
            log.warning("pipeline.unscheduled", pipeline=pipeline.name, file=str(pipeline.path))
    with wire(settings) as etl, wire_serving(settings.schedule, etl, files) as serving:
        app = create_etl(serving)
        health = app.state.health
        with (
            serving.keys.kept_fresh(),
            reloading(files.reload),
            ticking(serving.scheduler, lambda: health.draining),
        ):
            serve_http(app, settings.etl, section="etl", keys=serving.keys.required)
            ended = serving.scheduler.finish(settings.etl.shutdown_seconds)
    if not ended:
        # Some thread is still deep in a query, and nothing but the end of the process can end it. What it
        # does is committed as a whole or not at all, and goes on elsewhere: the server has not failed.
        os._exit(0)


@contextmanager
def ticking(scheduler: "Scheduler", draining: Callable[[], bool]) -> Iterator[None]:
    """Run what is due, as long as the block lasts; once it is draining, start nothing more."""
    ended = threading.Event()
    seconds = min(_TICK_SECONDS, scheduler.pace.look_every.total_seconds())

    def tick() -> None:
        while not ended.wait(seconds):
            if draining():
                scheduler.stop_starting()
            try:
                scheduler.tick()
            except TriptychError as error:
                log.warning("schedule.away", error=error.sentence)
            except Exception:  # whatever it is: it must not end the thread, and with it all runs
                log.exception("schedule.failed")

    threading.Thread(target=tick, daemon=True).start()
    try:
        yield
    finally:
        ended.set()
