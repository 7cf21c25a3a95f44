"""Each service, installed from its wheels into an empty environment far from the repository, does its work."""

import json
import os
import re
import shlex
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
    """A folder outside of the repository, with an environment that holds one service."""

    folder: Path
    command: str
    """How its README starts it there."""

    def run(self, command: str, *arguments: str) -> str:
        """Run a command there to its end; what it prints."""
        ended = subprocess.run(
            [*shlex.split(command), *arguments],
            cwd=self.folder,
            env=_nothing(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    @contextmanager
    def serving(self) -> Iterator[str]:
        """Serve, with nothing set, until the block ends; where."""
        with subprocess.Popen(
            shlex.split(self.command),
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


@pytest.fixture
def alone(tmp_path: Path) -> Callable[[str], Alone]:
    """Install a service as its README says."""

    def install(service: str) -> Alone:
        readme = (PACKAGES[service].folder / "README.md").read_text(encoding="utf-8")
        [block] = re.findall(r"^    at=\$\(mktemp -d\)\n((?:    .+\n)+)", readme, re.MULTILINE)
        *installs, starts = (line.strip() for line in block.splitlines())
        path = os.pathsep.join([str(Path(uv()).parent), os.environ["PATH"]])
        ended = subprocess.run(
            ["sh", "-euc", "\n".join(installs)],
            cwd=ROOT,
            env={**os.environ, "PATH": path, "at": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 0, ended.stderr
        return Alone(tmp_path, starts.removeprefix("cd $at && "))

    return install


@pytest.mark.parametrize("service", [p.name for p in PACKAGES.values() if p.is_service])
def test_a_readme_builds_the_wheels_of_its_service_and_no_others(service: str) -> None:
    readme = (PACKAGES[service].folder / "README.md").read_text(encoding="utf-8")

    [folders] = re.findall(r"for package in (.+); do uv build", readme)

    needed = closure(list(PACKAGES.values()), service)
    assert set(folders.split()) == {
        PACKAGES[name].folder.relative_to(ROOT).as_posix() for name in needed
    }


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

    with service.serving() as url:
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

    said = [service.run(service.command) for _ in range(2)]

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
    service.run("venv/bin/python", "-c", TABLE)

    checked = service.run("venv/bin/analytics", "check")
    with service.serving() as url:
        answer = httpx2.get(f"{url}/v1/metrics/total/query").json()
        page = httpx2.get(url).text

    assert "1 metrics are right" in checked
    assert answer["rows"] == [{"total": 6}]
    assert "<title>Triptych metrics" in page
