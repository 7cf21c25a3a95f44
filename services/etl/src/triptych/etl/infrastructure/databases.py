"""The databases that pipelines read from and write to: any that SQLAlchemy has a driver for."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import sqlalchemy as sa
from pydantic import SecretStr
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError

from triptych.core.errors import Kind, TriptychError
from triptych.database.engine import UtcDateTime
from triptych.etl.domain.types import decimal

STATEMENT_SECONDS: Final = 3600
"""How long a statement may take: a bulk load is one."""


class WrongUrl(TriptychError):
    """The URL of a pipeline names no database that can be used."""

    kind = Kind.INVALID
    hint = (
        "Write it as SQLAlchemy does: postgresql+psycopg://user@host/database; install its driver."
    )


class DatabaseFailed(TriptychError):
    """A database that a pipeline reads or writes cannot be used, or refuses what it is asked."""

    kind = Kind.UNAVAILABLE
    hint = "Nothing was committed. Mend what the database says, and run again."


class _ExactDecimal(sa.TypeDecorator[Any]):
    """A decimal as text, for SQLite: its numbers keep no more than 15 digits."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: Any | None, dialect: sa.Dialect) -> str | None:
        return None if value is None else format(value, "f")


_TYPES: Final[Mapping[str, sa.types.TypeEngine[Any]]] = {
    "text": sa.Text(),
    "integer": sa.Integer(),
    "bigint": sa.BigInteger(),
    "double": sa.Double(),
    "boolean": sa.Boolean(),
    "date": sa.Date(),
    "timestamptz": sa.DateTime(timezone=True).with_variant(UtcDateTime(), "sqlite"),
}


def sql_type(kind: str) -> sa.types.TypeEngine[Any]:
    """A pipeline's type, as a database's.

    Raises:
        ValueError: it is none that a pipeline can name.
    """
    if found := decimal(kind):
        return sa.Numeric(*found).with_variant(_ExactDecimal(), "sqlite")
    if kind not in _TYPES:
        raise ValueError(f"no database has the type {kind}: cast the column")
    return _TYPES[kind]


def type_name(kind: sa.types.TypeEngine[Any]) -> str | None:
    """A database's type, as a pipeline's; none where there is no such."""
    match kind:
        case sa.Boolean():
            return "boolean"
        case sa.BigInteger():
            return "bigint"
        case sa.Integer():
            return "integer"
        case sa.Float():
            return "double"
        case sa.Numeric(precision=int(precision), scale=int(scale)):
            return f"decimal({precision}, {scale})"
        case sa.DateTime():
            return "timestamptz"
        case sa.Date():
            return "date"
        case sa.String() | sa.Uuid():
            return "text"
        case _:
            return None


def connect(url: SecretStr) -> sa.Engine:
    """An engine for that database, which keeps no connection.

    Raises:
        WrongUrl: it is none, or its driver is not installed. The URL is not told.
    """
    try:
        parsed = sa.make_url(url.get_secret_value())
        if parsed.drivername in ("postgresql", "postgres"):
            parsed = parsed.set(drivername="postgresql+psycopg")
        engine = sa.create_engine(parsed, poolclass=sa.NullPool, hide_parameters=True)
    except NoSuchModuleError as error:
        raise WrongUrl(f"there is no dialect {str(error).rpartition(':')[2]}") from None
    except ModuleNotFoundError as error:
        raise WrongUrl(f"the driver {error.name!r} is not installed") from None
    except (ArgumentError, ValueError):
        raise WrongUrl("it is no SQLAlchemy URL") from None
    if engine.dialect.name == "sqlite":
        # The driver's own BEGIN would leave definitions of tables out of the transaction.
        sa.event.listen(engine, "connect", _without_own_begin)
        sa.event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
    return engine


def _without_own_begin(connection: Any, _: object) -> None:
    connection.isolation_level = None


@contextmanager
def transaction(connection: sa.Connection, *, writes: bool = False) -> Iterator[None]:
    """A transaction on this connection, rolled back on any error.

    Raises:
        DatabaseFailed: with what the database says, without values.
    """
    with reporting(), connection.begin():
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql(f"SET LOCAL statement_timeout = '{STATEMENT_SECONDS}s'")
            connection.exec_driver_sql("SET LOCAL timezone = 'UTC'")
            if writes:
                connection.exec_driver_sql("SET LOCAL synchronous_commit = on")
        yield


@contextmanager
def reporting() -> Iterator[None]:
    """Turn what the driver raises into our error, without the statement and its values."""
    try:
        yield
    except DBAPIError as error:
        raise DatabaseFailed(str(error.orig).partition("\n")[0]) from None
    except SQLAlchemyError as error:
        raise DatabaseFailed(str(error).partition("\n")[0]) from None
