"""Polars, lazily: only the columns that are needed are read."""

import json
import sys
from pathlib import Path

import polars as pl

folder = Path(sys.argv[1])
out = folder / "out"
out.mkdir()
daily = (
    pl.scan_parquet(folder / "lineitem.parquet")
    .join(pl.scan_parquet(folder / "orders.parquet"), left_on="l_orderkey", right_on="o_orderkey")
    .select(
        day="o_orderdate",
        amount=pl.col("l_extendedprice")
        * (pl.lit(1).cast(pl.Decimal(15, 2)) - pl.col("l_discount")),
    )
    .group_by("day")
    .agg(pl.len().alias("lines"), pl.col("amount").sum().alias("revenue"))
    .collect()
)
daily.write_parquet(out / "daily.parquet")
lines, revenue = int(daily["lines"].sum()), daily["revenue"].sum()
print(json.dumps({"days": len(daily), "lines": lines, "revenue": f"{revenue:.2f}"}))
