"""What the commands beside `etl run` tell, and that they write nothing."""

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from ruamel.yaml import YAML

from triptych.etl.application.cases import cases_of

Ended = subprocess.CompletedProcess[str]
Command = Callable[..., Ended]

PIPELINE = """\
version: 1
name: orders
source:
  files: { paths: ["*.csv"], columns: {id: text, n: integer, email: text} }
transforms:
  - deduplicate: { keys: [id] }
  - mask: { columns: { email: hash }, key: "${KEY}" }
checks:
  - range: { column: n, max: 100 }
sink:
  lake: { table: orders, mode: merge, keys: [id] }
outputs:
  total:
    transforms:
      - aggregate: { measures: { n: sum(n) } }
    sink: { lake: { table: total } }
tests:
  - name: of two with one id the first stays
    given: [{id: a, n: 1}, {id: a, n: 2}, {id: b, n: 500}, {id: c, n: x}]
    expect: { main: [{id: a, n: 1.0}], total: [{n: "1"}] }
    quarantined: [n is more than 100, n is no integer]
"""
KEY = "a key of some length"


@pytest.fixture
def etl(etl: Command, tmp_path: Path) -> Command:
    """Run `etl ARGUMENTS…` with files of the test's own."""
    (tmp_path / "files").mkdir()

    def run(*arguments: str, **variables: str) -> Ended:
        settings = {"TRIPTYCH_FILES_DIR": str(tmp_path / "files"), "KEY": KEY}
        return etl(*arguments, **{**settings, **variables})

    return run


@pytest.fixture
def pipeline(tmp_path: Path) -> str:
    """A pipeline's file."""
    path = tmp_path / "orders.yaml"
    path.write_text(PIPELINE)
    return str(path)


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str], None]:
    def file(name: str, rows: str) -> None:
        (tmp_path / "files" / name).write_text("id,n,email\n" + rows)

    return file


Write = Callable[[str, str], None]


def test_a_plan_tells_what_a_run_would_do_and_writes_nothing(
    etl: Command, pipeline: str, write: Write, tmp_path: Path
) -> None:
    write("1.csv", "a,1,x\nb,2,y\n")
    etl("run", pipeline)
    write("2.csv", "b,3,y\nc,4,z\nd,999,z\n")
    before = sorted(str(path) for path in (tmp_path / "lake").rglob("*"))

    ended = etl("plan", pipeline, "--sql")

    assert ended.returncode == 0, ended.stderr
    assert "orders.main -> orders" in ended.stdout
    assert "3 read = 2 written + 1 quarantined" in ended.stdout
    assert "rows: 1 added, 1 changed, 0 removed" in ended.stdout
    assert "-- transforms[0] deduplicate" in ended.stdout
    assert "ROW_NUMBER()" in ended.stdout
    assert KEY not in ended.stdout
    assert sorted(str(path) for path in (tmp_path / "lake").rglob("*")) == before


def test_a_plan_of_a_first_run_tells_every_column(
    etl: Command, pipeline: str, write: Write
) -> None:
    write("1.csv", "a,1,x\n")

    ended = etl("plan", pipeline)

    assert "  column n: integer (new)" in ended.stdout
    assert "rows: 1 added, 0 changed, 0 removed" in ended.stdout


def test_a_plan_tells_that_there_is_nothing_new(etl: Command, pipeline: str, write: Write) -> None:
    write("1.csv", "a,1,x\n")
    etl("run", pipeline)

    assert etl("plan", pipeline).stdout == "orders: nothing new after position 1\n"


@pytest.mark.parametrize(
    ("step", "shown", "not_shown"),
    [
        ("input", "x@example", "_row "),
        ("transforms[0]", "x@example", "999"),
        ("main", "a", "x@example"),
        ("total", "3", "a"),
    ],
)
def test_rows_are_shown_after_any_step(
    etl: Command, pipeline: str, write: Write, step: str, shown: str, not_shown: str
) -> None:
    write("1.csv", "a,1,x@example\na,999,x@example\nb,2,y\n")

    ended = etl("preview", pipeline, "--step", step)

    assert ended.returncode == 0, ended.stderr
    assert shown in ended.stdout
    assert not_shown not in ended.stdout


def test_a_step_that_is_not_there_is_an_error(etl: Command, pipeline: str) -> None:
    ended = etl("preview", pipeline, "--step", "transform[0]")

    assert ended.returncode == 2
    assert "did you mean 'transforms[0]'?" in ended.stderr


def test_the_cases_of_a_pipeline_pass_or_tell_what_differs(
    etl: Command, pipeline: str, tmp_path: Path
) -> None:
    passed = etl("test", pipeline)
    assert (passed.returncode, passed.stdout) == (
        0,
        f"{pipeline}: of two with one id the first stays: passed\n",
    )

    (tmp_path / "orders.tests.yaml").write_text(
        "tests:\n"
        "  - {name: another, given: [{id: a, n: 7}], expect: [{id: b, n: 7}], quarantined: [x]}\n"
    )
    failed = etl("test", pipeline)

    assert failed.returncode == 1
    assert failed.stdout.splitlines()[1:] == [
        f"{pipeline}: another: failed",
        "  main: expected and not there: id=b, n=7",
        "  main: there and not expected: id=a, n=7",
        "  quarantined: expected and not there: x",
    ]


