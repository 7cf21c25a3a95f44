"""The transforms, checks and sources of the service keep what every such plugin promises."""

import json
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
import pytest
import sqlalchemy as sa

from triptych.etl.application.plugins import CHECK, TRANSFORM, PluginKind
from triptych.etl.application.ports import Reading
from triptych.etl.domain.checks import rows as row_checks
from triptych.etl.domain.checks import tables as table_checks
from triptych.etl.domain.transforms import columns, relations, rows
from triptych.etl.domain.transforms.sql import SqlSelect
from triptych.etl.infrastructure.plugins import InstalledPlugins
from triptych.etl.infrastructure.sources.files import Files
from triptych.etl.infrastructure.sources.sql import SqlRows
from triptych.etl.testing.checks import RowCheckConformance, TableCheckConformance
from triptych.etl.testing.configuration import Conformance
from triptych.etl.testing.sources import SourceConformance
from triptych.etl.testing.transforms import TransformConformance

SALES = pa.table({"n": [1, 2, 2], "city": ["Ulm", None, "Bonn"]})
CITIES = pa.table({"name": ["Ulm", "Bonn"], "land": ["BW", "NW"]})


def told(**values: list[Any]) -> list[dict[str, Any]]:
    """Rows, column by column."""
    return pa.table(values).to_pylist() if values else []


class Transforms(TransformConformance):
    rows = SALES


class TestSelect(Transforms):
    plugin = columns.Select
    configuration: ClassVar = {"columns": ["city"]}
    columns = ("city",)
    expected = told(city=["Ulm", None, "Bonn"])


class TestRename(Transforms):
    plugin = columns.Rename
    configuration: ClassVar = {"columns": {"n": "number"}}
    columns = ("n",)
    expected = told(number=[1, 2, 2], city=["Ulm", None, "Bonn"])


class TestDerive(Transforms):
    plugin = columns.Derive
    configuration: ClassVar = {"columns": {"twice": "n + n"}}
    expected = told(n=[1, 2, 2], city=["Ulm", None, "Bonn"], twice=[2, 4, 4])


class TestCast(Transforms):
    plugin = columns.Cast
    configuration: ClassVar = {"columns": {"n": "text"}}
    columns = ("n",)
    expected = told(n=["1", "2", "2"], city=["Ulm", None, "Bonn"])


class TestFlatten(Transforms):
    plugin = columns.Flatten
    configuration: ClassVar = {"column": "address", "columns": {"zip": "text"}}
    columns = ("address",)
    rows = pa.table({"address": ['{"zip": "89073"}']})
    expected = told(address=['{"zip": "89073"}'], zip=["89073"])


class TestMask(Transforms):
    plugin = columns.Mask
    configuration: ClassVar = {"columns": {"city": "redact"}, "key": "${KEY}"}
    secrets: ClassVar = {"KEY": "a key that is long enough"}
    columns = ("city",)
    expected = told(n=[1, 2, 2], city=["***", None, "***"])


class TestMaskHash(TestMask):
    configuration: ClassVar = {"columns": {"n": "hash"}, "key": "${KEY}"}
    columns = ("n",)
    rows = pa.table({"n": pa.array([None], pa.int64())})
    expected: ClassVar = [{"n": None}]


class TestFilter(Transforms):
    plugin = rows.Filter
    configuration: ClassVar = {"where": "n > 1"}
    expected = told(n=[2, 2], city=[None, "Bonn"])


class TestDeduplicate(Transforms):
    plugin = rows.Deduplicate
    configuration: ClassVar = {"keys": ["n"]}
    columns = ("n",)
    expected = told(n=[1, 2], city=["Ulm", None])


class TestExplode(Transforms):
    plugin = rows.Explode
    configuration: ClassVar = {"column": "items", "into": "item"}
    columns = ("items",)
    rows = pa.table({"items": ['["a", "b"]', "[]"]})
    expected = told(item=["a", "b"])


class TestJoin(Transforms):
    plugin = relations.Join
    configuration: ClassVar = {
        "input": "cities",
        "on": {"city": "name"},
        "kind": "inner",
        "columns": {"land": "land"},
    }
    inputs: ClassVar = {"cities": CITIES}
    columns = ("city",)
    expected = told(n=[1, 2], city=["Ulm", "Bonn"], land=["BW", "NW"])


class TestAggregate(Transforms):
    plugin = relations.Aggregate
    configuration: ClassVar = {"measures": {"rows": "count(*)"}}
    expected = told(rows=[3])


