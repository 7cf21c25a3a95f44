"""`etl serve` as a process of its own: schedules, signals, HTTP."""

import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import httpx2
import psycopg
import pyarrow.parquet as pq
import pytest

from triptych.database.engine import open_database
from triptych.etl.infrastructure.turns import SqlTurns
from triptych.lake.lake import Lake
from triptych.testing.postgres import PostgresServer
from triptych.testing.processes import Service, run, running

T = TypeVar("T")

LEASE = timedelta(seconds=2)

PIPELINE = """
version: 1
name: orders
schedule: { on: new_rows }
source:
  files: { paths: ["*.csv"], columns: {id: text, n: integer} }
checks:
  - range: { column: n, max: 100 }
sink:
  lake: { table: orders }
"""
SLOW = """
version: 1
name: slow
schedule: { on: new_rows }
source:
  files: { paths: ["*.csv"], columns: {id: text, n: integer} }
inputs:
  products:
    sql: { url: "${SHOP}", table: products }
sink:
  lake: { table: slow }
"""


def until(found: Callable[[], T]) -> T:
    """What is found, as soon as it is there."""
    deadline = time.monotonic() + 60
    while not (value := found()):
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.02)
    return value


@dataclass
class Place:
    """Where servers run: files, pipelines, a lake, settings."""

    folder: Path
    env: dict[str, str]

    def write(self, name: str, rows: str) -> None:
        """Make a file of rows appear, whole."""
        file = self.folder / "files" / name
        file.with_suffix(".part").write_text("id,n\n" + rows)
        file.with_suffix(".part").rename(file)

    def pipeline(self, text: str, name: str = "one.yaml") -> None:
        (self.folder / "pipelines" / name).write_text(text)

    @contextmanager
    def server(self, **variables: str) -> Iterator[Service]:
        with running("etl", {**self.env, **variables}, str(self.folder / "pipelines")) as service:
            yield service

    def rows(self, table: str = "orders") -> list[str]:
        """The ids of a table's rows."""
        lake = Lake(self.folder / "lake")
        if table not in lake.names():
            return []
        files = lake.table(table).snapshot().files
        return sorted(row["id"] for file in files for row in pq.read_table(file).to_pylist())


@pytest.fixture
def place(tmp_path: Path, environment: dict[str, str]) -> Place:
    (tmp_path / "files").mkdir()
    (tmp_path / "pipelines").mkdir()
    settings = {
        **environment,
        "TRIPTYCH_FILES_DIR": str(tmp_path / "files"),
        "TRIPTYCH_SCHEDULE__LOOK_SECONDS": "0.1",
        "TRIPTYCH_SCHEDULE__LEASE_SECONDS": str(LEASE.total_seconds()),
    }
    return Place(tmp_path, settings)


def get(server: Service, path: str) -> Any:
    return httpx2.get(server.url + path, timeout=30).json()


@dataclass
class Gate:
    """A table that a run has to read, and that is locked: runs wait in front of it."""

    url: str
    connection: psycopg.Connection[Any]

    @property
    def waiting(self) -> int:
        """How many runs wait."""
        query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        with psycopg.connect(self.connection.info.dsn) as other:
            [number] = other.execute(query).fetchone() or [0]
        return int(number)

    def open(self) -> None:
        """Let them go on."""
        self.connection.rollback()


@pytest.fixture
def gate(postgres_server: PostgresServer, place: Place) -> Iterator[Gate]:
    url = postgres_server.create_database()
    place.env["SHOP"] = url
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        connection.execute("CREATE TABLE products (id text)")
        connection.commit()
        connection.execute("LOCK TABLE products IN ACCESS EXCLUSIVE MODE")
        yield Gate(url, connection)


