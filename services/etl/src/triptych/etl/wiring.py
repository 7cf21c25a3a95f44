"""Put the service together, by hand."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, cast

import sqlalchemy as sa
from pydantic import ValidationError

from triptych.core.config import WrongConfiguration
from triptych.core.documents import nearest
from triptych.core.domain.clock import SystemClock
from triptych.database.engine import opened_database
from triptych.database.schema import check, prepare
from triptych.etl.application.backfill import Backfill
from triptych.etl.application.cases import Test
from triptych.etl.application.history import History
from triptych.etl.application.plugins import ENGINE, Plugins
from triptych.etl.application.ports import EngineFactory, Memory, Resources
from triptych.etl.application.recording import Record
from triptych.etl.application.replay import Replay
from triptych.etl.application.run import Run
from triptych.etl.application.stopping import StoppableRun
from triptych.etl.application.trial import Try
from triptych.etl.infrastructure.memory import SqlMemory
from triptych.etl.infrastructure.openlineage import telling
from triptych.etl.infrastructure.pipelines import PipelineFiles
from triptych.etl.infrastructure.plugins import InstalledPlugins
from triptych.etl.infrastructure.runs import SqlRuns
from triptych.etl.infrastructure.sources.events import Events
from triptych.etl.infrastructure.tables import SCHEMAS
from triptych.etl.infrastructure.turns import SqlTurns
from triptych.etl.settings import EtlSettings, ScheduleSettings
from triptych.eventlog.log import SCHEMA as EVENT_LOG
from triptych.eventlog.log import EventLogReader
from triptych.lake.lake import Lake

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from triptych.etl.application.scheduler import Scheduler
    from triptych.service.access import KeyRing


@dataclass(frozen=True, slots=True)
class Etl:
    """What the service does."""

    resources: Resources
    engines: EngineFactory
    run: Run
    attempt: Try
    test: Test
    record: Record
    backfill: Backfill
    replay: Replay
    runs: SqlRuns
    turns: SqlTurns
    state: sa.Engine


@contextmanager
def wire(settings: EtlSettings) -> Iterator[Etl]:
    """The service, as these settings make it.

    Raises:
        WrongConfiguration, BrokenPlugin: the engine cannot be used.
        WrongDatabase, DatabaseAway: the service's own database cannot be used.
        SchemaTooOld, SchemaTooNew: its tables are of another release.
        LakeAway: the lake cannot be used.
    """
    with ExitStack() as opened:

        def open_events() -> EventLogReader:
            url = settings.eventlog_url.get_secret_value()
            log = opened.enter_context(opened_database(url, setting="TRIPTYCH_EVENTLOG_URL"))
            check(log, [EVENT_LOG])
            return EventLogReader(log)

        lake = Lake.open(settings.lake_url)
        state = opened.enter_context(state_of(settings))
        prepare(state, SCHEMAS)

        def memory_of(pipeline: str) -> Memory:
            return SqlMemory(state, pipeline)

        resources = Resources(lake, settings.files_dir, open_events, memory_of)
        engines = engine_of(settings, InstalledPlugins())
        runs = SqlRuns(state)
        history = History(runs, telling(**dict(settings.openlineage)))
        yield Etl(
            resources,
            engines,
            Run(resources, engines, history),
            Try(resources, engines),
            Test(resources, engines),
            Record(resources, engines),
            Backfill(resources, engines),
            Replay(resources, engines, history),
            runs,
            SqlTurns(state),
            state,
        )


@dataclass(frozen=True, slots=True)
class Serving:
    """What a server does."""

    etl: Etl
    files: PipelineFiles
    scheduler: "Scheduler"
    registry: "CollectorRegistry"
    cursor_secret: bytes
    keys: "KeyRing"

    def touch_events(self) -> None:
        """Touch the event log, if there is a pipeline that reads it.

        Raises:
            NoEventLog, WrongDatabase, DatabaseAway: it cannot be read.
            SchemaTooOld, SchemaTooNew: its tables are of another release.
        """
        read = [
            source.plugin
            for pipeline in self.files.current().values()
            for source in (pipeline.source, *pipeline.inputs.values())
        ]
        if any(isinstance(source, Events) for source in read):
            self.etl.resources.events.newest()


@contextmanager
def wire_serving(settings: ScheduleSettings, etl: Etl, files: PipelineFiles) -> Iterator[Serving]:
    """A server of pipelines, which runs none before it is told to.

    Raises:
        DatabaseAway: the service's own database cannot be used.
    """
    # What only a server needs is not imported for a command that is over in a second.
    from prometheus_client import CollectorRegistry  # noqa: PLC0415

    from triptych.etl.application.scheduler import Pace, Scheduler  # noqa: PLC0415
    from triptych.etl.infrastructure.measurements import Measurements  # noqa: PLC0415
    from triptych.service.access import KeyRing  # noqa: PLC0415
    from triptych.service.sql_keys import SqlKeys  # noqa: PLC0415
    from triptych.service.tables import cursor_secret  # noqa: PLC0415

    registry = CollectorRegistry()
    threads = ThreadPoolExecutor(settings.workers, "run")
    pace = Pace(
        workers=settings.workers,
        look_every=timedelta(seconds=settings.look_seconds),
        lease=timedelta(seconds=settings.lease_seconds),
        retry=timedelta(seconds=settings.retry_seconds),
    )
    clock = SystemClock()
    keys = KeyRing(SqlKeys(etl.state), clock)
    keys.refresh()
    run, measurements = StoppableRun(etl.run), Measurements(registry)
    scheduler = Scheduler(files.current, run, etl.turns, threads, clock, pace, measurements)
    try:
        yield Serving(etl, files, scheduler, registry, cursor_secret(etl.state), keys)
    finally:
        threads.shutdown(wait=False)


def state_of(settings: EtlSettings) -> AbstractContextManager[sa.Engine]:
    """The service's own database alone, whatever its tables are.

    Raises:
        WrongDatabase, DatabaseAway: it cannot be used.
    """
    url = settings.state_url.get_secret_value()
    return opened_database(url, create=True, setting="TRIPTYCH_STATE_URL")


def engine_of(settings: EtlSettings, plugins: Plugins) -> EngineFactory:
    """The engine that the settings choose, which is a plugin.

    Raises:
        WrongConfiguration: there is none of that name, or it is configured wrongly.
        BrokenPlugin: it cannot be loaded.
    """
    name = settings.engine_name
    if name not in (known := plugins.names(ENGINE.group)):
        raise WrongConfiguration(f"TRIPTYCH_ENGINE: no engine {name!r}: {nearest(name, known)}")
    try:
        chosen = plugins.load(ENGINE.group, name).model_validate(
            settings.engine[name], context={"environment": os.environ}
        )
    except ValidationError as error:
        problems = (
            f"{'__'.join(('TRIPTYCH_ENGINE', name, *map(str, p['loc']))).upper()}: {p['msg'].lower()}"
            for p in error.errors(include_input=False, include_url=False)
        )
        raise WrongConfiguration("; ".join(problems)) from None
    return cast("EngineFactory", chosen)  # its author's promise, as for every plugin
