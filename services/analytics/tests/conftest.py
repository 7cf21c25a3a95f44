"""What the tests of analytics share: the sample project, a lake, and the command line."""

import subprocess
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from triptych.analytics.entrypoints.cli import main
from triptych.analytics.settings import AnalyticsSettings
from triptych.database.engine import open_database, writing
from triptych.database.positions import newest, positions
from triptych.lake.change import Change, DataFile, Progress
from triptych.lake.lake import Lake
from triptych.testing.postgres import PostgresServer
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


@dataclass(frozen=True)
class Warehouse:
    """A PostgreSQL database, whose tables are committed to as etl's sink `sql` does."""

    url: str
    engine: sa.Engine

    def commit(self, name: str, rows: pa.Table, *, replace: bool = False) -> int:
        """Commit rows to a table; the new version."""
        columns = [sa.Column(field.name, _SQL[str(field.type)]) for field in rows.schema]
        table = sa.Table(name, sa.MetaData(), *columns)
        with writing(self.engine) as connection:
            table.create(connection, checkfirst=True)
            positions.create(connection, checkfirst=True)
            if replace:
                connection.execute(sa.delete(table))
            if rows.num_rows:
                connection.execute(sa.insert(table), rows.to_pylist())
            before = newest(connection, name)
            version = before.version + 1 if before else 0
            values = {"position": version, "version": version, "committed_at": datetime.now(UTC)}
            mine = {"writer": "test", "target": name}
            if before:
                connection.execute(sa.update(positions).filter_by(**mine).values(**values))
            else:
                connection.execute(sa.insert(positions).values(**mine, **values))
        return version


_SQL: Mapping[str, sa.types.TypeEngine[Any]] = {
    "string": sa.Text(),
    "int64": sa.BigInteger(),
    "bool": sa.Boolean(),
    "date32[day]": sa.Date(),
    "timestamp[us, tz=UTC]": sa.DateTime(timezone=True),
    "decimal128(18, 4)": sa.Numeric(18, 4),
    "double": sa.Double(),
}


@pytest.fixture
def warehouse(postgres_server: PostgresServer) -> Iterator[Warehouse]:
    """A warehouse without tables."""
    url = postgres_server.create_database()
    engine = open_database(url)
    yield Warehouse(url, engine)
    engine.dispose()


@pytest.fixture
def settings_of(lake: Lake, shop: Path) -> Callable[..., AnalyticsSettings]:
    """Settings for the shop's metrics over a lake of the test's own; keywords are other sections."""

    def make(**sections: Any) -> AnalyticsSettings:
        usual = {
            "lake_url": str(lake.root),
            "metrics_dir": shop / "metrics",
            "access_url": SecretStr(f"sqlite:///{lake.root}.db"),
        }
        return AnalyticsSettings.model_validate({**usual, **sections})

    return make


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