def test_a_server_runs_a_pipeline_whenever_there_are_new_files(place: Place) -> None:
    place.pipeline(PIPELINE)
    place.write("1.csv", "a,1\nb,500\n")

    with place.server() as server:
        until(lambda: place.rows() == ["a"])
        place.write("2.csv", "c,3\n")
        until(lambda: place.rows() == ["a", "c"])
        measured = until(
            lambda: _measured(server, 'etl_turns_total{outcome="done",pipeline="orders"} 2.0')
        )
        runs = get(server, "/v1/runs?pipeline=orders&status=done&limit=1")
        older = get(server, f"/v1/runs?pipeline=orders&status=done&cursor={runs['next']}")
        one = get(server, f"/v1/runs/{runs['runs'][0]['id']}")
        [listed] = get(server, "/v1/pipelines")["pipelines"]
        ready = httpx2.get(f"{server.url}/readyz")
        code = server.stop()

    assert 'etl_rows_total{outcome="quarantined",output="main",pipeline="orders"} 1.0' in measured
    assert "etl_last_success_timestamp_seconds" in measured
    assert [len(runs["runs"]), len(older["runs"]), older["next"]] == [1, 1, None]
    assert one == runs["runs"][0]
    assert "1 written" in one["outputs"][0]
    assert (listed["name"], listed["last_run"]["id"]) == ("orders", one["id"])
    assert listed["schedule"] == {"cron": None, "timezone": "UTC", "on": "new_rows"}
    assert listed["positions"]["main"] > 0
    assert (ready.status_code, ready.json()["notes"]) == (200, {})
    assert code == 0


def _measured(server: Service, line: str) -> str:
    text = httpx2.get(f"{server.url}/metrics").text
    return text if line in text else ""


def test_a_server_that_is_killed_in_mid_run_leaves_work_for_the_next_one(
    place: Place, gate: Gate
) -> None:
    place.pipeline(SLOW)
    place.write("1.csv", "a,1\nb,2\n")
    with place.server() as server:
        until(lambda: gate.waiting)
        server.stop(signal.SIGKILL)
    assert place.rows("slow") == []
    gate.open()

    with place.server() as server:
        until(lambda: place.rows("slow"))
        runs = until(lambda: _ended(server))

    assert place.rows("slow") == ["a", "b"]
    assert [run["status"] for run in runs] == ["done", "running"]  # the one that died


def _ended(server: Service) -> Any:
    runs = get(server, "/v1/runs")["runs"]
    return runs if runs[0]["status"] == "done" else []


def lease_end(place: Place) -> datetime:
    """Until when somebody has the turn of the pipeline `slow`."""
    engine = open_database(place.env["TRIPTYCH_STATE_URL"])
    end = SqlTurns(engine).seen(["slow"], datetime.now(UTC))["slow"].ends_at
    engine.dispose()
    assert end is not None
    return end


def test_of_two_servers_one_runs_a_pipeline_and_it_keeps_its_turn(place: Place, gate: Gate) -> None:
    place.pipeline(SLOW)
    place.write("1.csv", "a,1\n")

    with place.server() as one, place.server() as other:
        until(lambda: gate.waiting)
        first = lease_end(place)
        until(lambda: lease_end(place) > first + 2 * LEASE)
        begun = get(one, "/v1/runs")["runs"]
        [seen] = get(other, "/v1/pipelines")["pipelines"]
        waiting = gate.waiting
        gate.open()
        until(lambda: place.rows("slow"))

    assert (len(begun), waiting, seen["running"]) == (1, 1, True)
    assert place.rows("slow") == ["a"]


def test_a_run_that_is_under_way_ends_well_before_the_server_does(place: Place, gate: Gate) -> None:
    place.pipeline(SLOW)
    place.write("1.csv", "a,1\n")

    with place.server() as server:
        until(lambda: gate.waiting)
        server.process.send_signal(signal.SIGTERM)
        until(lambda: any('"http.stopped"' in line for line in list(server.lines)))
        gate.open()
        code = server.process.wait(30)

    assert (code, place.rows("slow")) == (0, ["a"])


def test_a_run_that_nothing_can_stop_does_not_keep_the_server(place: Place, gate: Gate) -> None:
    place.pipeline(SLOW)
    place.write("1.csv", "a,1\n")

    with place.server(TRIPTYCH_ETL__SHUTDOWN_SECONDS="1") as server:
        until(lambda: gate.waiting)
        code = server.stop()
        abandoned = [line for line in list(server.lines) if '"pipeline.abandoned"' in line]

    assert (code, len(abandoned), place.rows("slow")) == (0, 1, [])
    gate.open()
    with place.server():
        until(lambda: place.rows("slow") == ["a"])


