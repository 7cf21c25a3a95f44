"""What the tests of analytics share: the sample project, a lake, and the command line."""

import subprocess
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from triptych.analytics.entrypoints.cli import main
from triptych.lake.change import Change, DataFile, Progress
from triptych.lake.lake import Lake
from triptych.testing.redis import RedisServer
from triptych.testing.redis import redis as a_redis

ROOT = Path(__file__).parents[3]


@pytest.fixture
def shop() -> Path:
    """The sample project: contracts/ mappings/ pipelines/ metrics/."""
    return ROOT / "examples" / "shop"


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """A lake without tables."""
    return Lake.open(str(tmp_path / "lake"))


@pytest.fixture(scope="session")
def commit() -> Callable[[Lake, str, pa.Table], int]:
    """Commit rows to a table, as etl does; the new version."""

    def commit_rows(lake: Lake, name: str, rows: pa.Table) -> int:
        table = lake.table(name)
        file = DataFile(table.new_file(f"{uuid.uuid4().hex}.parquet"), rows.num_rows)
        pq.write_table(rows, file.path)
        before = table.position("test")
        return table.commit(
            Change((file,) if rows.num_rows else (), rows.schema),
            [Progress("test", before, before + 1)],
        )

    return commit_rows


@pytest.fixture
def environment(lake: Lake, shop: Path) -> dict[str, str]:
    """The settings for the shop's metrics over a lake of the test's own."""
    return {
        "TRIPTYCH_LAKE_URL": str(lake.root),
        "TRIPTYCH_METRICS_DIR": str(shop / "metrics"),
        "TRIPTYCH_ACCESS_URL": f"sqlite:///{lake.root}.db",
    }


@pytest.fixture
def analytics(
    environment: dict[str, str], run_command: Callable[..., subprocess.CompletedProcess[str]]
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run `analytics ARGUMENTS…` in this process; keywords are more environment variables."""

    def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return run_command(main, *arguments, env={**environment, **variables})

    return run


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    """A Redis of the test's own."""
    with a_redis() as server:
        yield server
