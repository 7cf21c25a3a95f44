"""Put the service together, by hand."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from triptych.core.domain.clock import SystemClock
from triptych.eventlog.database import open_database
from triptych.ingestion.application.ingest import Ingest
from triptych.ingestion.application.load import Load
from triptych.ingestion.infrastructure.contracts import ContractFolder
from triptych.ingestion.infrastructure.store import SqlStore
from triptych.ingestion.settings import IngestionSettings


@dataclass(frozen=True, slots=True)
class Ingestion:
    """The service's use cases, ready to use."""

    ingest: Ingest
    load: Load
    store: SqlStore


@contextmanager
def wire(settings: IngestionSettings) -> Iterator[Ingestion]:
    """The service as these settings make it.

    Raises:
        NoContracts, NotASchema: the folder of contracts cannot be used.
        WrongDatabase, DatabaseAway: the event log cannot be used.
    """
    contracts = ContractFolder.read(settings.contracts_dir)
    engine = open_database(settings.eventlog_url.get_secret_value(), create=True)
    try:
        store = SqlStore(engine)
        store.prepare()
        ingest = Ingest(contracts, store, SystemClock())
        yield Ingestion(ingest, Load(ingest), store)
    finally:
        engine.dispose()
