"""The door for whoever declares metrics: `analytics check`, and `analytics query`."""

import sys
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import typer
from rich.bar import Bar
from rich.console import Console
from rich.table import Column, Table

from triptych.analytics.application.ports import Part
from triptych.analytics.domain.query import PREVIOUS, TIME, Comparison, Fill, MetricQuery, find
from triptych.analytics.entrypoints.formats import Answer, as_csv, as_json, iso
from triptych.analytics.entrypoints.parameters import Cut, answer_columns, as_of
from triptych.analytics.infrastructure.metrics import read_metrics
from triptych.analytics.settings import AnalyticsSettings
from triptych.analytics.wiring import tables_of
from triptych.core.domain.time import Grain
from triptych.core.errors import Kind, TriptychError
from triptych.core.logging import configure_logging


class WrongOption(TriptychError):
    """An option is wrong."""

    kind = Kind.INVALID
    hint = "See: analytics query --help."


def check() -> None:
    """Compare the metrics with the tables: all that is wrong, with its file and line."""
    settings = AnalyticsSettings.load()
    configure_logging(settings.log)
    declared = read_metrics(settings.metrics_dir)
    with tables_of(settings) as tables:
        for table in declared.check(tables):
            typer.echo(
                f"there is no table {table!r} yet: what is over it was not checked", err=True
            )
    typer.echo(f"{len(declared.metrics)} metrics are right.")


def query(
    metric: Annotated[str, typer.Argument(help="The metric's name.")],
    start: Annotated[
        str | None, typer.Option("--from", help="Such as 2030-01-01T00:00:00Z.")
    ] = None,
    end: Annotated[str | None, typer.Option("--to", help="The first moment not to count.")] = None,
    grain: Annotated[Grain | None, typer.Option(help="The length of the buckets.")] = None,
    tz: Annotated[str | None, typer.Option(help="The time zone that cuts them.")] = None,
    by: Annotated[list[str] | None, typer.Option(help="A dimension; several are possible.")] = None,
    where: Annotated[str | None, typer.Option(help="A filter over the dimensions.")] = None,
    having: Annotated[str | None, typer.Option(help="A filter over the values.")] = None,
    order: Annotated[str, typer.Option(help="Columns; a minus sorts downwards.")] = "",
    compare: Annotated[Comparison | None, typer.Option(help="Add the period before.")] = None,
    fill: Annotated[Fill | None, typer.Option(help="What stands in empty buckets.")] = None,
    at: Annotated[str | None, typer.Option("--as-of", help="A version, or a time.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="The most rows.")] = 50,
    csv: Annotated[bool, typer.Option("--csv", help="As CSV.")] = False,
    json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Ask for a metric: a table, with bars, in the terminal."""
    settings = AnalyticsSettings.load()
    configure_logging(settings.log)
    found = find(read_metrics(settings.metrics_dir).metrics, metric)
    cut = Cut.model_validate(
        {
            "from": _moment(start),
            "to": _moment(end),
            "grain": grain,
            "tz": tz,
            "by": by or [],
            "where": where,
            "having": having,
            "order": order,
            "compare": compare,
            "fill": fill,
        }
    )
    with tables_of(settings) as tables:
        versions = {name: tables.version(name, as_of(at)) for name in found.tables}
        asked = cut.query({metric: found}, versions)
        rows = tables.page(asked, versions, Part(limit))
    more = rows.num_rows > limit
    rows = rows.slice(0, limit)
    answer = Answer([rows], answer_columns(asked, versions), asked.zone, {})
    if csv or json:
        sys.stdout.buffer.writelines(as_csv(answer) if csv else (*as_json(answer), b"\n"))
        return
    Console(markup=False).print(_table(asked, rows, metric, found.unit))
    told = ", ".join(f"{table.name} version {table.version}" for table in versions.values())
    typer.echo(f"{told}.{' There are more rows: see --limit.' if more else ''}", err=True)


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise WrongOption(f"{text!r} is no time: write 2030-01-01T00:00:00Z") from None
    if at.tzinfo is None:
        raise WrongOption(f"{text!r} has no offset: write 2030-01-01T00:00:00Z")
    return at


def _table(query: MetricQuery, rows: pa.Table, metric: str, unit: str) -> Table:
    values = [float(value or 0) for value in rows[metric].to_pylist()]
    most = max([abs(value) for value in values], default=0)
    numbers = [name for name in query.columns if name not in query.keys]
    columns = [Column(name) for name in query.keys]
    columns += [Column(f"{n} {unit}".strip(), justify="right", no_wrap=True) for n in numbers]
    table = Table(*columns, Column("", min_width=20), box=None, padding=(0, 2, 0, 0))
    for row, value in zip(rows.to_pylist(), values, strict=True):
        cells = [_told(row[name], query, name) for name in query.columns]
        table.add_row(*cells, Bar(most or 1, 0, abs(value), width=20))
    return table


def _told(value: Any, query: MetricQuery, name: str) -> str:
    match value:
        case None:
            return "" if name.endswith(PREVIOUS) else "-"
        case datetime():
            text = iso(value, ZoneInfo(query.zone))
            whole = query.grain not in (Grain.MINUTE, Grain.HOUR) and name == TIME
            return text[:10] if whole else text
        case Decimal() | int() if not isinstance(value, bool):
            return f"{value:,}"
        case float():
            return f"{value:,.4g}"
        case _:
            return str(value)
