"""pandas, all in memory; cents are whole numbers, since its numbers would round them."""

import json
import sys
from pathlib import Path

import pandas as pd

folder = Path(sys.argv[1])
out = folder / "out"
out.mkdir()
rows = pd.concat(
    pd.read_json(file, lines=True, dtype=False) for file in sorted(folder.glob("*.ndjson"))
)
rows["at"] = pd.to_datetime(rows["ordered_at"], format="ISO8601", utc=True, errors="coerce")
rows["cents"] = (pd.to_numeric(rows["unit_price"], errors="coerce") * 100).round()
good = rows[["order_id", "at", "category", "cents"]].notna().all(axis=1) & (
    pd.to_numeric(rows["quantity"], errors="coerce") >= 1
)
orders = rows[good].sort_values("at", kind="stable").drop_duplicates("order_id").copy()
orders["day"] = orders["at"].dt.date
orders["revenue"] = (orders["quantity"] * orders["cents"]).astype("int64")
orders.to_parquet(out / "orders.parquet")
rows[~good].to_parquet(out / "refused.parquet")
daily = orders.groupby(["day", "category"]).agg(
    orders=("revenue", "size"), revenue=("revenue", "sum")
)
daily.reset_index().to_parquet(out / "daily.parquet")
total = int(orders["revenue"].sum())
print(json.dumps({"orders": len(orders), "revenue": f"{total / 100:.2f}", "daily": len(daily)}))
