"""Put the service together, by hand."""

from collections.abc import Iterator
from contextlib import contextmanager

from triptych.etl.application.ports import Resources
from triptych.etl.application.run import Run
from triptych.etl.infrastructure.duckdb import DuckDb
from triptych.etl.settings import EtlSettings
from triptych.eventlog.database import open_database
from triptych.eventlog.log import SCHEMA, EventLogReader
from triptych.eventlog.schema import check
from triptych.lake.lake import Lake


@contextmanager
def wire(settings: EtlSettings) -> Iterator[Run]:
    """What runs pipelines, as these settings make it.

    Raises:
        NoEventLog, WrongDatabase: the event log cannot be used.
        SchemaTooOld, SchemaTooNew: its tables are of another release.
        LakeAway: the lake cannot be used.
    """
    engine = open_database(settings.eventlog_url.get_secret_value())
    try:
        lake = Lake.open(settings.lake_url)
        check(engine, [SCHEMA])
        resources = Resources(EventLogReader(engine), lake)
        yield Run(resources, DuckDb())
    finally:
        engine.dispose()
