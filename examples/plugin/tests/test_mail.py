"""The plugins keep what Triptych's conformance kit demands of them."""

from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
from mail_for_triptych.domains import AllowedDomains, MailDomain
from mail_for_triptych.mbox import Mbox

from triptych.etl.application.ports import Reading
from triptych.etl.testing.checks import RowCheckConformance
from triptych.etl.testing.sources import SourceConformance
from triptych.etl.testing.transforms import TransformConformance

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)


def message(number: int) -> dict[str, Any]:
    return {
        "message_id": f"<{number}@example.com>",
        "sender": "Ada <ada@example.com>",
        "subject": "hello",
        "sent_at": NOON,
    }


class TestMbox(SourceConformance):
    plugin = Mbox
    configuration = {"path": "inbox.mbox"}
    parts = ([message(1), message(2)], [message(3)])

    def put(self, reading: Reading, rows: Any) -> None:
        with (reading.resources.files / "inbox.mbox").open("a") as file:
            for row in rows:
                file.write(
                    f"From ada Tue Jan 01 12:00:00 2030\n"
                    f"Message-ID: {row['message_id']}\nFrom: {row['sender']}\n"
                    f"Subject: {row['subject']}\nDate: {row['sent_at']:%a, %d %b %Y %H:%M:%S %z}\n"
                    "\nHow are you?\n\n"
                )


SENDERS = pa.table({"sender": ["Ada <ada@Example.com>", "bob@example.org", "nobody", None]})


class TestMailDomain(TransformConformance):
    plugin = MailDomain
    configuration = {"column": "sender", "into": "domain"}
    columns = ("sender",)
    rows = SENDERS
    expected = [
        {"sender": "Ada <ada@Example.com>", "domain": "example.com"},
        {"sender": "bob@example.org", "domain": "example.org"},
        {"sender": "nobody", "domain": None},
        {"sender": None, "domain": None},
    ]


class TestAllowedDomains(RowCheckConformance):
    plugin = AllowedDomains
    configuration = {"column": "sender", "domains": ["example.com"]}
    columns = ("sender",)
    rows = SENDERS
    faulty = (1, 2, 3)
