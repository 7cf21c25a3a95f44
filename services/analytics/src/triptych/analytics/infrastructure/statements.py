"""Queries as SQLAlchemy Core statements, over whatever the tables are in a database.

Every part of an answer (a table's metrics, the period before, the buckets that are to be filled) is
a SELECT of the same keys; they are put below each other and grouped by these keys once more. So no
key of one part is lost for missing in another.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeAlias

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from triptych.analytics.application.errors import UnfitColumn, WrongColumn
from triptych.analytics.application.ports import Query, TableVersion, Versions
from triptych.analytics.domain import filters
from triptych.analytics.domain.columns import ColumnType
from triptych.analytics.domain.metric import Function, Measure, Metric, value_type
from triptych.analytics.domain.query import (
    PREVIOUS,
    ROW,
    TIME,
    Fill,
    MetricQuery,
    RowQuery,
)
from triptych.analytics.infrastructure.conditions import condition
from triptych.core.domain.time import Grain

Expression: TypeAlias = sa.ColumnElement[Any]


@dataclass(frozen=True, slots=True)
class Dialect:
    """What databases do not say alike."""

    source: Callable[[TableVersion, str], sa.FromClause]
    """A table, under that alias; with the column `_row`, that tells its rows apart."""
    average: Callable[[Expression], Expression]
    """As a double."""
    quantile: Callable[[float, Expression], Expression]
    utc_bucket: Callable[[Expression, Expression], Expression]
    """A moment, cut down to a unit of UTC."""
    null: Callable[[ColumnType], Expression]
    """No value, in a column of values of this type."""


SQL_TYPES: Final[Mapping[ColumnType, sa.types.TypeEngine[Any]]] = {
    ColumnType.INTEGER: sa.BigInteger(),
    ColumnType.DECIMAL: sa.Numeric(38, 4),
    ColumnType.DOUBLE: sa.Double(),
    ColumnType.BOOLEAN: sa.Boolean(),
    ColumnType.DATE: sa.Date(),
    ColumnType.TIME: sa.DateTime(timezone=True),
}
"""What the types of columns are in SQL."""


@dataclass(frozen=True)
class Statements:
    """Builds statements for a database."""

    dialect: Dialect

    def whole(self, query: Query, versions: Versions) -> sa.Select[Any]:
        """The whole answer to a question, in no order.

        Raises:
            WrongColumn, UnfitColumn: the tables cannot answer it.
        """
        if isinstance(query, RowQuery):
            return self.rows(query, versions)
        _check_columns(query, versions)
        return self.aggregate(query, versions)

    def aggregate(self, query: MetricQuery, versions: Versions) -> sa.Select[Any]:
        """The whole answer to a question about metrics, in no order."""
        parts = list(self._parts(query, versions))
        if len(parts) == 1:
            [found] = parts
            answer = found.subquery("answer")
        else:
            answer = self._together(query, versions, parts).subquery("answer")
        statement = sa.select(*(answer.c[name] for name in query.columns))
        if query.having is not None:
            statement = statement.where(condition(query.having, answer.c))
        return statement

    def rows(self, query: RowQuery, versions: Versions) -> sa.Select[Any]:
        """All rows that a question about rows is for, in no order."""
        source = self.dialect.source(versions[query.table], "rows")
        statement = sa.select(*(source.c[name] for name in query.columns), source.c[ROW])
        if query.where is not None:
            statement = statement.where(condition(query.where, source.c))
        return statement

    def _parts(self, query: MetricQuery, versions: Versions) -> Iterator[sa.Select[Any]]:
        """Each with the keys of the query, and some of its other columns."""
        current = (query.start, query.end)
        groups = list(_alike(query.metrics))
        found = [self._part(query, group, versions, current, {}) for group in groups]
        if query.compare is not None:
            before, buckets = query.previous()
            moved = dict(zip(buckets, query.buckets(), strict=True))
            found += [
                self._part(query, group, versions, (before.start, before.end), moved, PREVIOUS)
                for group in groups
            ]
        yield from found
        if query.fill is not None:
            yield _filling(query, found)

    def _together(
        self, query: MetricQuery, versions: Versions, parts: Sequence[sa.Select[Any]]
    ) -> sa.Select[Any]:
        """All parts, in a row for each key."""
        types = {
            f"{name}{suffix}": value_type(metric.measure, versions[metric.table].columns)
            for name, metric in query.metrics.items()
            for suffix in ("", PREVIOUS)
        }
        values = [name for name in query.columns if name not in query.keys]
        below = sa.union_all(
            *(
                sa.select(
                    *(found.c[name] for name in query.keys),
                    *(
                        (
                            found.c[name]
                            if name in found.c
                            else self.dialect.null(types[name]).label(name)
                        )
                        for name in values
                    ),
                )
                for number, part in enumerate(parts)
                for found in [part.subquery(f"part_{number}")]
            )
        ).subquery("parts")
        merged: list[Expression] = [sa.func.max(below.c[name]) for name in values]
        if query.fill is Fill.ZERO:
            merged = [sa.func.coalesce(value, 0) for value in merged]
        named = [value.label(name) for name, value in zip(values, merged, strict=True)]
        keys = [below.c[name] for name in query.keys]
        return sa.select(*keys, *named).group_by(*keys)

    def _part(  # the last two make it the period before
        self,
        query: MetricQuery,
        group: Mapping[str, Metric],
        versions: Versions,
        between: tuple[datetime | None, datetime | None],
        moved: Mapping[datetime, datetime],
        suffix: str = "",
    ) -> sa.Select[Any]:
        metric = next(iter(group.values()))
        source = self.dialect.source(versions[metric.table], "facts")
        tables: dict[str, sa.FromClause] = {
            name: self.dialect.source(versions[join.table], name)
            for name, join in metric.joins.items()
            if name in _needed(query, metric)
        }
        time = source.c[metric.time]
        keys = [_column(metric, name, source, tables).label(name) for name in query.by]
        joined: sa.FromClause = source
        for name, table in tables.items():
            pairs = metric.joins[name].on.items()
            on = sa.and_(*(source.c[here] == table.c[there] for here, there in pairs))
            joined = joined.outerjoin(table, on)
        if query.grain is not None:
            is_moment = versions[metric.table].columns[metric.time] is ColumnType.TIME
            bucket = self._bucket(query.grain, query.zone if is_moment else "", time)
            if moved:
                pairs_table = _pairs(moved)
                joined = joined.join(pairs_table, bucket == pairs_table.c.old)
                bucket = pairs_table.c.new
            keys.insert(0, bucket.label(TIME))
        values = [
            self._measure(each.measure, source).label(f"{name}{suffix}")
            for name, each in group.items()
        ]
        statement = sa.select(*keys, *values).select_from(joined)
        start, end = between
        if start is not None:
            statement = statement.where(time >= start)
        if end is not None:
            statement = statement.where(time < end)
        if metric.where is not None:
            types = versions[metric.table].columns
            statement = statement.where(condition(filters.parse(metric.where, types), source.c))
        if query.where is not None:
            of = _Dimensions(metric, source, tables)
            statement = statement.where(condition(query.where, of))
        return statement.group_by(*(sa.literal_column(str(n + 1)) for n in range(len(keys))))

    def _bucket(self, grain: Grain, zone: str, time: Expression) -> Expression:
        """When the bucket begins that a time lies in: see `Grain.floor`. A day is of no zone.

        Hours are cut off by as much as a clock shows beyond the full hour, so that of an hour which
        comes twice, each is one.
        """
        unit: Expression = sa.bindparam("grain", grain.value)
        if zone == "UTC" or (zone and grain is Grain.MINUTE):
            return self.dialect.utc_bucket(unit, time)
        if not zone:
            return sa.func.timezone(
                sa.literal("UTC"), sa.func.date_trunc(unit, sa.cast(time, sa.DateTime()))
            )
        name: Expression = sa.bindparam("zone", zone)
        local = sa.func.timezone(name, time)
        if grain is Grain.HOUR:
            return time - (local - sa.func.date_trunc(unit, local))
        return sa.func.timezone(name, sa.func.date_trunc(unit, local))

    def _measure(self, measure: Measure, source: sa.FromClause) -> Expression:
        column = source.c[measure.column] if measure.column else sa.literal_column("*")
        match measure.function:
            case Function.RATIO:
                assert measure.numerator  # noqa: S101  # as the model checks
                assert measure.denominator  # noqa: S101
                over = sa.cast(self._measure(measure.denominator, source), sa.Double)
                value = sa.cast(self._measure(measure.numerator, source), sa.Double)
                return value / sa.func.nullif(over, 0)
            case Function.COUNT_DISTINCT:
                return sa.func.count(sa.distinct(column))
            case Function.AVERAGE:
                return self.dialect.average(column)
            case Function.QUANTILE:
                return self.dialect.quantile(float(measure.quantile or 0), column)
            case _:
                return _FUNCTIONS[measure.function](column)


_FUNCTIONS: Final[Mapping[Function, Callable[[Any], Expression]]] = {
    Function.SUM: sa.func.sum,
    Function.COUNT: sa.func.count,
    Function.MINIMUM: sa.func.min,
    Function.MAXIMUM: sa.func.max,
}


def compiled(statement: sa.Select[Any]) -> tuple[str, list[Any]]:
    """A statement's text, and the values of its parameters in their order."""
    made = statement.compile(dialect=_DIALECT)
    return str(made), [made.params[name] for name in made.positiontup or []]


