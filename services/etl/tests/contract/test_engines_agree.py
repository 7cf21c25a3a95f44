"""Whatever rows there are, every transform and every check does the same on every engine."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from importlib.metadata import entry_points
from typing import Any, Final

import orjson
import pyarrow as pa
import pytest
from hypothesis import Phase, assume, given, settings
from hypothesis import strategies as st

from triptych.etl.application.execution import ChecksFailed
from triptych.etl.application.ports import Engine, QueryFailed
from triptych.etl.domain.plugins import Severity
from triptych.etl.infrastructure.engines.duckdb import DuckDb
from triptych.etl.infrastructure.engines.spark import Spark
from triptych.etl.testing.steps import run_steps

EXAMPLES: Final = 8  # for each of the cases below, each of some queries
TYPES: Final = {
    "n": pa.int64(),
    "price": pa.decimal128(38, 4),
    "ratio": pa.float64(),
    "odd": pa.float64(),
    "name": pa.string(),
    "at": pa.timestamp("us", tz="UTC"),
    "day": pa.date32(),
    "yes": pa.bool_(),
    "number": pa.string(),
    "doc": pa.string(),
    "tags": pa.string(),
}
TEXTS = st.one_of(
    st.sampled_from(["", "a", "A", "it's", 'say "x"', "back\\slash", "ü", "\U0001f600", "a\nb"]),
    st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=8),
)
DOCUMENTS = st.dictionaries(
    st.sampled_from(["city", "n", "other"]),
    st.one_of(st.none(), st.booleans(), st.integers(-(2**40), 2**40), TEXTS),
).map(lambda found: orjson.dumps(found).decode())
VALUES: Final[dict[str, st.SearchStrategy[Any]]] = {
    "n": st.one_of(st.sampled_from([0, 1, 1, -(2**63), 2**63 - 1]), st.integers(-9, 9)),
    "price": st.one_of(
        st.sampled_from([Decimal(10**34 - 1), Decimal("-0.0001"), Decimal(0)]),
        st.decimals(-100, 100, places=4),
    ),
    "ratio": st.one_of(
        st.sampled_from([0.0, -0.0, 1.5, 5e-324, 1.7976931348623157e308]),
        st.floats(allow_nan=False, allow_infinity=False),
    ),
    "odd": st.sampled_from([0.0, -0.0, float("nan"), float("inf"), float("-inf")]),
    "name": TEXTS,
    "at": st.one_of(
        st.sampled_from([datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)]),
        st.datetimes(timezones=st.just(UTC)),
    ),
    "day": st.one_of(st.sampled_from([date.min, date.max]), st.dates()),
    "yes": st.booleans(),
    "number": st.sampled_from(
        ["1", "-1", "2.5", "3.0", "1e3", " 7 ", "x", "", "99999999999", "2030-01-01", "true",
         "2030", "2030-02-30", "1d", "1\n", "12345.678", "2030-01-01T09:30:00Z", "2030/01/01",
         "2030-1-2", "infinity", "-inf", "NaN", "1_000", "0x10", "+5", "1.", "٣", "TRUE", "yes"]
    ),
    "doc": st.one_of(DOCUMENTS, st.sampled_from(["{", "", "[]", "7", "null"])),
    "tags": st.lists(TEXTS, max_size=3).map(lambda tags: orjson.dumps(tags).decode()),
}  # fmt: skip
SAIL_CANNOT: Final[dict[tuple[str, str], dict[str, st.SearchStrategy[Any]]]] = {
    # It counts nanoseconds when it cuts times down: 1678 to 2262 is as far as they reach.
    ("aggregate", "time"): {
        "at": st.integers(-8_000_000_000, 9_000_000_000).map(
            lambda seconds: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
        )
    },
    # It makes decimals of doubles that are compared with one, and there is no room for 1e300.
    ("filter", "ratio"): {"ratio": st.sampled_from([0.0, -0.0, 1.5, 5e-324, 1e12])},
    # It overflows in silence.
    ("derive", "twice"): {"n": st.integers(-9, 9)},
}
"""By a plugin and what its configuration has in it: what is left out where Sail is at fault. Real
Spark is spared nothing."""
ON_SAIL: Final = "TRIPTYCH_TEST_SPARK_URL" not in os.environ


def tables(**narrowed: st.SearchStrategy[Any]) -> st.SearchStrategy[pa.Table]:
    """Tables of a few rows, with anything in them that a value can be."""
    row = {name: st.none() | values for name, values in {**VALUES, **narrowed}.items()}
    return st.lists(st.fixed_dictionaries(row), max_size=8).map(
        lambda rows: pa.Table.from_pylist(rows, schema=pa.schema(TYPES))
    )


OTHERS = pa.table({"key": [0, 1, None], "label": ["zero", "one", "none"]})

TRANSFORMS: Final[dict[str, list[dict[str, Any]]]] = {
    "aggregate": [
        {
            "by": ["yes"],
            "measures": {"n": "count(*)", "names": "count(distinct name)", "last": "max(at)"},
        },
        {
            "time": {"column": "at", "grain": "month", "into": "month"},
            "measures": {"least": "min(price)", "all_yes": "bool_and(yes)"},
        },
    ],
    "cast": [
        {"columns": {"number": kind}}
        for kind in ("integer", "bigint", "double", "boolean", "date", "decimal(9, 2)")
    ]
    + [{"columns": {"at": "text", "day": "text", "n": "text", "price": "text", "yes": "text"}}]
    + [{"columns": {"at": "date", "n": "decimal(38, 2)"}}],
    "deduplicate": [
        {"keys": ["n"]},
        {"keys": ["name"], "order": ["price"], "keep": "last"},
    ],
    "derive": [
        {"columns": {"half": "n / 2", "upside": "1 / n", "long": "length(name)"}},
        {"columns": {"low": "lower(name)", "first": "left(name, 1)", "both": "name || '!'"}},
        {"columns": {"twice": "n * 2"}},
        {"columns": {"year": "extract(year from day)", "sure": "coalesce(yes, n > 1)"}},
        {"columns": {"bigger": "odd > cast(1 as double)", "same": "odd = odd", "kind": "case when n > 0 then 'p' else 'n' end"}},
    ],
    "explode": [{"column": "tags", "into": "tag"}],
    "filter": [{"where": "n > 0 or name like 'a%'"}, {"where": "ratio >= 1.5 and not yes"}],
    "flatten": [
        {"column": "doc", "columns": {"city": "text", "count": {"type": "bigint", "at": "/n"}}}
    ],
    "join": [
        {"input": "others", "on": {"n": "key"}, "columns": {"label": "label"}, "kind": kind}
        for kind in ("left", "inner")
    ],
    "mask": [{"columns": {"name": "hash", "n": "hash", "day": "redact"}, "key": "${KEY}"}],
    "rename": [{"columns": {"n": "m", "name": "n"}}],
    "select": [{"columns": ["yes", "at"]}],
    "sql": [
        {
            "query": "select r.name, o.label, count(*) as n from rows r"
            " left join others o on r.n = o.key group by r.name, o.label"
        },
        {"query": "select n, row_number() over (order by n, name, at, price) as place from rows"},
    ],
}  # fmt: skip
NOT_OURS: Final = {"python": "it runs in this process, whatever the engine is"}
CHECKS: Final[dict[str, list[dict[str, Any]]]] = {
    "accepted": [{"column": "name", "values": ["a", "it's", "back\\slash"]}],
    "expression": [{"holds": "n > price"}, {"holds": "day > date '2000-01-01'"}],
    "freshness": [{"column": "at", "max_age": "P1D"}],
    "matches": [{"column": "number", "pattern": "[0-9]+"}, {"column": "name", "pattern": "a|\\w+"}],
    "not_null": [{"columns": ["n", "name"]}],
    "range": [{"column": "price", "min": "-1.5", "max": 3}, {"column": "ratio", "min": 0}],
    "references": [{"input": "others", "on": {"n": "key"}}],
    "row_count": [{"min": 1, "max": 4}],
    "schema": [{"columns": {"n": "bigint", "price": "decimal(38, 4)"}}],
    "unique": [{"columns": ["n"]}, {"columns": ["name", "yes"]}],
}


@dataclass(frozen=True)
class Case:
    """A plugin, and how it is configured."""

    group: str
    name: str
    configuration: dict[str, Any]

    def __str__(self) -> str:
        return self.name

    def narrowed(self) -> dict[str, st.SearchStrategy[Any]]:
        """What is not tried of the columns' values."""
        if not ON_SAIL:
            return {}
        told = str(self.configuration)
        return {
            column: values
            for (name, part), less in SAIL_CANNOT.items()
            if name == self.name and part in told
            for column, values in less.items()
        }

    def outcome(self, engine: Engine, rows: pa.Table) -> object:
        """All that is to be the same."""
        [found] = entry_points(group=f"triptych.etl.{self.group}", name=self.name)
        model = found.load()
        plugin = model.model_validate(
            self.configuration, context={"environment": {"KEY": "k" * 16}}
        )
        given: dict[str, Any] = {self.group: [plugin], "inputs": {"others": OTHERS}}
        if hasattr(model, "demands") and self.group == "checks":
            given["severity"] = Severity.WARN
        try:
            done = run_steps(engine, rows, **given)
        except ChecksFailed as error:
            return str(error)
        except QueryFailed:
            return "cannot be computed"
        rows_out = [told(row) for row in done.rows]
        aside = [(row.reasons, told(row.original)) for row in done.quarantined]
        return (
            dict(done.types),
            sorted(rows_out),
            sorted(aside),
            done.tally,
            done.warnings,
        )


