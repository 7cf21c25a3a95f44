"""pandas: only the columns that are needed are read; prices are floating-point numbers."""

import json
import sys
from pathlib import Path

import pandas as pd

folder = Path(sys.argv[1])
out = folder / "out"
out.mkdir()
lines = pd.read_parquet(
    folder / "lineitem.parquet", columns=["l_orderkey", "l_extendedprice", "l_discount"]
)
orders = pd.read_parquet(folder / "orders.parquet", columns=["o_orderkey", "o_orderdate"])
joined = lines.merge(orders, left_on="l_orderkey", right_on="o_orderkey")
joined["amount"] = joined["l_extendedprice"].astype(float) * (
    1 - joined["l_discount"].astype(float)
)
daily = joined.groupby("o_orderdate").agg(lines=("amount", "size"), revenue=("amount", "sum"))
daily.reset_index().to_parquet(out / "daily.parquet")
print(
    json.dumps(
        {
            "days": len(daily),
            "lines": int(daily["lines"].sum()),
            "revenue": f"{daily['revenue'].sum():.2f}",
        }
    )
)