# DuckDB speaks PostgreSQL's dialect; its own paramstyle is $1, $2.
_DIALECT: Final = postgresql.dialect(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]


def _alike(metrics: Mapping[str, Metric]) -> Iterator[dict[str, Metric]]:
    """Metrics that differ in nothing but what is measured can be computed at once."""
    groups: dict[str, dict[str, Metric]] = {}
    for name, metric in metrics.items():
        same = metric.model_dump_json(include={"table", "time", "where", "joins", "dimensions"})
        groups.setdefault(same, {})[name] = metric
    yield from groups.values()


def _filling(query: MetricQuery, parts: Sequence[sa.Select[Any]]) -> sa.Select[Any]:
    """All buckets, for all that the answer is broken down by."""
    buckets = sa.bindparam("buckets", query.buckets(), type_=sa.ARRAY(sa.DateTime(timezone=True)))
    times = sa.select(sa.func.unnest(buckets).label(TIME)).subquery("times")
    if not query.by:
        return sa.select(times.c[TIME])
    seen = sa.union(
        *(
            sa.select(*(found.c[name] for name in query.by))
            for number, part in enumerate(parts)
            for found in [part.subquery(f"seen_{number}")]
        )
    ).subquery("seen")
    return sa.select(times.c[TIME], *(seen.c[name] for name in query.by)).join_from(
        times, seen, sa.true()
    )


