"""dlt: rows are validated by a pydantic model, merged by key, and summed up in the destination."""

import json
import os
import sys
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import dlt
from pydantic import BaseModel, Field

folder = Path(sys.argv[1])
out = folder / "out"
out.mkdir()
os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
os.environ["RUNTIME__LOG_LEVEL"] = "ERROR"
BATCH = 10_000  # rows


class Order(BaseModel):
    """An order; what is none is discarded: there is nowhere to keep it."""

    order_id: str
    ordered_at: datetime
    customer: str
    category: str
    quantity: int = Field(ge=1)
    unit_price: Decimal
    country: str


@dlt.resource(
    name="orders",
    primary_key="order_id",
    write_disposition="merge",
    columns=Order,
    schema_contract={"data_type": "discard_row", "columns": "evolve"},
)
def orders() -> Iterator[list[dict[str, Any]]]:
    for file in sorted(folder.glob("*.ndjson")):
        with file.open("rb") as lines:
            some: list[dict[str, Any]] = []
            for line in lines:
                some.append(json.loads(line))
                if len(some) == BATCH:
                    yield some
                    some = []
            yield some


pipeline = dlt.pipeline(
    "orders",
    pipelines_dir=str(out / "pipelines"),
    destination=dlt.destinations.duckdb(str(out / "orders.duckdb")),
    dataset_name="shop",
)
pipeline.run(orders())
with pipeline.sql_client() as client:
    client.execute_sql(
        "CREATE OR REPLACE TABLE sales AS SELECT *, CAST(ordered_at AS DATE) AS day,"
        " CAST(quantity * unit_price AS DECIMAL(18, 2)) AS revenue FROM orders"
    )
    client.execute_sql(
        "CREATE OR REPLACE TABLE daily AS SELECT day, category, count(*) AS orders,"
        " sum(revenue) AS revenue FROM sales GROUP BY ALL"
    )
    [[number, total]] = client.execute_sql("SELECT count(*), sum(revenue) FROM sales") or [(0, 0)]
    [[groups]] = client.execute_sql("SELECT count(*) FROM daily") or [(0,)]
print(json.dumps({"orders": number, "revenue": f"{total:.2f}", "daily": groups}))
