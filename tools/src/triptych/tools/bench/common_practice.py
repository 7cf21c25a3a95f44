"""Common practice: what many would write first, done well.

A pydantic model checks each event, an ORM session for each request stores it and commits; the
endpoints are plain functions in the framework's threads. It has the same loop, parser and
durability as ingestion, and logs no requests. It keeps less: no contract, no rejections, no
conflicts, no metrics.

`DATABASE_URL=… python -m triptych.tools.bench.common_practice` serves until SIGTERM.
"""

import os
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Final, TypeAlias

import sqlalchemy as sa
from fastapi import Depends, FastAPI, Request
from pydantic import BaseModel, Field
from sqlalchemy import orm
from sqlalchemy.exc import IntegrityError

from triptych.tools.bench.plainly import serve

_LOCK_SECONDS: Final = 30


class Data(BaseModel):
    """An invoice, as its contract has it."""

    invoice: str = Field(pattern="^C?[0-9]{6}$")
    customer: str | None = Field(default=None, pattern="^[0-9]{5}$")
    country: str = Field(min_length=1, max_length=60)
    quantity: int
    unit_price: str = Field(pattern="^[0-9]{1,9}([.][0-9]{1,4})?$")


class EventIn(BaseModel):
    """An event that comes in."""

    specversion: str
    id: str
    source: str
    type: str
    time: datetime
    subject: str | None = None
    dataschema: str | None = None
    traceparent: str | None = None
    data: Data


class Base(orm.DeclarativeBase):
    """All tables."""


class EventRow(Base):
    """An event that is stored."""

    __tablename__ = "events"
    __table_args__ = (sa.UniqueConstraint("source", "id"),)

    position: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    source: orm.Mapped[str]
    id: orm.Mapped[str]
    type: orm.Mapped[str] = orm.mapped_column(index=True)
    accepted_at: orm.Mapped[datetime]
    event: orm.Mapped[dict[str, object]] = orm.mapped_column(sa.JSON)

    @classmethod
    def of(cls, event: EventIn) -> "EventRow":
        """The row for an event."""
        return cls(
            source=event.source,
            id=event.id,
            type=event.type,
            accepted_at=datetime.now(UTC).replace(tzinfo=None),
            event=event.model_dump(mode="json", exclude_none=True),
        )


def session(request: Request) -> Iterator[orm.Session]:
    """A session for one request."""
    with orm.Session(request.app.state.engine) as opened:
        yield opened


InSession: TypeAlias = Annotated[orm.Session, Depends(session)]


def create_app(url: str) -> FastAPI:
    """The application."""
    app = FastAPI()
    app.state.engine = _engine(url)
    Base.metadata.create_all(app.state.engine)

    @app.post("/v1/events")
    def post_event(event: EventIn, session: InSession) -> dict[str, str]:
        return {"status": _store(session, [event])}

    @app.post("/v1/batches")
    def post_batch(events: list[EventIn], session: InSession) -> dict[str, str]:
        return {"status": _store(session, events)}

    return app


def _store(session: orm.Session, events: list[EventIn]) -> str:
    session.add_all(EventRow.of(event) for event in events)
    try:
        session.commit()
    except IntegrityError:
        return "duplicate"
    return "accepted"


def _engine(url: str) -> sa.Engine:
    if not url.startswith("sqlite"):
        return sa.create_engine(url)
    engine = sa.create_engine(url, connect_args={"timeout": _LOCK_SECONDS})
    sa.event.listen(engine, "connect", _durable)
    return engine


def _durable(connection: sqlite3.Connection, _: object) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")


def main() -> None:
    """Serve."""
    serve(create_app(os.environ["DATABASE_URL"]))


if __name__ == "__main__":
    main()
