"""Each service, installed from its wheels into an empty environment far from the repository, does its work."""

import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from triptych.tools.repository import NoUv, uv
from triptych.tools.workspace import Package, closure, packages

ROOT = Path(__file__).resolve().parents[2]
PACKAGES: Mapping[str, Package] = {package.name: package for package in packages(ROOT)}


def _can_build() -> bool:
    try:
        uv()
    except NoUv:
        return False
    return (ROOT / "uv.lock").exists() and (ROOT / ".git").exists()


pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.skipif(not _can_build(), reason="this is no clone, or there is no uv"),
]


@dataclass(frozen=True)
class Alone:
    """An environment that holds one service, and an empty folder to run it in."""

    environment: Path
    folder: Path

    def run(self, command: str, *arguments: str) -> str:
        """Run a command of the environment to its end; what it prints."""
        ended = subprocess.run(
            [str(self.environment / "bin" / command), *arguments],
            cwd=self.folder,
            env=_nothing(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    @contextmanager
    def serving(self, command: str) -> Iterator[str]:
        """Serve, with nothing set, until the block ends; where."""
        with subprocess.Popen(
            [str(self.environment / "bin" / command), "serve"],
            cwd=self.folder,
            env=_nothing(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            assert process.stdout is not None
            said = []
            for line in process.stdout:
                said.append(line)
                if found := re.search(r"http://127\.0\.0\.1:\d+", line):
                    break
            else:
                raise AssertionError("".join(said))
            yield found[0]
            process.terminate()
            process.communicate()
            assert process.returncode == 0


def _nothing() -> dict[str, str]:
    """No setting, and nothing of the environment that the tests run in."""
    return {"PATH": os.defpath, "HOME": "/nonexistent", "LANG": "C.UTF-8"}


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Alone]:
    """Install a service and what its distribution declares, from wheels."""

    def install(service: str) -> Alone:
        folder = tmp_path_factory.mktemp(service)
        wheels, environment = folder / "wheels", folder / "environment"
        for name in closure(list(PACKAGES.values()), service):
            _uv("build", "--wheel", "--quiet", "--out-dir", str(wheels), str(PACKAGES[name].folder))
        _uv("venv", "--quiet", str(environment))
        python = ["--python", str(environment / "bin" / "python")]
        locked = ["--constraint", str(ROOT / "3rdparty" / "requirements.txt")]
        found = ["--find-links", str(wheels), *locked]
        _uv("pip", "install", "--quiet", *python, *found, f"triptych-{service}")
        empty = folder / "empty"
        empty.mkdir()
        return Alone(environment, empty)

    return install


def _uv(*arguments: str) -> None:
    ended = subprocess.run(
        [uv(), *arguments], cwd=ROOT.parent, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr


def test_ingestion_takes_an_event(alone: Callable[[str], Alone]) -> None:
    service = alone("ingestion")
    (service.folder / "contracts").mkdir()
    contract = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "required": ["total"],
    }
    (service.folder / "contracts" / "order.placed.v1.json").write_text(json.dumps(contract))
    event = {
        "specversion": "1.0",
        "id": "1",
        "source": "urn:shop",
        "type": "order.placed",
        "data": {"total": 1},
    }

    with service.serving("ingestion") as url:
        headers = {"Content-Type": "application/cloudevents+json"}
        answers = [
            httpx2.post(f"{url}/v1/events", content=json.dumps(event), headers=headers).json()
            for _ in range(2)
        ]

    assert [answer["outcomes"][0]["status"] for answer in answers] == ["accepted", "duplicate"]


def test_etl_makes_a_table(alone: Callable[[str], Alone]) -> None:
    service = alone("etl")
    (service.folder / "orders.csv").write_text("id,price\n1,2.50\n2,5.00\n")
    (service.folder / "orders.yaml").write_text(
        "version: 1\nname: orders\n"
        "source: {files: {paths: [orders.csv], columns: {id: integer, price: 'decimal(9, 2)'}}}\n"
        "sink: {lake: {table: orders}}\n"
    )

    said = [service.run("etl", "run", "orders.yaml") for _ in range(2)]

    assert "2 read = 2 written" in said[0]
    assert "0 read = 0 written" in said[1]
    assert (service.folder / "var" / "lake" / "orders").is_dir()


TABLE = """
import pyarrow as pa, pyarrow.parquet as pq
from datetime import UTC, datetime
from triptych.lake.change import Change, DataFile, Progress
from triptych.lake.lake import Lake

table = Lake.open("var/lake").table("orders")
rows = pa.table({"at": [datetime(2030, 1, 1, tzinfo=UTC)] * 3, "n": [1, 2, 3]})
file = DataFile(table.new_file("rows.parquet"), 3)
pq.write_table(rows, file.path)
table.commit(Change((file,), rows.schema), [Progress("test", 0, 1)])
"""


def test_analytics_answers_a_question(alone: Callable[[str], Alone]) -> None:
    service = alone("analytics")
    (service.folder / "metrics").mkdir()
    (service.folder / "metrics" / "orders.yaml").write_text(
        "version: 1\nmetrics:\n"
        "  total: {description: All., table: orders, time: at, measure: {function: sum, column: n}}\n"
    )
    service.run("python", "-c", TABLE)

    checked = service.run("analytics", "check")
    with service.serving("analytics") as url:
        answer = httpx2.get(f"{url}/v1/metrics/total/query").json()
        page = httpx2.get(url).text

    assert "1 metrics are right" in checked
    assert answer["rows"] == [{"total": 6}]
    assert "<title>Triptych metrics" in page
