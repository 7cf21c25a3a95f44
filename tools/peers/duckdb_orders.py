"""DuckDB, by hand: reads text so that a bad value is found, and keeps what is bad in a file."""

import json
import sys
from pathlib import Path

import duckdb

folder = Path(sys.argv[1])
out = folder / "out"
out.mkdir()
duck = duckdb.connect()
duck.execute("SET TimeZone = 'UTC'")
duck.execute(
    """
    CREATE TABLE read AS
    SELECT *, TRY_CAST(ordered_at AS TIMESTAMPTZ) AS moment, TRY_CAST(quantity AS INTEGER) AS number,
        TRY_CAST(unit_price AS DECIMAL(10, 2)) AS price
    FROM read_json($files, format = 'newline_delimited', columns = {
        order_id: 'VARCHAR', ordered_at: 'VARCHAR', customer: 'VARCHAR', category: 'VARCHAR',
        quantity: 'VARCHAR', unit_price: 'VARCHAR', country: 'VARCHAR'})
    """,
    {"files": str(folder / "*.ndjson")},
)
good = "order_id IS NOT NULL AND moment IS NOT NULL AND category IS NOT NULL AND number >= 1 AND price IS NOT NULL"
duck.execute(f"""
    CREATE TABLE orders AS
    SELECT order_id, moment AS ordered_at, customer, category, number AS quantity, price AS unit_price,
        country, CAST(moment AS DATE) AS day, number * price AS revenue
    FROM read WHERE {good}
    QUALIFY row_number() OVER (PARTITION BY order_id ORDER BY moment) = 1
    """)
for name, query in {
    "orders": "FROM orders",
    "refused": f"FROM read WHERE ({good}) IS NOT TRUE",
    "daily": "SELECT day, category, count(*) AS orders, sum(revenue) AS revenue FROM orders GROUP BY ALL",
}.items():
    duck.execute(f"COPY ({query}) TO '{out / name}.parquet'")
[(number, total)] = duck.execute("SELECT count(*), sum(revenue) FROM orders").fetchall()
[(groups,)] = duck.execute(f"SELECT count(*) FROM '{out / 'daily.parquet'}'").fetchall()
print(json.dumps({"orders": number, "revenue": f"{total:.2f}", "daily": groups}))
