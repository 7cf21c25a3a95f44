"""Put the service together, by hand."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from triptych.etl.application.cases import Test
from triptych.etl.application.ports import EngineFactory, Memory, Resources
from triptych.etl.application.run import Run
from triptych.etl.application.trial import Try
from triptych.etl.infrastructure.engines.duckdb import DuckDb
from triptych.etl.infrastructure.memory import SqlMemory
from triptych.etl.infrastructure.runs import SqlRuns
from triptych.etl.infrastructure.tables import prepare
from triptych.etl.settings import EtlSettings
from triptych.eventlog.database import open_database
from triptych.eventlog.log import SCHEMA, EventLogReader
from triptych.eventlog.schema import check
from triptych.lake.lake import Lake


@dataclass(frozen=True, slots=True)
class Etl:
    """What the service does."""

    resources: Resources
    engines: EngineFactory
    run: Run
    attempt: Try
    test: Test
    runs: SqlRuns


@contextmanager
def wire(settings: EtlSettings) -> Iterator[Etl]:
    """The service, as these settings make it.

    Raises:
        WrongDatabase, DatabaseAway: the service's own database cannot be used.
        SchemaTooOld, SchemaTooNew: its tables are of another release.
        LakeAway: the lake cannot be used.
    """
    with ExitStack() as opened:

        def open_events() -> EventLogReader:
            log = open_database(settings.eventlog_url.get_secret_value())
            opened.callback(log.dispose)
            check(log, [SCHEMA])
            return EventLogReader(log)

        lake = Lake.open(settings.lake_url)
        state = open_database(settings.state_url.get_secret_value(), create=True)
        opened.callback(state.dispose)
        prepare(state)

        def memory_of(pipeline: str) -> Memory:
            return SqlMemory(state, pipeline)

        resources = Resources(lake, settings.files_dir, open_events, memory_of)
        engines = DuckDb()
        runs = SqlRuns(state)
        yield Etl(
            resources,
            engines,
            Run(resources, engines, runs),
            Try(resources, engines),
            Test(resources, engines),
            runs,
        )
