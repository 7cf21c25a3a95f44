"""Pipelines from and into SQL databases, SQLite and PostgreSQL alike."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from triptych.core.documents import WrongDocument
from triptych.etl.application.ports import QueryFailed
from triptych.etl.infrastructure.databases import DatabaseFailed, WrongUrl, connect
from triptych.lake.errors import SchemaChanged
from triptych.testing.postgres import PostgresServer

FROM = """
    version: 1
    name: orders
    source:
      sql: { url: "${SHOP}", table: orders, cursor: id }
    sink:
      lake: { table: orders }
"""
INTO = """
    version: 1
    name: orders
    source:
      files: { paths: ["*.csv"], columns: {id: integer, total: "decimal(38, 20)", at: timestamptz, note: text} }
    sink:
      sql: { url: "${SHOP}", table: totals, mode: upsert, keys: [id] }
"""
HEADER = "id,total,at,note\n"
NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
def shop(new_database: Callable[[], str]) -> str:
    """The URL of an empty database."""
    return new_database()


def orders(url: str) -> sa.Table:
    """A table of orders in that database."""
    table = sa.Table(
        "orders",
        sa.MetaData(),
        sa.Column("id", sa.BigInteger, primary_key=True),
        sa.Column("customer", sa.String(20)),
        sa.Column("paid", sa.Boolean),
        sa.Column("day", sa.Date),
        sa.Column("changed_at", sa.DateTime),
    )
    with connect(SecretStr(url)).begin() as connection:
        table.create(connection, checkfirst=True)
    return table


def insert(url: str, *rows: dict[str, Any]) -> None:
    with connect(SecretStr(url)).begin() as connection:
        connection.execute(sa.insert(orders(url)), list(rows))


def an_order(number: int, **more: Any) -> dict[str, Any]:
    return {
        "id": number,
        "customer": f"c{number}",
        "paid": bool(number % 2),
        "day": NOON.date(),
        "changed_at": NOON.replace(tzinfo=None),
        **more,
    }


def ask(url: str, query: str) -> list[tuple[Any, ...]]:
    with connect(SecretStr(url)).connect() as connection:
        return [tuple(row) for row in connection.execute(sa.text(query))]


def test_what_is_new_in_a_table_is_read_once(house: Any, shop: str) -> None:
    insert(shop, an_order(1), an_order(2, customer=None))
    [first] = house.run(FROM, SHOP=shop)
    insert(shop, an_order(3))

    [second] = house.run(FROM, SHOP=shop)
    [third] = house.run(FROM, SHOP=shop)

    assert [report.rows.read for report in (first, second, third)] == [2, 1, 0]
    rows = house.rows("orders")
    assert [row["customer"] for row in rows] == ["c1", None, "c3"]
    assert rows[0] == {
        "id": 1,
        "customer": "c1",
        "paid": True,
        "day": NOON.date(),
        "changed_at": NOON,
    }


def test_rows_that_are_young_wait_until_no_other_can_come_before_them(
    house: Any, shop: str
) -> None:
    now = datetime.now(UTC).replace(tzinfo=None)
    hour = timedelta(hours=1)
    insert(shop, an_order(1, changed_at=now - hour), an_order(2, changed_at=now + hour))
    text = FROM.replace("cursor: id", "cursor: changed_at, lag: PT5M")

    [report] = house.run(text, SHOP=shop)

    assert [row["id"] for row in house.rows("orders")] == [1]
    assert report.rows.read == 1


def test_a_query_is_asked_in_the_database_s_own_dialect(house: Any, shop: str) -> None:
    insert(shop, an_order(1), an_order(2), an_order(3, customer="a: 'b' \\ c"))
    query = """
          query: "select id, customer || ':x' as who from orders where paid and id >= 1"
          columns: { id: bigint, who: text }
    """
    text = FROM.replace(", table: orders, cursor: id }", " }").replace(
        'sql: { url: "${SHOP}" }', f'sql:\n          url: "${{SHOP}}"\n          cursor: id{query}'
    )

    house.run(text, SHOP=shop)

    assert [row["who"] for row in house.rows("orders")] == ["c1:x", "a: 'b' \\ c:x"]


def test_a_table_without_a_cursor_is_read_whole_each_time(house: Any, shop: str) -> None:
    insert(shop, an_order(1))
    text = FROM.replace(", cursor: id", "").replace("table: orders }\n", "table: orders }\n", 1)
    with pytest.raises(WrongDocument, match="refresh: full"):
        house.run(text, SHOP=shop)
    text = text.replace("name: orders", "name: orders\n    refresh: full").replace(
        "lake: { table: orders }", "lake: { table: orders, mode: replace }"
    )
    house.run(text, SHOP=shop)
    insert(shop, an_order(2))

    house.run(text, SHOP=shop)

    assert [row["id"] for row in house.rows("orders")] == [1, 2]


@pytest.mark.parametrize(
    "query",
    ["delete from orders", "select * from orders; drop table orders", "select read_blob('x')", "5"],
)
def test_only_a_select_of_what_is_allowed_is_a_query(house: Any, query: str) -> None:
    text = FROM.replace("table: orders, cursor: id", f'query: "{query}", columns: {{id: bigint}}')

    with pytest.raises(WrongDocument):
        house.run(text, SHOP="sqlite://")


def test_a_value_that_a_column_cannot_hold_is_named(house: Any, tmp_path: Any) -> None:
    shop = f"sqlite:///{tmp_path / 'shop.db'}"
    insert(shop, an_order(1))
    with connect(SecretStr(shop)).begin() as connection:
        connection.execute(sa.text("insert into orders (id, paid) values (2, 1), ('x', 0)"))

    with pytest.raises(QueryFailed, match=r"cursor cannot be|column 'id' holds a value"):
        house.run(FROM, SHOP=shop)


def test_rows_go_into_a_table_by_their_keys(house: Any, shop: str) -> None:
    house.write("1.csv", HEADER + "1,0.12345678901234567890,2030-01-01T12:00:00Z,a\n2,2,,b\n")
    house.run(INTO, SHOP=shop)
    house.write("2.csv", HEADER + "2,3,,b\n3,4,,\n,5,,no key\n")

    [report] = house.run(INTO, SHOP=shop)

    assert (report.rows.written, report.rows.quarantined) == (2, 1)
    rows = ask(shop, "select id, total, note from totals order by id")
    assert [(id_, Decimal(total), note) for id_, total, note in rows] == [
        (1, Decimal("0.12345678901234567890"), "a"),
        (2, 3, "b"),
        (3, 4, None),
    ]
    assert ask(shop, "select position, version from triptych_positions") == [(2, 1)]


def test_a_plan_tells_what_would_change_and_changes_nothing(house: Any, shop: str) -> None:
    house.write("1.csv", HEADER + "1,1,,a\n2,2,,b\n")
    house.run(INTO, SHOP=shop)
    house.write("2.csv", HEADER + "1,1,,a\n2,9,,b\n3,3,,c\n")

    planned = house.etl.attempt.plan(house.pipeline(INTO, SHOP=shop))

    effects = planned.outputs[0].effects
    assert (effects.added, effects.changed, effects.removed) == (1, 1, 0)
    assert ask(shop, "select count(*) from totals") == [(2,)]


def test_a_table_can_be_replaced(house: Any, shop: str) -> None:
    text = INTO.replace("mode: upsert, keys: [id]", "mode: replace").replace(
        "name: orders", "name: orders\n    refresh: full"
    )
    house.write("1.csv", HEADER + "1,1,,a\n")
    house.run(text, SHOP=shop)
    house.write("2.csv", HEADER + "2,2,,b\n")

    house.run(text, SHOP=shop)

    assert ask(shop, "select id from totals order by id") == [(1,), (2,)]


def test_a_table_that_lacks_a_column_is_not_written_to(house: Any, shop: str) -> None:
    with connect(SecretStr(shop)).begin() as connection:
        connection.execute(sa.text("create table totals (id integer primary key)"))
    house.write("1.csv", HEADER + "1,1,,a\n")

    with pytest.raises(SchemaChanged, match="has no total, at, note"):
        house.run(INTO, SHOP=shop)


def test_what_a_database_says_holds_no_password(house: Any) -> None:
    house.write("1.csv", HEADER + "1,1,,a\n")
    url = "postgresql+psycopg://user:hunter2@127.0.0.1:1/none"

    with pytest.raises(DatabaseFailed) as refused:
        house.run(INTO, SHOP=url)
    with pytest.raises(WrongUrl) as wrong:
        house.run(INTO, SHOP="cockroach://user:hunter2@127.0.0.1/none")

    assert "hunter2" not in str(refused.value) + str(wrong.value)


def test_what_a_database_refuses_is_said_without_values(
    house: Any, postgres_server: PostgresServer
) -> None:
    url = postgres_server.create_database()
    pipeline = house.pipeline(
        """
        version: 1
        name: orders
        refresh: full
        source:
          sql:
            url: ${URL}
            query: select id, 1 / zero as n from orders
            columns: {id: text, n: integer}
        sink: { lake: { table: orders, mode: replace } }
        """,
        URL=url,
    )
    with connect(SecretStr(url)).begin() as connection:
        connection.execute(sa.text("create table orders as select 'secret' as id, 0 as zero"))

    with pytest.raises(DatabaseFailed, match="division by zero") as raised:
        house.etl.run(pipeline)

    assert "secret" not in str(raised.value)
    assert not house.lake.table("orders").exists()