def _pairs(moved: Mapping[datetime, datetime]) -> sa.Subquery:
    times = sa.ARRAY(sa.DateTime(timezone=True))
    return sa.select(
        sa.func.unnest(sa.bindparam("old", list(moved), type_=times, unique=True)).label("old"),
        sa.func.unnest(sa.bindparam("new", list(moved.values()), type_=times, unique=True)).label(
            "new"
        ),
    ).subquery("moved")


def _needed(query: MetricQuery, metric: Metric) -> set[str]:
    """The joins that a query needs."""
    where = filters.columns_of(query.where) if query.where is not None else ()
    joins = (metric.dimensions[name].join for name in {*query.by, *where})
    return {join for join in joins if join}


def _column(
    metric: Metric, dimension: str, source: sa.FromClause, tables: Mapping[str, sa.FromClause]
) -> Expression:
    join = metric.dimensions[dimension].join
    return (tables[join] if join else source).c[metric.column(dimension)]


@dataclass(frozen=True, slots=True)
class _Dimensions:
    """A metric's dimensions, as if they were a table's columns."""

    metric: Metric
    source: sa.FromClause
    tables: Mapping[str, sa.FromClause]

    def __getitem__(self, name: str) -> Expression:
        return _column(self.metric, name, self.source, self.tables)


def _check_columns(query: MetricQuery, versions: Versions) -> None:
    for name, metric in query.metrics.items():
        table = versions[metric.table]
        used = {metric.time, *metric.measure.columns()}
        used |= {metric.column(d) for d in metric.dimensions if not metric.dimensions[d].join}
        if missing := sorted(used - set(table.columns)):
            raise WrongColumn(f"{name}: {metric.table!r} has no column {missing[0]!r}")
        if table.columns[metric.time] not in (ColumnType.TIME, ColumnType.DATE):
            kind = table.columns[metric.time].value
            raise UnfitColumn(f"{name}: {metric.time!r} is of type {kind}, and no time")
