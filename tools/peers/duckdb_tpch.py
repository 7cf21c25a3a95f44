"""DuckDB, by hand: one query."""

import json
import sys
from pathlib import Path

import duckdb

folder = Path(sys.argv[1])
out = folder / "out"
out.mkdir()
duck = duckdb.connect()
duck.execute(f"""
    COPY (
        SELECT o_orderdate AS day, count(*) AS lines, sum(l_extendedprice * (1 - l_discount)) AS revenue
        FROM '{folder / "lineitem.parquet"}' JOIN '{folder / "orders.parquet"}' ON l_orderkey = o_orderkey
        GROUP BY ALL
    ) TO '{out / "daily.parquet"}'
    """)
query = f"SELECT count(*), sum(lines), sum(revenue) FROM '{out / 'daily.parquet'}'"
[(days, lines, revenue)] = duck.execute(query).fetchall()
print(json.dumps({"days": days, "lines": int(lines), "revenue": f"{revenue:.2f}"}))