def test_a_pipeline_is_validated_without_anything_being_there(
    etl: Command, pipeline: str, tmp_path: Path
) -> None:
    ended = etl("validate", pipeline)

    assert ended.stdout == f"{pipeline}: orders -> orders, total: valid\n"
    assert not (tmp_path / "lake").exists()
    assert etl("validate", pipeline, KEY="").returncode == 2


def test_runs_are_remembered(etl: Command, pipeline: str, write: Write) -> None:
    write("1.csv", "a,1,x\n")
    etl("run", pipeline)
    write("2.csv", "a,1\nb,2,y,too,many\n")
    failed = etl("run", pipeline)
    assert failed.returncode == 2

    listed = etl("runs", "list", "--pipeline", "orders").stdout
    run_id = listed.splitlines()[-1].split()[0]
    shown = etl("runs", "show", run_id).stdout

    assert re.search(r"orders\s+failed", listed)
    assert re.search(r"orders\s+done", listed)
    assert "orders: 1 read = 1 written" in shown
    assert etl("runs", "show", "nothing").returncode == 2


def test_the_quarantine_can_be_looked_into(etl: Command, pipeline: str, write: Write) -> None:
    assert etl("quarantine", "list", pipeline).returncode == 0
    write("1.csv", "a,1,x\nb,999,y\nc,many,z\nd,998,z\n")
    etl("run", pipeline)

    listed = etl("quarantine", "list", pipeline).stdout
    shown = etl("quarantine", "show", pipeline).stdout

    assert re.search(r"2\s+checks\s+n is more than 100", listed)
    assert re.search(r"1\s+source files\s+n is no integer", listed)
    assert '"id":"b"' in shown.replace(" ", "")


def test_two_versions_of_a_table_are_compared(etl: Command, pipeline: str, write: Write) -> None:
    write("1.csv", "a,1,x\nb,2,y\n")
    etl("run", pipeline)
    write("2.csv", "b,3,y\n")
    etl("run", pipeline)

    ended = etl("diff", "orders", "--from", "0")

    assert ended.stdout.startswith("orders: 1 rows added, 1 rows removed from version 0 to 1\n")
    assert etl("diff", "orders", "--from", "7").returncode == 2


def test_what_no_version_needs_is_removed(etl: Command, pipeline: str, write: Write) -> None:
    write("1.csv", "a,1,x\n")
    etl("run", pipeline)

    ended = etl("vacuum", "--keep", "1", "--dry-run")

    assert "orders: 0 files (0 bytes) would be removed" in ended.stdout


def test_every_plugin_is_listed_and_shown(etl: Command) -> None:
    listed = etl("plugins", "list").stdout

    for line in listed.splitlines()[1:]:
        assert line.split()[2] == "triptych-etl"
    shown = etl("plugins", "show", "lake").stdout
    assert "source lake: Read a table of the lake" in shown
    assert "sink lake: Write the rows to a table of the lake" in shown
    assert "replace_partitions" in shown
    assert etl("plugins", "show", "lage").returncode == 2


@pytest.fixture
def schema(etl: Command) -> Any:
    return json.loads(etl("schema").stdout)


def test_the_schema_accepts_the_pipelines_that_there_are(schema: Any, shop: Path) -> None:
    validator = jsonschema_rs.Draft202012Validator(schema)
    yaml = YAML(typ="safe", pure=True)

    for text in (PIPELINE, *(path.read_text() for path in (shop / "pipelines").glob("*.yaml"))):
        assert [error.message for error in validator.iter_errors(yaml.load(text))] == []


@pytest.mark.parametrize(
    ("old", "new"),
    [("mode: merge", "mode: merg"), ("deduplicate", "dedup"), ("max: 100", "maxi: 100")],
)
def test_the_schema_refuses_what_a_pipeline_may_not_say(schema: Any, old: str, new: str) -> None:
    validator = jsonschema_rs.Draft202012Validator(schema)
    wrong = YAML(typ="safe", pure=True).load(PIPELINE.replace(old, new))

    assert not validator.is_valid(wrong)


RECORDED = """
version: 1
name: orders
source:
  files:
    paths: ["in/*.FORMAT"]
    columns: {id: text, n: integer, at: timestamptz, price: "decimal(10, 2)"}
inputs:
  names: { files: { paths: ["names.csv"] } }
transforms:
  - filter: { where: n <> 5 }
  - join: { input: names, "on": {id: id}, columns: {name: name} }
checks: [ { range: { column: n, min: 0 } } ]
sink: { lake: { table: orders } }
"""


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("ndjson", '{"id": "ä: #", "n": 1, "price": "1.10"}\n{"id": "b", "n": -1}\n{broken'),
        ("csv", 'id,n,at,price\n"ä: #",1,2030-01-01T12:00:00Z,1.10\nb,-1,,\nc,5,,\n'),
    ],
)
def test_a_case_that_was_recorded_passes(house: Any, kind: str, content: str) -> None:
    house.write(f"in/1.{kind}", content)
    house.write("names.csv", 'id,name\n"ä: #",first\nz,last\n')
    text = RECORDED.replace("FORMAT", kind)

    recorded = house.etl.record(house.pipeline(text), 2)
    pipeline = house.pipeline(text + recorded)

    [case] = cases_of(pipeline)
    assert (len(case.given), len(case.expect["main"])) == (2, 1)
    assert case.quarantined == ("n is less than 0",)
    assert house.etl.test(pipeline, case).differences == ()
