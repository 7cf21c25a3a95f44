"""A query that keeps every row can be told by its form; one that might not is counted."""

import pytest
import sqlglot
from sqlglot import exp

from triptych.etl.domain.expressions import DIALECT
from triptych.etl.domain.relation import Relation, keeps_rows

ROWS = Relation("rows", {"a": "integer", "b": "text"})


def parsed(sql: str) -> exp.Query:
    query = sqlglot.parse_one(sql, dialect=DIALECT)
    assert isinstance(query, exp.Query)
    return query


@pytest.mark.parametrize(
    "sql",
    ['select "a" from "rows"', 'select "_row", "a" + 1 as c, upper("b") as d from "rows"'],
)
def test_projections_keep_every_row(sql: str) -> None:
    assert keeps_rows(parsed(sql), ROWS)


@pytest.mark.parametrize(
    "sql",
    [
        'select "a" from "rows" where "a" > 1',
        'select distinct "a" from "rows"',
        'select "a" from "rows" limit 1',
        'select "a" from "rows" qualify row_number() over (order by "a") = 1',
        'select count(*) from "rows"',
        'select "a" from "rows" group by "a"',
        'select unnest([1, 2]), "a" from "rows"',
        'select "a" from "rows" union all select "a" from "rows"',
        'select r."a" from "rows" as r join "others" as o on r."a" = o."a"',
        'select "a" from "rows", "others"',
        'select "a" from "others"',
        'select "a" from "rows" tablesample 10%',
        'select "a", (select max("a") from "others") from "rows"',
    ],
)
def test_whatever_might_not_is_not_taken_for_it(sql: str) -> None:
    assert not keeps_rows(parsed(sql), ROWS)
