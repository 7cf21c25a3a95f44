"""The `ingestion` command, in this process: what it does, and what it says when it cannot."""

import gzip
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
import sqlalchemy as sa

from triptych.database.engine import open_database, reading
from triptych.eventlog.log import EventLogReader
from triptych.ingestion.infrastructure.files.ndjson import MAX_LINE_BYTES
from triptych.ingestion.infrastructure.tables import rejections
from triptych.testing.builders import invoice_json

Ended = subprocess.CompletedProcess[str]
Command = Callable[..., Ended]

USAGE_ERROR, FAILURE = 2, 1


@pytest.fixture
def mapping(shop: Path) -> str:
    return str(shop / "mappings" / "online-retail.yaml")


def invoices(*numbers: int, **data: Any) -> bytes:
    events = (invoice_json(invoice=str(100000 + number), **data) for number in numbers)
    return b"".join(orjson.dumps(event) + b"\n" for event in events)


def rows(*rows_: str) -> str:
    header = "InvoiceNo,InvoiceDate,CustomerID,Country,Quantity,UnitPrice"
    return "\n".join([header, *rows_, ""])


ROWS = rows(
    "536365,12/1/2010 8:26,17850,United Kingdom,40,3.91",
    "C536379,12/1/2010 9:41,(blank),United Kingdom,-1,27.50",
    "A563185,8/12/2011 14:50,,United Kingdom,1,11062.06",
)


def ask(database: str, query: sa.Select[Any]) -> list[tuple[Any, ...]]:
    engine = open_database(database)
    with reading(engine) as connection:
        found = [tuple(row) for row in connection.execute(query)]
    engine.dispose()
    return found


def stored(database: str) -> int:
    engine = open_database(database)
    newest = EventLogReader(engine).newest()
    engine.dispose()
    return newest


def assert_foreseen(ended: Ended, code: int, *words: str) -> None:
    """It ended with this code and one message with all of these words, and no traceback."""
    assert ended.returncode == code
    assert ended.stderr.startswith("ingestion: error: ")
    assert "Traceback" not in ended.stdout + ended.stderr
    for word in words:
        assert word in ended.stderr


def test_a_file_of_events_is_loaded(ingestion: Command, tmp_path: Path, database: str) -> None:
    file = tmp_path / "orders.ndjson"
    file.write_bytes(invoices(1, 2) + b"\n" + invoices(3))

    ended = ingestion("load", str(file))

    assert ended.returncode == 0
    assert ended.stdout.splitlines() == [
        "orders.ndjson: 3 read = 3 accepted + 0 duplicate + 0 conflict + 0 rejected"
    ]
    assert stored(database) == 3


def test_a_csv_file_is_loaded_through_its_mapping(
    ingestion: Command, tmp_path: Path, mapping: str
) -> None:
    file = tmp_path / "shop.csv"
    file.write_text(ROWS)

    ended = ingestion("load", str(file), "--mapping", mapping)

    assert ended.stdout.splitlines() == [
        "shop.csv: 3 read = 2 accepted + 0 duplicate + 0 conflict + 1 rejected",
        "        1  shop.invoice/1: /data/invoice pattern",
    ]


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("kind", ["ndjson", "csv"])
def test_a_file_that_is_loaded_twice_is_stored_once(
    ingestion: Command, tmp_path: Path, mapping: str, kind: str, packed: bool
) -> None:
    content = invoices(1, 2) if kind == "ndjson" else ROWS.encode()
    file = tmp_path / f"events.{kind}"
    file.write_bytes(gzip.compress(content) if packed else content)
    options = ["--mapping", mapping] if kind == "csv" else []
    first = ingestion("load", str(file), *options)

    again = ingestion("load", str(file), *options, "--restart")

    assert "2 accepted + 0 duplicate" in first.stdout
    assert "0 accepted + 2 duplicate" in again.stdout


def test_malformed_lines_are_kept_with_their_file_and_line(
    ingestion: Command, tmp_path: Path, database: str
) -> None:
    file = tmp_path / "orders.ndjson"
    file.write_bytes(b'{"id":\n' + invoices(1) + b"nonsense\n")

    ended = ingestion("load", str(file))

    columns = (rejections.c.origin, rejections.c.raw, rejections.c.reason)
    kept = ask(database, sa.select(*columns).order_by(rejections.c.origin))
    assert ended.returncode == 3
    assert "1 accepted + 0 duplicate + 0 conflict + 2 rejected" in ended.stdout
    assert kept == [
        ("orders.ndjson:1", b'{"id":', "malformed"),
        ("orders.ndjson:3", b"nonsense", "malformed"),
    ]


def test_a_line_that_is_too_long_is_rejected_and_the_rest_loaded(
    ingestion: Command, tmp_path: Path
) -> None:
    file = tmp_path / "orders.ndjson"
    file.write_bytes(b"x" * (MAX_LINE_BYTES + 1) + b"\n" + invoices(1))

    ended = ingestion("load", str(file))

    assert ended.stdout.splitlines() == [
        "orders.ndjson: 2 read = 1 accepted + 0 duplicate + 0 conflict + 1 rejected",
        "        1  malformed: max-bytes",
    ]


