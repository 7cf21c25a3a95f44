"""The work that all sides do, and the data that they do it on."""

import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import orjson

ORDERS: Final = """
version: 1
name: orders
source:
  files:
    paths: ["*.ndjson"]
    columns:
      order_id: text
      ordered_at: timestamptz
      customer: text
      category: text
      quantity: integer
      unit_price: decimal(10, 2)
      country: text
transforms:
  - deduplicate: { keys: [order_id], order: [ordered_at] }
  - derive: { columns: { day: cast(ordered_at as date), revenue: quantity * unit_price } }
checks:
  - not_null: { columns: [order_id, ordered_at, category, unit_price] }
  - range: { column: quantity, min: 1 }
sink: { lake: { table: orders } }
outputs:
  daily:
    transforms:
      - aggregate: { by: [day, category], measures: { orders: count(*), revenue: sum(revenue) } }
    sink: { lake: { table: daily } }
"""
TPCH: Final = """
version: 1
name: revenue
refresh: full
source: { files: { paths: [lineitem.parquet] } }
inputs:
  orders: { files: { paths: [orders.parquet] } }
transforms:
  - join: { input: orders, "on": {l_orderkey: o_orderkey}, columns: {o_orderdate: day}, kind: inner }
  - derive: { columns: { amount: l_extendedprice * (1 - l_discount) } }
  - aggregate: { by: [day], measures: { lines: count(*), revenue: sum(amount) } }
sink: { lake: { table: daily, mode: replace } }
"""

_TWICE: Final = 0.02
_INVALID: Final = 0.01
_CATEGORIES: Final = ("books", "food", "garden", "music", "sport", "toys")
_BEGIN: Final = datetime(2030, 1, 1, tzinfo=UTC)
_BROKEN: Final[tuple[dict[str, object], ...]] = (
    {"quantity": -1},
    {"category": None},
    {"unit_price": "free"},
)


@dataclass(frozen=True, slots=True)
class Work:
    """Something to do."""

    name: str
    pipeline: str
    script: str
    """What the peers' scripts for it are called."""
    peers: tuple[str, ...]
    make: Callable[[Path], None]
    """Puts the data into a folder."""
    generator: Path | None = None
    """The program that makes the data, where it is not this one."""

    def can_be_made(self) -> bool:
        """Whether what makes the data is installed."""
        return self.generator is None or self.generator.exists()


def orders(rows: int) -> Work:
    """Orders in NDJSON, of which 1 % are invalid and 2 % come twice."""

    def make(folder: Path) -> None:
        with (folder / "orders.ndjson").open("wb", buffering=1 << 20) as file:
            file.writelines(_lines(rows))

    return Work(f"{rows:,} orders", ORDERS, "orders", ("duckdb", "polars", "pandas", "dlt"), make)


def tpch(scale: float) -> Work:
    """TPC-H: lineitem joined with orders, revenue by day."""

    generator = Path(sys.executable).with_name("tpchgen-cli")

    def make(folder: Path) -> None:
        options = ["-s", str(scale), "--tables", "lineitem,orders", "--output-dir", str(folder)]
        subprocess.run([generator, "parquet", *options], check=True, capture_output=True)

    return Work(
        f"TPC-H at scale {scale:g}", TPCH, "tpch", ("duckdb", "polars", "pandas"), make, generator
    )


def _lines(rows: int) -> Iterator[bytes]:
    chance = random.Random(1)  # noqa: S311  # the same data each time
    line = b""
    for number in range(rows):
        if number and chance.random() < _TWICE:
            yield line
            continue
        order: dict[str, object] = {
            "order_id": f"o{number:09}",
            "ordered_at": (_BEGIN + timedelta(days=28) * number / rows).isoformat(),
            "customer": f"c{chance.randrange(50_000):05}",
            "category": chance.choice(_CATEGORIES),
            "quantity": 1 + number % 9,
            "unit_price": f"{chance.randrange(100, 10_000) / 100:.2f}",
            "country": chance.choice(("DE", "FR", "GB", "NO")),
        }
        if chance.random() < _INVALID:
            order |= chance.choice(_BROKEN)
        line = orjson.dumps(order) + b"\n"
        yield line
