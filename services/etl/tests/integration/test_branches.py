"""Pipelines of several outputs and inputs, and what they say once for all."""

from typing import Any

import pytest

from triptych.core.documents import WrongDocument
from triptych.etl.application.execution import ChecksFailed
from triptych.lake.errors import Rewritten

ORDERS = """
    version: 1
    name: orders
    source:
      files: { paths: ["*.csv"], columns: {id: text, country: text, n: integer} }
    transforms:
      - deduplicate: { keys: [id] }
    checks:
      - not_null: { columns: [country] }
    sink:
      lake: { table: orders }
    outputs:
      big:
        transforms:
          - filter: { where: n >= 10 }
        checks:
          - range: { column: n, max: 99 }
        sink: { lake: { table: big_orders } }
"""
FIRST = "id,country,n\n1,F,5\n1,F,5\n2,S,50\n3,,7\n4,S,500\n"


def tallies(reports: Any) -> dict[str, tuple[int, ...]]:
    return {
        report.output: (
            report.rows.read,
            report.rows.written,
            report.rows.quarantined,
            report.rows.filtered,
            report.rows.duplicates,
        )
        for report in reports
    }


def test_every_output_accounts_for_every_row(house: Any) -> None:
    house.write("1.csv", FIRST)

    reports = house.run(ORDERS)

    assert tallies(reports) == {"main": (5, 3, 1, 0, 1), "big": (5, 1, 2, 1, 1)}
    assert str(reports[1]).startswith("orders.big: 5 read = 1 written")
    assert [row["id"] for row in house.rows("big_orders")] == ["2"]
    aside = [(row["step"], row["reasons"]) for row in house.rows("orders_quarantine")]
    assert sorted(aside) == [
        ("checks", "country is missing"),
        ("outputs.big.checks", "n is more than 99"),
    ]


def test_an_output_that_is_new_catches_up_without_repeating_the_others(house: Any) -> None:
    house.write("1.csv", FIRST)
    house.run(ORDERS.partition("    outputs:")[0])
    house.write("2.csv", "id,country,n\n9,F,90\n")

    reports = house.run(ORDERS)

    assert [(report.output, report.rows.read) for report in reports] == [
        ("big", 5),
        ("main", 1),
        ("big", 1),
    ]
    assert [row["id"] for row in house.rows("orders")] == ["1", "2", "4", "9"]
    assert [row["id"] for row in house.rows("big_orders")] == ["2", "9"]
    assert len(house.rows("orders_quarantine")) == 2


FULL = """
    version: 1
    name: daily
    refresh: full
    defaults: { sinks: { lake: { mode: replace } } }
    source:
      lake: { table: orders }
    transforms:
      - aggregate: { by: [country], measures: { n: sum(n) } }
    checks:
      - range: { column: n, max: 1000 }
        severity: warn
    sink:
      lake: { table: daily }
"""


def test_a_full_refresh_replaces_what_was_written_when_there_is_something_new(house: Any) -> None:
    house.write("1.csv", FIRST)
    house.run(ORDERS)
    house.run(FULL)
    house.write("2.csv", "id,country,n\n9,F,2000\n")
    house.run(ORDERS)

    [second] = house.run(FULL)
    [third] = house.run(FULL)

    assert house.rows("daily") == [{"country": "F", "n": 2005}, {"country": "S", "n": 550}]
    assert (second.rows.read, second.rows.regrained, second.rows.written) == (4, -2, 2)
    assert [warned.fault for warned in second.warnings] == ["n is more than 1000"]
    assert third.version is None


def test_what_is_new_in_a_table_can_be_read_unless_it_was_rewritten(house: Any) -> None:
    copy = FULL.replace("refresh: full", "").replace("mode: replace", "mode: append")
    copy = copy.replace(
        "- aggregate: { by: [country], measures: { n: sum(n) } }", "- filter: { where: n > 0 }"
    )
    house.write("1.csv", FIRST)
    house.run(ORDERS)
    house.run(copy)
    house.write("2.csv", "id,country,n\n9,F,1\n")
    house.run(ORDERS)

    assert house.run(copy)[0].rows.read == 1

    replaced = ORDERS.replace("name: orders", "name: other\n    refresh: full")
    house.run(
        replaced.replace("table: orders }", "table: orders, mode: replace }").replace(
            "big_orders }", "o, mode: replace }"
        )
    )
    with pytest.raises(Rewritten):
        house.run(copy)


ENRICHED = """
    version: 1
    name: enriched
    source:
      files: { paths: ["*.csv"] }
    inputs:
      countries:
        files: { paths: ["names/*.ndjson"], columns: {code: text, name: text} }
    transforms:
      - join: { input: countries, on: { country: code }, columns: { name: country_name } }
    checks:
      - references: { input: countries, on: { country: code } }
    sink:
      lake: { table: enriched }
"""


def test_other_relations_are_joined_and_looked_up(house: Any) -> None:
    house.write("1.csv", FIRST)
    house.write("names/1.ndjson", '{"code": "F", "name": "France"}\n')

    [report] = house.run(ENRICHED)

    assert (report.rows.written, report.rows.quarantined) == (3, 2)
    assert {row["country_name"] for row in house.rows("enriched")} == {"France", None}


def test_a_step_may_be_another_one_for_an_engine(house: Any) -> None:
    house.write("1.csv", FIRST)
    both = """- filter: { where: n > 5 }
        engines: { duckdb: { filter: { where: n > 60 } }, other: { filter: { where: n > 0 } } }"""

    [report] = house.run(
        ORDERS.partition("    outputs:")[0].replace("- deduplicate: { keys: [id] }", both)
    )

    assert report.rows.filtered == 4


def test_a_check_that_has_to_hold_ends_the_run(house: Any) -> None:
    house.write("1.csv", FIRST)
    strict = ORDERS.replace(
        "{ columns: [country] }", "{ columns: [country] }\n        severity: fail"
    )

    with pytest.raises(ChecksFailed, match=r"pipeline.yaml:9:5: checks\[0\] not_null: country is"):
        house.run(strict)

    assert house.lake.names() == []


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("filter: {", "fitler: {", r"15:9: no transform 'fitler': did you mean 'filter'"),
        ("big:\n", "big:\n        from: bgi\n", r"no output 'bgi': "),
        ("table: big_orders", "table: orders", r"several outputs write to 'orders'"),
        ("table: orders }", "table: orders, mode: replace }", r"needs 'refresh: full'"),
        (
            "- deduplicate: {",
            "- deduplicate: {}\n        filter: {",
            r"one transform is to be named",
        ),
        ("- deduplicate:", "- severity: warn\n        deduplicate:", "'severity' is one of"),
        (
            "{ columns: [country] }",
            "{ columns: [country] }\n        severity: bad",
            "'severity' is one",
        ),
    ],
)
def test_what_is_wrong_with_a_pipeline_is_told(
    house: Any, old: str, new: str, message: str
) -> None:
    with pytest.raises(WrongDocument, match=message):
        house.run(ORDERS.replace(old, new, 1))


def test_everything_that_is_wrong_is_told_at_once(house: Any) -> None:
    wrong = (
        ORDERS.replace("deduplicate:", "dedup:")
        .replace("n >= 10", "n >=")
        .replace("max: 99", "maxi: 9")
    )
    wrong = wrong.replace("version: 1", "version: 2")

    with pytest.raises(WrongDocument) as told:
        house.run(wrong)

    assert len(str(told.value).splitlines()) >= 4