class TestSql(Transforms):
    plugin = SqlSelect
    configuration: ClassVar = {"query": "select count(*) as number from rows"}
    expected = told(number=[3])


class RowChecks(RowCheckConformance):
    rows = SALES


class TestNotNull(RowChecks):
    plugin = row_checks.NotNull
    configuration: ClassVar = {"columns": ["city"]}
    columns = ("city",)
    faulty = (1,)


class TestRange(RowChecks):
    plugin = row_checks.Range
    configuration: ClassVar = {"column": "n", "min": 2, "max": 9}
    columns = ("n",)
    faulty = (0,)


class TestAccepted(RowChecks):
    plugin = row_checks.Accepted
    configuration: ClassVar = {"column": "city", "values": ["Ulm"]}
    columns = ("city",)
    faulty = (2,)


class TestMatches(RowChecks):
    plugin = row_checks.Matches
    configuration: ClassVar = {"column": "city", "pattern": "U.*"}
    columns = ("city",)
    faulty = (2,)


class TestUnique(RowChecks):
    plugin = row_checks.Unique
    configuration: ClassVar = {"columns": ["n"]}
    columns = ("n",)
    faulty = (1, 2)


class TestReferences(RowChecks):
    plugin = row_checks.References
    configuration: ClassVar = {"input": "cities", "on": {"city": "name"}}
    inputs: ClassVar = {"cities": CITIES.slice(0, 1)}
    columns = ("city",)
    faulty = (2,)


class TestExpression(RowChecks):
    plugin = row_checks.Expression
    configuration: ClassVar = {"holds": "n > 1"}
    faulty = (0,)


class TestRowCount(TableCheckConformance):
    plugin = table_checks.RowCount
    configuration: ClassVar = {"min": 1}
    rows = SALES
    broken = SALES.slice(0, 0)


class TestSchema(TableCheckConformance):
    plugin = table_checks.Schema
    configuration: ClassVar = {"columns": {"n": "bigint", "city": "text"}}
    columns = ("n", "city")
    rows = SALES
    broken = SALES.append_column("more", pa.array([1, 2, 3]))


class TestFreshness(TableCheckConformance):
    plugin = table_checks.Freshness
    configuration: ClassVar = {"column": "at", "max_age": "P1D"}
    columns = ("at",)
    rows = pa.table({"at": pa.array([4_000_000_000], pa.timestamp("s", tz="UTC"))})
    broken = pa.table({"at": pa.array([0], pa.timestamp("s", tz="UTC"))})


class TestFiles(SourceConformance):
    plugin = Files
    configuration: ClassVar = {"paths": ["*.ndjson"], "columns": {"n": "integer", "city": "text"}}
    parts = (told(n=[1, None], city=["Ulm", "Bonn"]), told(n=[3], city=[None]))

    def put(self, reading: Reading, rows: list[dict[str, Any]]) -> None:
        lines = "".join(f"{json.dumps(row)}\n" for row in rows)
        (reading.resources.files / f"{rows[0]['n']}.ndjson").write_text(lines)


class TestSqlRows(SourceConformance):
    plugin = SqlRows
    configuration: ClassVar = {
        "url": "${URL}",
        "query": "select n, city from numbers",
        "columns": {"n": "bigint", "city": "text"},
        "cursor": "n",
    }
    parts = (told(n=[1, 2], city=["Ulm", None]), told(n=[3], city=["Bonn"]))

    @pytest.fixture(autouse=True)
    def _database(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(type(self), "secrets", {"URL": f"sqlite:///{tmp_path / 'shop.db'}"})

    def put(self, reading: Reading, rows: list[dict[str, Any]]) -> None:
        engine = sa.create_engine(self.secrets["URL"])
        with engine.begin() as connection:
            connection.execute(sa.text("create table if not exists numbers (n integer, city text)"))
            connection.execute(sa.text("insert into numbers values (:n, :city)"), rows)
        engine.dispose()


@pytest.mark.parametrize("kind", [TRANSFORM, CHECK], ids=lambda kind: kind.noun)
def test_every_plugin_of_the_service_is_tested(kind: PluginKind[Any]) -> None:
    tested = {test.plugin for test in _subclasses(Conformance) if hasattr(test, "plugin")}
    installed = InstalledPlugins()

    untested = {
        n for n in installed.names(kind.group) if installed.load(kind.group, n) not in tested
    }

    assert untested <= {"python"}  # its functions are other packages'


def _subclasses(of: type[Any]) -> set[type[Any]]:
    return {of}.union(*(_subclasses(sub) for sub in of.__subclasses__()))
