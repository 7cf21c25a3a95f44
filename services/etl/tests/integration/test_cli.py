"""The `etl` command: what it does, and what it says when it cannot."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from triptych.core.domain.event import Event
from triptych.database.engine import open_database, writing
from triptych.database.schema import migrate
from triptych.eventlog.log import SCHEMA, append
from triptych.testing.builders import NOON, an_event
from triptych.testing.processes import run

Ended = subprocess.CompletedProcess[str]
Command = Callable[..., Ended]

USAGE_ERROR, FAILURE = 2, 1


def an_invoice(number: str, quantity: int, price: str) -> Event:
    data = {"invoice": number, "country": "France", "quantity": quantity, "unit_price": price}
    return an_event(type="shop.invoice", id=number, data=data)


def fill(url: str) -> None:
    """Make an event log with two sales and a cancellation, one of them a slip of the keyboard."""
    engine = open_database(url, create=True)
    migrate(engine, [SCHEMA])
    events = [
        an_invoice("100001", 2, "3.50"),
        an_invoice("C100002", -1, "3.50"),
        an_invoice("100003", 1, "50000.01"),
    ]
    with writing(engine) as connection:
        append(connection, [event.document for event in events], NOON)
    engine.dispose()


@pytest.fixture
def events(database: str) -> None:
    fill(database)


@pytest.fixture
def sales(shop: Path, tmp_path: Path) -> Path:
    """The shop's pipeline, as a copy that may be changed."""
    copy = tmp_path / "sales.yaml"
    shutil.copy(shop / "pipelines" / "sales.yaml", copy)
    return copy


def change(file: Path, old: str, new: str) -> str:
    """Change a pipeline in one place; its path."""
    text = file.read_text()
    assert text.count(old) == 1
    file.write_text(text.replace(old, new))
    return str(file)


def assert_foreseen(ended: Ended, code: int, *words: str) -> None:
    """It ended with this code and one message with all of these words, and no traceback."""
    assert ended.returncode == code
    events = [line for line in ended.stderr.splitlines() if line.startswith("{")]
    assert ended.stderr.removeprefix("".join(f"{line}\n" for line in events)).startswith(
        "etl: error: "
    )
    assert "Traceback" not in ended.stdout + ended.stderr
    for word in words:
        assert word in ended.stderr


@pytest.mark.usefixtures("events")
def test_pipelines_run_in_their_order_and_account_for_every_row(etl: Command, shop: Path) -> None:
    folder = shop / "pipelines"

    ended = etl("run", str(folder / "sales.yaml"), str(folder / "refunds.yaml"))

    assert ended.returncode == 0
    assert ended.stdout.splitlines() == [
        "sales: 3 read = 2 written + 1 quarantined + 0 filtered + 0 duplicates -> sales version 0",
        "refunds: 3 read = 1 written + 0 quarantined + 2 filtered + 0 duplicates -> refunds version 0",
    ]


@pytest.mark.usefixtures("events")
def test_a_pipeline_without_anything_new_says_so(etl: Command, sales: Path) -> None:
    etl("run", str(sales))

    ended = etl("run", str(sales))

    assert ended.stdout.splitlines() == [
        "sales: 0 read = 0 written + 0 quarantined + 0 filtered + 0 duplicates -> no change"
    ]


@pytest.mark.parametrize(
    ("old", "new", "where", "what"),
    [
        ("derive:", "dervie:", "14:5", "no transform 'dervie': did you mean 'derive'?"),
        ("lake:", "lage:", "23:3", "no sink 'lage': did you mean 'lake'?"),
        ("not_null:", "notnull:", "19:5", "no check 'notnull': did you mean 'not_null'?"),
        ("  events:", "  event:", "5:3", "no source 'event': did you mean 'events'?"),
    ],
)
def test_an_unknown_plugin_is_named_with_its_place_and_the_nearest_one(
    etl: Command, sales: Path, old: str, new: str, where: str, what: str
) -> None:
    file = change(sales, old, new)

    ended = etl("run", file)

    assert_foreseen(ended, USAGE_ERROR, f"{file}:{where}: {what}", "install the package")


