"""The sinks of the service keep what every sink promises."""

from pathlib import Path
from typing import Any, ClassVar, cast

import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from triptych.etl.application.ports import Resources
from triptych.etl.infrastructure.databases import connect
from triptych.etl.infrastructure.sinks.files import FilesSink
from triptych.etl.infrastructure.sinks.lake import LakeSink
from triptych.etl.infrastructure.sinks.sql import SqlSink
from triptych.etl.testing.sinks import SinkConformance
from triptych.lake.errors import NoSuchTable
from triptych.lake.lake import Lake
from triptych.testing.postgres import PostgresServer


class Numbers(SinkConformance):
    """All of them write to something that is called `numbers`."""

    def target(self) -> str:
        return "numbers"


class TestLake(Numbers):
    plugin = LakeSink
    configuration: ClassVar = {"table": "numbers"}

    def resources(self, folder: Path) -> Resources:
        nothing = cast("Any", None)  # a sink knows of no sources
        return Resources(Lake.open(str(folder)), folder, nothing, nothing)

    def numbers(self, resources: Resources) -> list[int] | None:
        try:
            files = resources.lake.table("numbers").snapshot().files
        except NoSuchTable:
            return None
        return sorted(row["n"] for file in files for row in pq.read_table(file).to_pylist())


class TestFiles(Numbers):
    plugin = FilesSink
    configuration: ClassVar = {"folder": "numbers"}

    def numbers(self, resources: Resources) -> list[int] | None:
        found = sorted((resources.files / "numbers").glob("*.parquet"))
        return sorted(row["n"] for f in found for row in pq.read_table(f).to_pylist()) or None


class Database(Numbers):
    plugin = SqlSink
    configuration: ClassVar = {"url": "${URL}", "table": "numbers"}

    def numbers(self, resources: Resources) -> list[int] | None:
        with connect(SecretStr(self.secrets["URL"])).connect() as connection:
            if not sa.inspect(connection).has_table("numbers"):
                return None
            return list(connection.scalars(sa.text("select n from numbers order by n")))


class TestSqlite(Database):
    @pytest.fixture(autouse=True)
    def _database(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        url = f"sqlite:///{tmp_path / 'warehouse.db'}"
        monkeypatch.setattr(type(self), "secrets", {"URL": url})


class TestPostgresql(Database):
    @pytest.fixture(autouse=True)
    def _database(self, postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(type(self), "secrets", {"URL": postgres_server.create_database()})
