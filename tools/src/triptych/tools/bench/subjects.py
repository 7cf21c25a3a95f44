"""What is measured over HTTP: ingestion, and what it is compared with."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from triptych.testing.processes import Service, running
from triptych.tools.bench.generator import Job
from triptych.tools.repository import ROOT
from triptych.tools.stores import NewStore, Store

CONTRACTS: Final = {"TRIPTYCH_CONTRACTS_DIR": str(ROOT / "examples" / "shop" / "contracts")}


class Subject(StrEnum):
    """Who does the work."""

    INGESTION = "ingestion"
    COMMON_PRACTICE = "common practice"
    NO_OP = "no-op"
    COPY = "COPY"


OVER_HTTP: Final = (Subject.INGESTION, Subject.COMMON_PRACTICE, Subject.NO_OP)


@dataclass(frozen=True, slots=True)
class Shape:
    """How the events come."""

    batch: int
    """Events a request."""
    connections: int

    def __str__(self) -> str:
        events = f"batches of {self.batch}" if self.batch > 1 else "single events"
        return f"{events}, {self.connections} connections".replace(
            " 1 connections", " 1 connection"
        )


@dataclass(frozen=True, slots=True)
class Server:
    """A subject that is running."""

    subject: Subject
    service: Service
    store: Store | None

    @property
    def pid(self) -> int:
        """Its process."""
        return self.service.process.pid

    def job(self, shape: Shape, seconds: float, warmup: float) -> Job:
        """The work of sending it events of this shape."""
        batches = self.subject is Subject.COMMON_PRACTICE and shape.batch > 1
        url = f"{self.service.url}/v1/{'batches' if batches else 'events'}"
        return Job(url, shape.batch, shape.connections, seconds, warmup)


@contextmanager
def servers(new_store: NewStore) -> Iterator[list[Server]]:
    """All subjects, each with a database of its own, until the block ends."""
    with ExitStack() as stack:
        own, other = new_store(), new_store()
        usual = {"DATABASE_URL": other.url}
        practice = stack.enter_context(running("tools.bench.common_practice", usual))
        no_op = stack.enter_context(running("tools.bench.no_op", {}))
        yield [
            Server(Subject.INGESTION, stack.enter_context(ingestion(own)), own),
            Server(Subject.COMMON_PRACTICE, practice, other),
            Server(Subject.NO_OP, no_op, None),
        ]


@contextmanager
def ingestion(store: Store) -> Iterator[Service]:
    """The service, with its tables in a database and the shop's contracts.

    Raises:
        NotMigrated: it does not make its tables there.
        DidNotStart: it does not listen in time.
    """
    store.migrate()
    with running("ingestion", {"TRIPTYCH_EVENTLOG_URL": store.url, **CONTRACTS}) as service:
        yield service
