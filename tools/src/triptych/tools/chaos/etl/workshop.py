"""A folder with everything that etl needs, whose tables are read with none of its code."""

import json
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pyarrow.parquet as pq

from triptych.testing.processes import environment
from triptych.tools.chaos.verdict import Findings

SECONDS: Final = 120.0
"""No run takes so long."""
EXACTLY_ONCE: Final = "committed rows lost 0, duplicated 0"
PIPELINE: Final = """
version: 1
name: orders
source:
  files: {paths: ["in/*.ndjson"], columns: {id: text, n: integer, day: date}}
transforms:
  - deduplicate: {keys: [id], order: [n]}
checks:
  - range: {column: n, min: 0}
sink: {lake: {table: orders, partition_by: [day]}}
outputs:
  totals:
    transforms: [{aggregate: {by: [day], measures: {orders: count(*)}}}]
    sink: {lake: {table: totals}}
  warehouse:
    sink: {sql: {url: "${WAREHOUSE}", table: orders, mode: upsert, keys: [id]}}
  exports:
    sink: {files: {folder: exports}}
"""

_BAD: Final = 7
_TWICE: Final = 3
"""Which of ten rows."""


@dataclass
class Workshop:
    """Where etl works. What it makes survives its being killed."""

    folder: Path
    good: set[str] = field(default_factory=set)
    """The ids of the rows that belong into the tables."""
    bad: set[str] = field(default_factory=set)
    """Those of the rows that belong into the quarantine."""
    files: int = 0

    def arrive(self, rows: int) -> None:
        """One more file: some rows are bad, some come twice."""
        self.files += 1
        lines = []
        for number in range(rows):
            id_, bad = f"{self.files:04}-{number:06}", number % 10 == _BAD
            (self.bad if bad else self.good).add(id_)
            row = {"id": id_, "n": -1 if bad else number, "day": f"2030-01-{1 + number % 5:02}"}
            lines += [json.dumps(row)] * (2 if number % 10 == _TWICE else 1)
        self.put(f"in/{self.files:04}.ndjson", "\n".join(lines).encode())

    def put(self, name: str, content: bytes) -> Path:
        """Put a file where etl reads, in one piece."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"{path.name}.part")
        part.write_bytes(content)
        return part.rename(path)

    def pipeline(self, text: str, name: str = "orders") -> str:
        """A pipeline's file."""
        return str(self.put(f"{name}.yaml", text.encode()))

    def settings(self, **more: str) -> dict[str, str]:
        """The environment that etl runs in."""
        return {
            "TRIPTYCH_FILES_DIR": str(self.folder),
            "TRIPTYCH_LAKE_URL": str(self.folder / "lake"),
            "TRIPTYCH_STATE_URL": f"sqlite:///{self.folder / 'etl.db'}",
            "TRIPTYCH_LOG__FORMAT": "json",
            "WAREHOUSE": f"sqlite:///{self.folder / 'warehouse.db'}",
            **more,
        }

    def start(self, *arguments: str, module: str = "triptych.etl", **more: str) -> "Etl":
        """Start a command of etl."""
        process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            env=environment(self.settings(**more)),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        return Etl(process)

    def run(self, *arguments: str, **more: str) -> "Etl":
        """Run a command of etl to its end."""
        return self.start(*arguments, **more).wait()

    def check(self, findings: Findings) -> None:
        """Compare all outputs with what arrived, each row once."""
        for name, found in (
            ("lake", self.column("orders", "id")),
            ("sql", self.warehouse()),
            ("files", self.exports()),
        ):
            _compare(findings, name, self.good, found)
        _compare(findings, "quarantine", self.bad, self.quarantine())
        summed = sum(int(number) for number in self.column("totals", "orders"))
        holds = summed == len(self.good)
        findings.add(f"totals: {summed:,} of {len(self.good):,}", holds=holds)

    def column(self, table: str, name: str) -> list[Any]:
        """A column of a table of the lake."""
        files = sorted(self.held(table))
        return [value for file in files for value in pq.read_table(file)[name].to_pylist()]

    def quarantine(self, table: str = "orders_quarantine") -> list[str]:
        """The ids of the rows that were set aside."""
        originals = [json.loads(text)["line"] for text in self.column(table, "original")]
        return [json.loads(line)["id"] for line in originals]

    def warehouse(self) -> list[str]:
        """The ids in the SQL database."""
        with closing(sqlite3.connect(self.folder / "warehouse.db")) as database:
            return [id_ for (id_,) in database.execute("SELECT id FROM orders")]

    def exports(self) -> list[str]:
        """The ids in the files that others read."""
        files = (self.folder / "exports").glob("*.parquet")
        return [id_ for file in files for id_ in pq.read_table(file)["id"].to_pylist()]

    def held(self, table: str) -> set[Path]:
        """The files of a table's newest version, as its log tells them."""
        folder = self.folder / "lake" / table
        held: set[Path] = set()
        for entry in sorted((folder / "_delta_log").glob("*.json")):
            for line in entry.read_text().splitlines():
                action = json.loads(line)
                if "remove" in action:
                    held.discard(folder / action["remove"]["path"])
                if "add" in action:
                    held.add(folder / action["add"]["path"])
        return held

    def orphans(self) -> list[Path]:
        """The files in tables' folders that no version has: what dead runs have left."""
        tables = [path for path in (self.folder / "lake").glob("*") if path.is_dir()]
        return [f for t in tables for f in t.rglob("*.parquet") if f not in self.held(t.name)]


@dataclass
class Etl:
    """A command that runs, or has ended."""

    process: "subprocess.Popen[str]"
    out: str = ""
    err: str = ""

    def wait(self) -> "Etl":
        """Let it come to its end."""
        self.out, self.err = self.process.communicate(timeout=SECONDS)
        return self

    @property
    def code(self) -> int:
        """Its exit code."""
        return self.process.returncode

    @property
    def error(self) -> str:
        """What it says is wrong, for a person."""
        lines = [line for line in self.err.splitlines() if not line.startswith("{")]
        return " ".join(lines)

    @property
    def foreseen(self) -> bool:
        """Whether it ended well, or with a message that says what is wrong and what to do."""
        told = self.code == 0 or self.error.startswith("etl: error: ")
        return told and "Traceback" not in self.err


@contextmanager
def workshop(folder: Path | None = None) -> Iterator[Workshop]:
    """A workshop that is gone when the block ends."""
    if folder is not None:
        yield Workshop(folder)
        return
    made = Path(tempfile.mkdtemp(prefix="triptych-chaos-"))
    try:
        yield Workshop(made)
    finally:
        shutil.rmtree(made)


def _compare(findings: Findings, name: str, expected: set[str], found: Iterable[str]) -> None:
    counted = Counter(found)
    missing = len(expected - counted.keys())
    strange = len(counted.keys() - expected)
    twice = sum(number - 1 for number in counted.values())
    told = f"{name}: {len(expected):,} rows, {missing} lost, {twice} twice"
    findings.add(
        told + (f", {strange} strange" if strange else ""), holds=not missing + twice + strange
    )
