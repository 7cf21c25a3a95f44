"""The source `mbox`: a mailbox that mail is appended to (RFC 4155)."""

import mailbox
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
from pydantic import Field
from sqlglot import exp

from triptych.core.documents import Part
from triptych.etl.application.ports import Batches, Reading
from triptych.etl.domain.plugins import Rule
from triptych.etl.domain.relation import Relation, column
from triptych.etl.infrastructure.folders import Confined

SCHEMA = pa.schema(
    {
        "message_id": pa.string(),
        "sender": pa.string(),
        "subject": pa.string(),
        "sent_at": pa.timestamp("us", tz="UTC"),
    }
)


class Mbox(Part):
    """Read the messages of a mailbox file, each once."""

    whole: ClassVar = False

    path: Confined = Field(
        description="Below the folder TRIPTYCH_FILES_DIR.", examples=["mail/inbox.mbox"]
    )

    @property
    def origin(self) -> str:
        return f"mbox/{self.path}"

    def newest(self, reading: Reading, after: int) -> int:
        return max(after, len(self._messages(reading)))

    def read(self, reading: Reading, after: int, until: int) -> Batches:
        return _batches([_row(message) for message in self._messages(reading)[after:until]])

    def given(self, rows: Sequence[Mapping[str, Any]]) -> Batches:
        return _batches([{**row, "sent_at": _moment(row.get("sent_at"))} for row in rows])

    def written(self, raw: Mapping[str, Any]) -> Mapping[str, Any]:
        return raw

    def decode(self, raw: Relation) -> exp.Select:
        return raw.all()

    def rules(self, raw: Relation) -> Iterator[Rule]:
        yield Rule("it does not say when it was sent", column("sent_at").is_(exp.null()).not_())

    def _messages(self, reading: Reading) -> list[mailbox.mboxMessage]:
        file: Path = reading.resources.files / self.path
        if not file.exists():
            return []
        with closing(mailbox.mbox(file, create=False)) as box:
            return list(box)


def _row(message: mailbox.mboxMessage) -> dict[str, Any]:
    return {
        "message_id": message["Message-ID"],
        "sender": message["From"],
        "subject": message["Subject"],
        "sent_at": _sent(message["Date"]),
    }


def _sent(date: str | None) -> datetime | None:
    try:
        return None if date is None else parsedate_to_datetime(date)
    except ValueError:
        return None


def _moment(value: Any) -> Any:
    return datetime.fromisoformat(value) if isinstance(value, str) else value


def _batches(rows: list[dict[str, Any]]) -> Batches:
    return Batches(SCHEMA, pa.Table.from_pylist(rows, schema=SCHEMA).to_batches())
