"""A lake with a table of numbers, and analytics over it."""

import tempfile
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import duckdb
import pyarrow.parquet as pq

from triptych.lake.change import Change, DataFile, Progress
from triptych.lake.lake import Lake
from triptych.testing.processes import Service, running

_METRICS: Final = """\
version: 1
metrics:
  total:
    description: The sum of all numbers.
    table: numbers
    time: at
    measure: { function: sum, column: n }
    dimensions: [kind]
"""


@dataclass
class House:
    """A lake with a table of numbers, and analytics over it."""

    folder: Path
    rows: int
    settings: dict[str, str] = field(default_factory=dict)
    versions: int = 0
    stack: ExitStack = field(default_factory=ExitStack)

    @property
    def lake(self) -> Lake:
        """Its lake."""
        return Lake.open(str(self.folder / "lake"))

    def commit(self, name: str = "numbers", rows: int | None = None) -> None:
        """Commit as many numbers again, from 1 on."""
        table = self.lake.table(name)
        file = table.new_file(f"{uuid.uuid4().hex}.parquet")
        with duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'")
            connection.sql(
                "SELECT i AS n, TIMESTAMPTZ '2030-01-01 00:00:00+00' + to_seconds(i) AS at,"
                " 'kind ' || (i % 5) AS kind FROM range(1, $1 + 1) AS t(i)",
                params=[rows or self.rows],
            ).write_parquet(str(file))
        schema, stored = pq.read_schema(file), DataFile(file, rows or self.rows)
        before = table.position("chaos")
        change = Change((stored,), schema)
        table.commit(change, [Progress("chaos", before, before + 1)])

    def serve(self, **settings: str) -> Service:
        """Analytics over the lake."""
        usual = {
            "TRIPTYCH_LAKE_URL": str(self.folder / "lake"),
            "TRIPTYCH_METRICS_DIR": str(self.folder / "metrics"),
            "TRIPTYCH_ACCESS_URL": f"sqlite:///{self.folder}/analytics.db",
            "TRIPTYCH_LIMIT__BURST": "0",
            "TRIPTYCH_LIMIT__SUSTAINED": "0",
            "TRIPTYCH_LIMIT__DAILY": "0",
        }
        return self.stack.enter_context(running("analytics", {**usual, **settings}))

    def total(self, commits: int) -> str:
        """What the sum is after so many commits."""
        return str(commits * self.rows * (self.rows + 1) // 2)


@contextmanager
def house(rows: int) -> Iterator[House]:
    """A lake of its own, until the block ends."""
    with tempfile.TemporaryDirectory(prefix="triptych-chaos-") as name, ExitStack() as stack:
        made = House(Path(name), rows, stack=stack)
        (made.folder / "metrics").mkdir()
        (made.folder / "metrics" / "numbers.yaml").write_text(_METRICS)
        made.commit()
        yield made
