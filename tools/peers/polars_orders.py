"""Polars, lazily: the query is optimised as a whole, and what is bad is kept in a file."""

import json
import sys
from pathlib import Path

import polars as pl

folder = Path(sys.argv[1])
out = folder / "out"
out.mkdir()
text = ("order_id", "ordered_at", "customer", "category", "unit_price", "country")
schema = pl.Schema({**dict.fromkeys(text, pl.String()), "quantity": pl.Int64()})
read = pl.scan_ndjson(folder / "*.ndjson", schema=schema).with_columns(
    at=pl.col("ordered_at").str.to_datetime(time_zone="UTC", strict=False),
    price=pl.col("unit_price").str.to_decimal(scale=2).cast(pl.Decimal(10, 2), strict=False),
)
good = pl.all_horizontal(pl.col("order_id", "at", "category", "price").is_not_null()) & (
    pl.col("quantity") >= 1
).fill_null(value=False)
rows = read.collect()
orders = (
    rows.lazy()
    .filter(good)
    .sort("at")
    .unique("order_id", keep="first", maintain_order=True)
    .with_columns(
        day=pl.col("at").dt.date(),
        revenue=pl.col("quantity").cast(pl.Decimal(18, 2)) * pl.col("price"),
    )
    .collect()
)
orders.write_parquet(out / "orders.parquet")
rows.filter(~good).write_parquet(out / "refused.parquet")
daily = orders.group_by("day", "category").agg(pl.len().alias("orders"), pl.col("revenue").sum())
daily.write_parquet(out / "daily.parquet")
total = orders["revenue"].sum()
print(json.dumps({"orders": len(orders), "revenue": f"{total:.2f}", "daily": len(daily)}))
