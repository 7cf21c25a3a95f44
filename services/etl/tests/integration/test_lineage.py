"""Every column of a table can be traced to the columns that it was made of."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from triptych.etl.application.ports import QueryFailed
from triptych.etl.settings import EtlSettings, OpenLineageSettings
from triptych.etl.wiring import wire

PIPELINE = """
    version: 1
    name: orders
    source: { files: { paths: ["in/*.csv"], columns: {id: text, product: text, n: integer} } }
    inputs:
      products: { files: { paths: ["products.csv"] } }
    transforms:
      - join: { input: products, "on": {product: id}, columns: {price: price} }
      - derive: { columns: { total: "n * cast(price as decimal(10, 2))", constant: "1" } }
    checks: [ { range: { column: n, min: MIN } } ]
    sink: { lake: { table: orders } }
    outputs:
      totals:
        transforms:
          - aggregate: { by: [product], measures: { total: sum(total), orders: count(*) } }
        sink: { lake: { table: totals } }
"""


@pytest.fixture
def filled(house: Any) -> Any:
    house.write("in/1.csv", "id,product,n\na,x,1\nb,y,2\n")
    house.write("products.csv", "id,price\nx,1.50\ny,2\n")
    return house


def test_columns_lead_back_to_sources_and_inputs(filled: Any) -> None:
    found = filled.etl.attempt.lineage(filled.pipeline(PIPELINE.replace("MIN", "0")))

    n, product = ("files/in/*.csv", "n"), ("files/in/*.csv", "product")
    price = ("files/products.csv", "price")
    assert found["orders"]["total"] == {n, price}
    assert found["orders"]["n"] == {n}
    assert found["orders"]["constant"] == set()
    assert found["totals"] == {"product": {product}, "total": {n, price}, "orders": set()}


def settled(folder: Path, settings: OpenLineageSettings) -> EtlSettings:
    return EtlSettings(
        lake_url=str(folder / "lake"),
        files_dir=folder / "files",
        state_url=SecretStr(f"sqlite:///{folder / 'etl.db'}"),
        openlineage=settings,
    )


def test_runs_are_told_of_in_a_file(filled: Any, tmp_path: Path) -> None:
    file = tmp_path / "events.ndjson"
    pipeline = filled.pipeline(PIPELINE.replace("MIN", "0"))

    with wire(settled(tmp_path, OpenLineageSettings(file=file, namespace="shop"))) as etl:
        etl.run(pipeline)

    began, ended = map(json.loads, file.read_text().splitlines())
    assert (began["eventType"], ended["eventType"]) == ("START", "COMPLETE")
    assert began["run"]["runId"] == ended["run"]["runId"]
    assert ended["job"] == {"namespace": "shop", "name": "orders", "facets": {}}
    assert [one["name"] for one in ended["inputs"]] == ["files/in/*.csv", "files/products.csv"]
    orders, totals = ended["outputs"]
    assert (orders["name"], totals["outputFacets"]["outputStatistics"]["rowCount"]) == ("orders", 2)
    fields = totals["facets"]["columnLineage"]["fields"]["total"]["inputFields"]
    assert [(one["name"], one["field"]) for one in fields] == [
        ("files/in/*.csv", "n"),
        ("files/products.csv", "price"),
    ]


@pytest.fixture
def listener() -> Iterator[tuple[str, list[Any]]]:
    """A server that listens to events; its URL, and what it was told."""
    told: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            told.append((self.headers["Authorization"], json.loads(body)))
            self.send_response(201)
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", told
        server.shutdown()
        thread.join()


def test_a_run_that_fails_is_told_of_over_http(
    filled: Any, tmp_path: Path, listener: tuple[str, list[Any]]
) -> None:
    url, told = listener
    filled.write("in/2.csv", "id,product,n\nc,x,-1\n")
    failing = PIPELINE.replace(
        "{ range: { column: n, min: MIN } }", "{ range: { column: m, min: 0 } }"
    )

    settings = OpenLineageSettings(url=url, key=SecretStr("a-key"))
    with wire(settled(tmp_path, settings)) as etl, pytest.raises(QueryFailed):
        etl.run(filled.pipeline(failing))

    assert [(key, event["eventType"]) for key, event in told] == [
        ("Bearer a-key", "START"),
        ("Bearer a-key", "FAIL"),
    ]
    assert "no column 'm'" in told[1][1]["run"]["facets"]["errorMessage"]["message"]


def test_a_run_does_not_fail_where_nobody_listens(filled: Any, tmp_path: Path) -> None:
    settings = OpenLineageSettings(url="http://127.0.0.1:9")

    with wire(settled(tmp_path, settings)) as etl:
        [orders, _] = etl.run(filled.pipeline(PIPELINE.replace("MIN", "0")))

    assert orders.rows.written == 2
