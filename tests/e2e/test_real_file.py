"""A year of a real shop's invoices, from the file to the metric."""

import csv
import gzip
import re
from collections import defaultdict
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import httpx2
import pytest

from triptych.testing.processes import run, running

ROOT = Path(__file__).resolve().parents[2]
SHOP = ROOT / "examples" / "shop"
FILE = ROOT.parent / "shared" / "data" / "online-retail-invoices.csv.gz"

pytestmark = pytest.mark.skipif(
    not FILE.exists(), reason="the Online Retail file is not part of the repository"
)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("data")
    return {
        "TRIPTYCH_EVENTLOG_URL": f"sqlite:///{folder}/eventlog.db",
        "TRIPTYCH_LAKE_URL": str(folder / "lake"),
        "TRIPTYCH_STATE_URL": f"sqlite:///{folder}/etl.db",
        "TRIPTYCH_ACCESS_URL": f"sqlite:///{folder}/analytics.db",
        "TRIPTYCH_CONTRACTS_DIR": str(SHOP / "contracts"),
        "TRIPTYCH_METRICS_DIR": str(SHOP / "metrics"),
    }


@pytest.fixture(scope="module")
def loaded(settings: dict[str, str]) -> str:
    """What `ingestion load` and then `etl run` print."""
    mapping = SHOP / "mappings" / "online-retail.yaml"
    load = run("ingestion", "load", str(FILE), "--mapping", str(mapping), env=settings)
    assert load.returncode == 3, load.stderr  # some of it is refused
    etl = run("etl", "run", str(SHOP / "pipelines" / "sales.yaml"), env=settings)
    assert etl.returncode == 0, etl.stderr
    return load.stdout + etl.stdout


def test_every_row_of_the_file_is_accounted_for(loaded: str) -> None:
    read, accepted, duplicate, conflict, rejected = _numbers(loaded.splitlines()[0])

    assert read == accepted + duplicate + conflict + rejected == 25_943


def test_the_contract_refuses_just_what_its_description_says(loaded: str) -> None:
    _, accepted, _, _, rejected = _numbers(loaded.splitlines()[0])

    assert accepted == sum(1 for _ in _sales())
    assert rejected == sum(1 for row in _rows() if not _is_sale(row))


def test_every_accepted_event_reaches_the_table(loaded: str) -> None:
    _, accepted, *_ = _numbers(loaded.splitlines()[0])
    reconciliation = _numbers(loaded.splitlines()[-1].partition(":")[2])

    assert reconciliation[:5] == [accepted, accepted, 0, 0, 0]


def test_revenue_by_month_and_by_country_is_right_to_the_penny(
    loaded: str, settings: dict[str, str]
) -> None:
    by_month: dict[str, Decimal] = defaultdict(Decimal)
    by_country: dict[str, Decimal] = defaultdict(Decimal)
    for row in _sales():
        revenue = int(row["Quantity"]) * Decimal(row["UnitPrice"])
        month, _, year = row["InvoiceDate"].partition(" ")[0].split("/")
        by_month[f"{year}-{int(month):02}"] += revenue
        by_country[row["Country"]] += revenue

    with running("analytics", settings) as analytics:
        url = f"{analytics.url}/v1/metrics/revenue/query"
        months = httpx2.get(url, params={"grain": "month"}).json()["rows"]
        countries = httpx2.get(url, params={"by": "country"}).json()["rows"]

    assert {row["time"][:7]: Decimal(row["revenue"]) for row in months} == by_month
    assert {r["country"]: Decimal(r["revenue"]) for r in countries} == by_country


def test_loading_the_file_again_stores_nothing_twice(loaded: str, settings: dict[str, str]) -> None:
    mapping = SHOP / "mappings" / "online-retail.yaml"

    options = ["--mapping", str(mapping), "--restart"]
    again = run("ingestion", "load", str(FILE), *options, env=settings)

    first, second = _numbers(loaded.splitlines()[0]), _numbers(again.stdout.splitlines()[0])
    assert second == [first[0], 0, first[1], first[3], first[4]]


def _rows() -> Iterator[dict[str, str]]:
    with gzip.open(FILE, "rt", encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def _is_sale(row: dict[str, str]) -> bool:
    """What the contract's description says, in words of our own."""
    if Decimal(row["UnitPrice"]) <= 0:
        return False
    match row["InvoiceNo"][0]:
        case "C":
            return int(row["Quantity"]) < 0
        case "A":
            return False
        case _:
            return int(row["Quantity"]) > 0


def _sales() -> Iterator[dict[str, str]]:
    return (row for row in _rows() if _is_sale(row))


def _numbers(line: str) -> list[int]:
    after_name = line.rpartition(": ")[2]
    return [int(text.replace(",", "")) for text in re.findall(r"[\d,]+", after_name)]