def told(row: Any) -> str:
    """A row as text, in which any value is like itself: NaN is NaN, and zero has a sign."""
    return repr(row)


def misread(rows: pa.Table) -> bool:
    """Whether Sail makes one value of two: a file's statistics leave NaN out, and where all others
    are alike, it takes them for the only ones."""
    values = set(map(repr, rows["odd"].to_pylist())) - {"None"}
    return "nan" in values and len(values) == 2


CASES: Final = [
    Case(group, name, configuration)
    for group, cases in (("transforms", TRANSFORMS), ("checks", CHECKS))
    for name, configurations in cases.items()
    for configuration in configurations
]


@pytest.fixture(scope="module")
def spark(spark_url: str) -> Iterator[Engine]:
    with Spark.model_validate({"url": spark_url}).open() as opened:
        yield opened


@pytest.mark.parametrize(("group", "cases"), [("transforms", TRANSFORMS), ("checks", CHECKS)])
def test_no_plugin_of_the_service_is_left_out(group: str, cases: dict[str, Any]) -> None:
    installed = {
        found.name
        for found in entry_points(group=f"triptych.etl.{group}")
        if found.value.startswith("triptych.etl.")
    }

    assert cases.keys() == installed - NOT_OURS.keys()


@pytest.mark.parametrize("case", CASES, ids=str)
def test_engines_agree(spark: Engine, case: Case) -> None:
    # Without shrinking: hundreds of queries for each failure would take minutes.
    @settings(max_examples=EXAMPLES, phases=[Phase.explicit, Phase.generate])
    @given(rows=tables(**case.narrowed()))
    def agree(rows: pa.Table) -> None:
        assume(not (ON_SAIL and misread(rows)))
        with DuckDb().open() as duckdb:
            assert case.outcome(spark, rows) == case.outcome(duckdb, rows)

    agree()
