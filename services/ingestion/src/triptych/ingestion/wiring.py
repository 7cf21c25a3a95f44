"""Put the service together, by hand."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from prometheus_client import CollectorRegistry

from triptych.core.domain.clock import SystemClock
from triptych.database.engine import opened_database
from triptych.ingestion.application.commit import CommitLimits, GroupCommit
from triptych.ingestion.application.ingest import Ingest
from triptych.ingestion.application.load import Load
from triptych.ingestion.application.once import Once
from triptych.ingestion.application.replay import Replay
from triptych.ingestion.domain.admission import EventLimits
from triptych.ingestion.infrastructure.answers import SqlAnswers
from triptych.ingestion.infrastructure.contracts import ContractFolder
from triptych.ingestion.infrastructure.loads import SqlMarks
from triptych.ingestion.infrastructure.measurements import Measurements
from triptych.ingestion.infrastructure.rejections import SqlRejections
from triptych.ingestion.infrastructure.store import SqlStore
from triptych.ingestion.settings import IngestionSettings
from triptych.service.access import KeyRing
from triptych.service.sql_keys import SqlKeys
from triptych.service.tables import cursor_secret

ANSWER_LEASE: Final = timedelta(minutes=1)
"""A request that died before its answer frees its idempotency key after so long."""


@dataclass(frozen=True, slots=True)
class Ingestion:
    """The service's use cases, ready to use."""

    settings: IngestionSettings
    event_limits: EventLimits
    contracts: ContractFolder
    store: SqlStore
    rejections: SqlRejections
    ingest: Ingest
    replay: Replay
    once: Once
    load: Load
    registry: CollectorRegistry
    measurements: Measurements
    cursor_secret: bytes
    keys: KeyRing


@contextmanager
def wire(settings: IngestionSettings) -> Iterator[Ingestion]:
    """The service as these settings make it.

    Raises:
        NoContracts, NotASchema: the folder of contracts cannot be used.
        WrongDatabase, DatabaseAway: the event log cannot be used.
        SchemaTooOld, SchemaTooNew, RewoundLog: its tables are of another release.
    """
    contracts = ContractFolder.read(settings.contracts_dir)
    with opened(settings) as store, ThreadPoolExecutor(
        settings.commit.writers, "commit"
    ) as threads:
        store.prepare()
        clock = SystemClock()
        registry = CollectorRegistry()
        measurements = Measurements(registry)
        commit = GroupCommit(
            store, clock, _commit_limits(settings), threads, measurements.committed
        )
        measurements.watch(commit)
        rejections = SqlRejections(store.engine)
        event_limits = EventLimits(settings.limits.event_bytes, settings.limits.depth)
        keys = KeyRing(SqlKeys(store.engine), clock)
        keys.refresh()
        remembered = timedelta(hours=settings.idempotency.hours)
        yield Ingestion(
            settings=settings,
            event_limits=event_limits,
            contracts=contracts,
            store=store,
            rejections=rejections,
            ingest=Ingest(contracts, commit),
            replay=Replay(rejections, contracts, commit, clock, event_limits),
            once=Once(SqlAnswers(store.engine, ANSWER_LEASE), clock, remembered),
            load=Load(store, SqlMarks(store.engine), clock),
            registry=registry,
            measurements=measurements,
            cursor_secret=cursor_secret(store.engine),
            keys=keys,
        )


@contextmanager
def opened(settings: IngestionSettings) -> Iterator[SqlStore]:
    """The store alone, whatever its tables are."""
    url = settings.eventlog_url.get_secret_value()
    with opened_database(url, create=True, setting="TRIPTYCH_EVENTLOG_URL") as engine:
        yield SqlStore(engine)


def _commit_limits(settings: IngestionSettings) -> CommitLimits:
    commit = settings.commit
    return CommitLimits(
        group_events=commit.group_events,
        queue_events=commit.queue_events,
        queue_bytes=commit.queue_bytes,
        seconds=commit.seconds,
        writers=commit.writers,
    )
