"""Ten million orders, as a table of the lake and as one of SQLite."""

import sqlite3
from pathlib import Path
from typing import Final

import duckdb
import pyarrow.parquet as pq

from triptych.lake.change import Change, DataFile, Progress
from triptych.lake.lake import Lake

FIRST: Final = "2028-01-01"
DAYS: Final = 730
CATEGORIES: Final = 12
COLUMNS: Final = ("id", "ordered_at", "category", "amount")
METRICS: Final = """\
version: 1
metrics:
  revenue:
    description: What was sold.
    table: orders
    time: ordered_at
    measure: { function: sum, column: amount }
    dimensions: [category]
  orders:
    description: How often.
    table: orders
    time: ordered_at
    measure: { function: count }
    dimensions: [category]
"""


def make_lake(folder: Path, rows: int) -> list[str]:
    """The table and the metrics over it; the files that it consists of."""
    (folder / "metrics").mkdir()
    (folder / "metrics" / "orders.yaml").write_text(METRICS)
    table = Lake.open(str(folder / "lake")).table("orders")
    file = table.new_file("orders.parquet")
    seconds = DAYS * 86_400
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(f"""COPY (
                SELECT i AS id,
                    TIMESTAMPTZ '{FIRST} 00:00:00+00' + to_seconds(i * {seconds} // {rows}) AS ordered_at,
                    'category ' || (hash(i) % {CATEGORIES}) AS category,
                    ((hash(i, 1) % 100000) / 100)::DECIMAL(18, 2) AS amount
                FROM range({rows}) AS t(i)
            ) TO '{file}' (FORMAT parquet)""")
    schema = pq.read_schema(file)
    table.commit(Change((DataFile(file, rows),), schema), [Progress("bench", 0, 1)])
    return list(table.snapshot().files)


def make_sqlite(file: Path, files: list[str]) -> None:
    """The same rows, with an index on when."""
    with sqlite3.connect(file) as database, duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        database.execute("PRAGMA journal_mode = OFF")
        database.execute(
            "CREATE TABLE orders (id INTEGER PRIMARY KEY, ordered_at TEXT, day TEXT, category TEXT, amount REAL)"
        )
        found = connection.execute(
            "SELECT id, ordered_at::TEXT, (ordered_at::DATE)::TEXT, category, amount::DOUBLE FROM read_parquet($1)",
            [files],
        )
        while rows := found.fetchmany(100_000):
            database.executemany("INSERT INTO orders VALUES (?, ?, ?, ?, ?)", rows)
        database.execute("CREATE INDEX orders_ordered_at ON orders (ordered_at)")