def test_what_was_read_before_a_gzip_breaks_off_stays_stored(
    ingestion: Command, tmp_path: Path, database: str
) -> None:
    file = tmp_path / "orders.ndjson.gz"
    # A whole batch is in the first member, which is followed by half of another one.
    whole, rest = gzip.compress(invoices(*range(1000))), gzip.compress(invoices(1000))
    file.write_bytes(whole + rest[: len(rest) // 2])

    ended = ingestion("load", str(file))

    assert_foreseen(ended, USAGE_ERROR, "'orders.ndjson.gz'", "load it again: nothing doubles")
    assert stored(database) == 1000


def test_a_missing_file_is_named(ingestion: Command) -> None:
    ended = ingestion("load", "missing.ndjson")

    assert_foreseen(ended, USAGE_ERROR, "'missing.ndjson'", "No such file", "Check the path")


def test_a_csv_file_without_a_mapping_is_refused(ingestion: Command, tmp_path: Path) -> None:
    file = tmp_path / "shop.csv.gz"
    file.write_bytes(gzip.compress(ROWS.encode()))

    ended = ingestion("load", str(file))

    assert_foreseen(ended, USAGE_ERROR, "'shop.csv.gz'", "--mapping MAPPING.yaml")


def test_a_column_that_the_file_does_not_have_is_named(
    ingestion: Command, tmp_path: Path, mapping: str
) -> None:
    file = tmp_path / "shop.csv"
    file.write_text(ROWS.replace("UnitPrice", "Unit Price"))

    ended = ingestion("load", str(file), "--mapping", mapping)

    assert_foreseen(
        ended, USAGE_ERROR, "no column 'UnitPrice'", "did you mean 'Unit Price'?", "first line"
    )


def test_a_wrong_key_in_a_mapping_is_named_with_its_place(
    ingestion: Command, tmp_path: Path, mapping: str
) -> None:
    file = tmp_path / "shop.csv"
    file.write_text(ROWS)
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(Path(mapping).read_text().replace("  zone:", "  zoen:"))

    ended = ingestion("load", str(file), "--mapping", str(wrong))

    assert_foreseen(
        ended, USAGE_ERROR, f"{wrong}:9:3: unknown key 'zoen': did you mean 'zone'?", "Mend"
    )


def test_missing_contracts_are_an_error_that_names_the_setting(
    ingestion: Command, tmp_path: Path
) -> None:
    ended = ingestion("serve", TRIPTYCH_CONTRACTS_DIR=str(tmp_path / "nowhere"))

    assert_foreseen(ended, USAGE_ERROR, "nowhere", "Set TRIPTYCH_CONTRACTS_DIR")


@pytest.mark.parametrize(
    ("contract", "what"),
    [("{", "order.v1.json:1:"), ('{"type": "objekt"}', "/type")],
    ids=["not-json", "not-a-schema"],
)
def test_a_broken_contract_is_named_with_its_place(
    ingestion: Command, tmp_path: Path, contract: str, what: str
) -> None:
    (tmp_path / "order.v1.json").write_text(contract)

    ended = ingestion("serve", TRIPTYCH_CONTRACTS_DIR=str(tmp_path))

    assert_foreseen(ended, USAGE_ERROR, "order.v1.json", what, "Mend the schema")


@pytest.mark.parametrize("url", ["mysql://user:hunter2@host/db", "sqlite://", "nonsense"])
def test_a_database_that_is_not_supported_is_refused_without_its_password(
    ingestion: Command, url: str
) -> None:
    ended = ingestion("serve", TRIPTYCH_EVENTLOG_URL=url)

    assert_foreseen(ended, USAGE_ERROR, "TRIPTYCH_EVENTLOG_URL: ", "sqlite:///")
    assert "hunter2" not in ended.stderr


def test_a_data_folder_that_cannot_be_is_an_error_that_says_what_to_check(
    ingestion: Command, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()

    ended = ingestion(
        "serve", TRIPTYCH_EVENTLOG_URL=f"sqlite:///{tmp_path / 'file' / 'eventlog.db'}"
    )

    assert_foreseen(ended, FAILURE, "TRIPTYCH_EVENTLOG_URL: ", "read and write")


def test_a_port_that_is_in_use_is_named_with_the_setting_to_change(ingestion: Command) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        ended = ingestion("serve", TRIPTYCH_INGESTION__PORT=str(port))

    assert_foreseen(ended, FAILURE, f"127.0.0.1:{port}", "set TRIPTYCH_INGESTION__PORT")


def test_an_address_that_others_can_reach_is_refused(ingestion: Command) -> None:
    ended = ingestion("serve", TRIPTYCH_INGESTION__HOST="0.0.0.0")  # noqa: S104  # that is the test

    assert_foreseen(ended, USAGE_ERROR, "TRIPTYCH_INGESTION__HOST", "listen on 127.0.0.1")


def test_every_wrong_setting_is_named_at_once(ingestion: Command) -> None:
    ended = ingestion(
        "serve",
        TRIPTYCH_INGESTION__PORT="99999",
        TRIPTYCH_LIMITS__BODY_BYTES="much",
        TRIPTYCH_LOG__LEVEL="loud",
    )

    assert_foreseen(
        ended,
        USAGE_ERROR,
        "TRIPTYCH_INGESTION__PORT: ",
        "TRIPTYCH_LIMITS__BODY_BYTES: ",
        "TRIPTYCH_LOG__LEVEL: ",
        "for example TRIPTYCH_INGESTION__PORT=8001",
    )


@pytest.mark.parametrize("arguments", [["load"], ["lod"], ["load", "a", "--maping", "b"]])
def test_a_wrong_command_line_is_a_usage_error(ingestion: Command, arguments: list[str]) -> None:
    ended = ingestion(*arguments)

    assert ended.returncode == USAGE_ERROR
    assert "Usage: " in ended.stderr
    assert "Traceback" not in ended.stderr
