"""Answers to requests with an idempotency key, in a SQL database."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from triptych.database.engine import writing
from triptych.ingestion.domain.answer import Answer, Claim, KeyedRequest
from triptych.ingestion.infrastructure.tables import answers


@dataclass(frozen=True, slots=True)
class SqlAnswers:
    """Remembers answers; a request that never got one frees its key after `lease`."""

    engine: sa.Engine
    lease: timedelta

    def claim(self, request: KeyedRequest, at: datetime) -> Claim | Answer:
        """See `Answers.claim`."""
        row = {"key": request.key, "digest": request.digest, "until": at + self.lease}
        with writing(self.engine) as connection:
            insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
            connection.execute(sa.delete(answers).where(answers.c.until <= at))
            taken = insert(answers).values(row).on_conflict_do_nothing().returning(answers.c.key)
            if connection.execute(taken).one_or_none():
                return Claim.TAKEN
            query = sa.select(answers).where(answers.c.key == request.key)
            found = connection.execute(query).one()
        if found.digest != request.digest:
            return Claim.OTHER_REQUEST
        if found.status is None:
            return Claim.IN_FLIGHT
        return Answer(found.status, found.body)

    def keep(self, request: KeyedRequest, answer: Answer, until: datetime) -> None:
        """See `Answers.keep`."""
        this = sa.update(answers).where(answers.c.key == request.key)
        with writing(self.engine) as connection:
            connection.execute(this.values(status=answer.status, body=answer.body, until=until))

    def release(self, request: KeyedRequest) -> None:
        """See `Answers.release`."""
        unanswered = sa.and_(answers.c.key == request.key, answers.c.status.is_(None))
        with writing(self.engine) as connection:
            connection.execute(sa.delete(answers).where(unanswered))