def test_pipelines_are_read_again_on_sighup_as_a_whole_or_not_at_all(place: Place) -> None:
    place.pipeline(PIPELINE)

    with place.server() as server:
        place.pipeline(PIPELINE.replace("orders", "others"), "two.yaml")
        place.pipeline(PIPELINE.replace("max: 100", "mx: 100"))
        server.process.send_signal(signal.SIGHUP)
        notes = until(lambda: get(server, "/readyz")["notes"])
        still = _names(server)
        place.pipeline(PIPELINE)
        server.process.send_signal(signal.SIGHUP)
        until(lambda: _names(server) == ["orders", "others"])
        mended = get(server, "/readyz")["notes"]
        place.write("1.csv", "a,1\n")
        until(lambda: place.rows("others") == ["a"])

    assert "one.yaml:8:25: unknown key 'mx'" in notes["files"]
    assert (still, mended) == (["orders"], {})
    assert any('"pipelines.reload_failed"' in line for line in list(server.lines))


def _names(server: Service) -> list[str]:
    return [one["name"] for one in get(server, "/v1/pipelines")["pipelines"]]


def test_a_failing_pipeline_is_told_of(place: Place) -> None:
    place.pipeline(PIPELINE.replace("range: { column: n", "range: { column: nn"))
    place.write("1.csv", "a,1\n")

    with place.server() as server:
        notes = until(lambda: get(server, "/readyz")["notes"])
        [listed] = get(server, "/v1/pipelines")["pipelines"]
        failed = get(server, "/v1/runs?status=failed&limit=1")["runs"]

    assert notes["pipelines"].startswith("orders: A step of the pipeline cannot be computed")
    assert "orders: " + listed["trouble"] == notes["pipelines"]
    assert "no column" in failed[0]["error"] or "nn" in failed[0]["error"]


def test_broken_files_are_told_all_at_once_before_anything_runs(place: Place) -> None:
    place.pipeline(PIPELINE.replace("on: new_rows", "cron: 0 25 * * *"))
    place.pipeline(
        PIPELINE.replace("on: new_rows", 'cron: "0 2 * * *", timezone: Berlin'), "2.yaml"
    )
    place.pipeline(PIPELINE.replace("files", "fils"), "3.yaml")
    place.pipeline("rows: [", "4.tests.yaml")

    ended = run("etl", "serve", str(place.folder / "pipelines"), "no-such.yaml", env=place.env)

    assert ended.returncode == 2
    assert "one.yaml:4:13: '0 25 * * *' is no cron expression: bad hour" in ended.stderr
    assert "2.yaml:4:32: no time zone 'Berlin'" in ended.stderr
    assert "3.yaml:6:3: " in ended.stderr
    assert "no-such.yaml" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("files", "told"),
    [([], "There is no pipeline to run"), (["a.yaml", "b.yaml"], "several pipelines are named")],
)
def test_pipelines_that_cannot_be_served_are_refused(
    place: Place, etl: Callable[..., subprocess.CompletedProcess[str]], files: list[str], told: str
) -> None:
    for file in files:
        place.pipeline(PIPELINE, file)

    ended = etl("serve", str(place.folder / "pipelines"))

    assert (ended.returncode, told in ended.stderr) == (2, True), ended.stderr


def test_a_server_listens_on_loopback_only(
    place: Place, etl: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    place.pipeline(PIPELINE)

    open_to_all = "0.0.0.0"  # noqa: S104  # it is to be refused
    ended = etl("serve", str(place.folder / "pipelines"), TRIPTYCH_ETL__HOST=open_to_all)

    assert ended.returncode == 2
    assert "TRIPTYCH_ETL__HOST" in ended.stderr


def test_the_tables_of_etl_are_migrated_by_command(
    etl: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    before = etl("migrate", "--check")
    migrated = etl("migrate")
    after = etl("migrate", "--check")

    assert (before.returncode, migrated.returncode, after.returncode) == (1, 0, 0)
    assert "etl migrate" in before.stderr
    assert after.stdout == "The tables are those of this release.\n"