@pytest.mark.parametrize(
    ("old", "new", "where", "what"),
    [
        ("transforms:", "transform:", "13:1", "unknown key 'transform': did you mean 'transforms'"),
        ("types:", "type:", "6:5", "unknown key 'type': did you mean 'types'"),
        ("max:", "maximum:", "21:34", "unknown key 'maximum': did you mean 'max'"),
        ("version: 1\n", "version: 2\n", "2:1", "'version': input should be 1"),
        ("table: sales", "table: Sales", "23:11", "'table': string should match"),
        ("quantity: integer", "quantity: int", "11:7", "'int' is no type: use text, integer"),
        ("'C')", "'C'", "17:9", "\"starts_with(invoice, 'C'\" is no expression"),
        (
            "quantity * unit_price",
            "getenv('HOME')",
            "16:9",
            "\"getenv('HOME')\": 'getenv' is not allowed",
        ),
    ],
)
def test_a_wrong_place_in_a_pipeline_is_named_with_line_and_column(
    etl: Command, sales: Path, old: str, new: str, where: str, what: str
) -> None:
    file = change(sales, old, new)

    ended = etl("run", file)

    assert_foreseen(ended, USAGE_ERROR, f"{file}:{where}: {what}", "Mend the places")


@pytest.mark.parametrize(
    ("text", "where"),
    [("version: [1\n", "2:1"), ("a: 1\na: 2\n", "2:1"), ("a: &x 1\n", "1:4"), ("", "1:1")],
    ids=["open-bracket", "a-key-twice", "an-anchor", "empty"],
)
def test_what_is_no_plain_yaml_is_named_with_its_place(
    etl: Command, tmp_path: Path, text: str, where: str
) -> None:
    file = tmp_path / "sales.yaml"
    file.write_text(text)

    ended = etl("run", str(file))

    assert_foreseen(ended, USAGE_ERROR, f"{file}:{where}: ")


def test_a_missing_pipeline_is_named(etl: Command) -> None:
    ended = etl("run", "missing.yaml")

    assert_foreseen(ended, USAGE_ERROR, "'missing.yaml'", "No such file", "Check the path")


@pytest.mark.usefixtures("events")
def test_nothing_runs_when_one_of_the_pipelines_is_wrong(
    etl: Command, shop: Path, sales: Path, tmp_path: Path
) -> None:
    wrong = change(sales, "derive:", "dervie:")

    etl("run", str(shop / "pipelines" / "refunds.yaml"), wrong)

    assert not (tmp_path / "lake").exists()


def test_a_missing_event_log_is_named_and_not_made(
    etl: Command, sales: Path, tmp_path: Path
) -> None:
    ended = etl("run", str(sales))

    assert_foreseen(ended, USAGE_ERROR, str(tmp_path / "eventlog.db"), "TRIPTYCH_EVENTLOG_URL: ")
    assert not (tmp_path / "eventlog.db").exists()


@pytest.mark.usefixtures("events")
def test_a_column_that_does_not_exist_is_named_with_its_step(etl: Command, sales: Path) -> None:
    file = change(sales, "quantity * unit_price", "amount * unit_price")

    ended = etl("run", file)

    assert_foreseen(ended, USAGE_ERROR, "transforms[0] derive: ", '"amount"', "Nothing was written")


@pytest.mark.usefixtures("events")
def test_a_table_with_other_columns_is_not_written_to(etl: Command, sales: Path) -> None:
    etl("run", str(sales))
    file = change(sales, "name: sales", "name: other_sales")
    change(sales, "revenue: quantity", "turnover: quantity")

    ended = etl("run", file)

    assert_foreseen(ended, FAILURE, "'sales': revenue, turnover", "another name")


def test_a_lake_that_cannot_be_is_an_error_that_says_what_to_check(
    etl: Command, sales: Path, database: str, tmp_path: Path
) -> None:
    fill(database)
    (tmp_path / "file").touch()
    lake = str(tmp_path / "file" / "lake")

    ended = etl("run", str(sales), TRIPTYCH_LAKE_URL=lake)

    assert_foreseen(ended, FAILURE, lake, "Check TRIPTYCH_LAKE_URL")


def test_every_wrong_setting_is_named_at_once(etl: Command, sales: Path) -> None:
    ended = etl("run", str(sales), TRIPTYCH_LOG__LEVEL="loud", TRIPTYCH_LOG__FORMAT="xml")

    assert_foreseen(ended, USAGE_ERROR, "TRIPTYCH_LOG__LEVEL: ", "TRIPTYCH_LOG__FORMAT: ")


@pytest.mark.parametrize("arguments", [["run"], ["rnu"], ["run", "a.yaml", "--until", "1"]])
def test_a_wrong_command_line_is_a_usage_error(etl: Command, arguments: list[str]) -> None:
    ended = etl(*arguments)

    assert ended.returncode == USAGE_ERROR
    assert "Usage: " in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.usefixtures("events")
def test_a_pipeline_runs_in_a_process_of_its_own(environment: dict[str, str], sales: Path) -> None:
    ended = run("etl", "run", str(sales), env=environment)

    assert (ended.returncode, ended.stdout.split(":")[0]) == (0, "sales")
    assert '"run.finished"' in ended.stderr
