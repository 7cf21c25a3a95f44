"""What the tests of etl share: the sample project, and the command line."""

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from pydantic import SecretStr

from triptych.etl.application.history import Report
from triptych.etl.application.pipeline import Pipeline, read_pipeline
from triptych.etl.application.ports import Engine, EngineFactory
from triptych.etl.entrypoints.cli import main
from triptych.etl.infrastructure.engines.duckdb import DuckDb
from triptych.etl.infrastructure.engines.spark import Spark
from triptych.etl.infrastructure.plugins import InstalledPlugins
from triptych.etl.settings import EtlSettings
from triptych.etl.wiring import Etl, wire
from triptych.lake.lake import Lake

ROOT = Path(__file__).parents[3]
# pyspark takes a worker of xdist, whose main module is no file, for a run of its own doctests.
if not hasattr(sys.modules["__main__"], "__file__"):
    sys.modules["__main__"].__file__ = __file__

SAIL = """
import sys
from pysail.spark import SparkConnectServer
server = SparkConnectServer()
server.start()
print("sc://%s:%d" % server.listening_address, flush=True)
sys.stdin.read()
"""


@dataclass(frozen=True)
class SailServer:
    """A Spark Connect server in a process of its own, without Java."""

    url: str
    process: subprocess.Popen[str]


@contextmanager
def sail() -> Iterator[SailServer]:
    """A Sail server on a free port of the loopback."""
    command = [sys.executable, "-c", SAIL]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            yield SailServer(process.stdout.readline().strip(), process)
        finally:
            process.kill()


@pytest.fixture
def mortal_spark() -> Iterator[SailServer]:
    """A Spark Connect server that the test may kill."""
    with sail() as server:
        yield server


@pytest.fixture(scope="session")
def spark_url() -> Iterator[str]:
    """The Spark Connect server that `TRIPTYCH_TEST_SPARK_URL` names; one of Sail if none is."""
    if url := os.environ.get("TRIPTYCH_TEST_SPARK_URL"):
        yield url
        return
    with sail() as server:
        yield server.url


@pytest.fixture(params=["duckdb", "spark"])
def factory(request: pytest.FixtureRequest) -> EngineFactory:
    """Every engine's configuration."""
    if request.param == "duckdb":
        return DuckDb()
    return Spark.model_validate({"url": request.getfixturevalue("spark_url")})


@pytest.fixture
def engine(factory: EngineFactory) -> Iterator[Engine]:
    """Every engine."""
    with factory.open() as opened:
        yield opened


@pytest.fixture
def shop() -> Path:
    """The sample project: contracts/ mappings/ pipelines/ metrics/."""
    return ROOT / "examples" / "shop"


@pytest.fixture
def database(tmp_path: Path) -> str:
    """The URL of an event log that does not exist yet."""
    return f"sqlite:///{tmp_path / 'eventlog.db'}"


@pytest.fixture
def environment(database: str, tmp_path: Path) -> dict[str, str]:
    """The settings for an event log and a lake of the test's own."""
    return {
        "TRIPTYCH_EVENTLOG_URL": database,
        "TRIPTYCH_LAKE_URL": str(tmp_path / "lake"),
        "TRIPTYCH_STATE_URL": f"sqlite:///{tmp_path / 'etl.db'}",
    }


@pytest.fixture
def etl(
    environment: dict[str, str], run_command: Callable[..., subprocess.CompletedProcess[str]]
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run `etl ARGUMENTS…` in this process; keywords are more environment variables."""

    def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return run_command(main, *arguments, env={**environment, **variables})

    return run


@dataclass(frozen=True)
class House:
    """Etl with a lake and files of its own."""

    folder: Path
    etl: Etl

    @property
    def lake(self) -> Lake:
        """Where tables are."""
        return self.etl.resources.lake

    @property
    def files(self) -> Path:
        """Where files are."""
        return self.etl.resources.files

    def pipeline(self, text: str, **environment: str) -> Pipeline:
        """The pipeline that this YAML describes."""
        file = self.folder / "pipeline.yaml"
        file.write_text(textwrap.dedent(text))
        return read_pipeline(file, InstalledPlugins(), environment)

    def run(self, text: str, **environment: str) -> list[Report]:
        """Run the pipeline that this YAML describes."""
        return self.etl.run(self.pipeline(text, **environment))

    def write(self, name: str, content: str | bytes) -> Path:
        """Make a file."""
        path = self.files / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def rows(self, table: str) -> list[dict[str, Any]]:
        """The rows of a table, in the order of their values."""
        files = self.lake.table(table).snapshot().files
        rows = [row for file in files for row in pq.read_table(file).to_pylist()]
        return sorted(rows, key=lambda row: [str(value) for value in row.values()])


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """Etl with a lake and files of its own."""
    (tmp_path / "files").mkdir()
    settings = EtlSettings(
        lake_url=str(tmp_path / "lake"),
        files_dir=tmp_path / "files",
        eventlog_url=SecretStr(f"sqlite:///{tmp_path / 'eventlog.db'}"),
        state_url=SecretStr(f"sqlite:///{tmp_path / 'etl.db'}"),
    )
    with wire(settings) as made:
        yield House(tmp_path, made)
