"""Metrics from a folder of YAML files."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from triptych.analytics.application.ports import Tables
from triptych.analytics.domain import filters
from triptych.analytics.domain.columns import Columns, ColumnType
from triptych.analytics.domain.metric import Function, Measure, Metric, MetricsFile
from triptych.core import documents
from triptych.core.documents import Document, Problems, Step, WrongDocument, nearest
from triptych.core.errors import Kind, TriptychError
from triptych.core.logging import get_logger

log = get_logger(__name__)


class NoMetrics(TriptychError):
    """No metrics are declared."""

    kind = Kind.INVALID
    hint = "Set TRIPTYCH_METRICS_DIR to a folder with files like metrics.yaml."


@dataclass(frozen=True, slots=True)
class Declared:
    """The metrics of a folder, and where they stand."""

    metrics: Mapping[str, Metric]
    documents: Mapping[str, Document]

    def check(self, tables: Tables) -> Sequence[str]:
        """Compare the metrics with the tables; the tables that there are not yet.

        Raises:
            WrongDocument: with everything that does not fit, its file, line and column.
        """
        problems, missing = Problems(), []
        for name, metric in self.metrics.items():
            columns: dict[str, Columns] = {}
            for table in metric.tables:
                try:
                    columns[table] = tables.version(table).columns
                except TriptychError as error:
                    if error.kind is not Kind.NOT_FOUND:
                        raise
                    missing.append(table)
            if found := list(_faults(metric, columns)):
                problems.add(self.documents[name].wrong(found))
        problems.check()
        return sorted(set(missing))


def read_metrics(folder: Path) -> Declared:
    """The metrics of all `*.yaml` files of a folder, by name.

    Raises:
        NoMetrics: it is no folder, or declares none.
        WrongDocument: with file, line and what is wrong; or two files declare the same metric.
    """
    metrics: dict[str, Metric] = {}
    found_in: dict[str, Document] = {}
    problems = Problems()
    for file in _files(folder):
        for document, declared in problems.attempt(lambda file=file: _read(file)):  # type: ignore[misc]
            for name, metric in declared.metrics.items():
                at = document.at("metrics", name)
                if name in metrics:
                    message = f"{at.where()}: another file declares {name!r} too"
                    problems.add(WrongDocument(message))
                metrics[name], found_in[name] = metric, at
    problems.check()
    if not metrics:
        raise NoMetrics(f"the folder {str(folder)!r} declares none")
    return Declared(metrics, found_in)


class MetricFolder:
    """The metrics of a folder, as they stood when it was last read without a fault. Thread-safe."""

    def __init__(self, folder: Path, tables: Tables) -> None:
        self._folder = folder
        self._tables = tables
        self._digest = _digest(folder)
        declared = read_metrics(folder)
        for table in declared.check(tables):
            log.debug("metrics.table_missing", table=table)
        self.metrics: Mapping[str, Metric] = declared.metrics

    def reload(self) -> None:
        """Read it again. A fault is logged, and all stays as it was."""
        try:
            digest = _digest(self._folder)
            declared = read_metrics(self._folder)
            declared.check(self._tables)
        except TriptychError as error:
            log.warning("metrics.not_reloaded", error=error.sentence)
            return
        self.metrics, self._digest = declared.metrics, digest  # at once: nobody sees a half
        log.info("metrics.reloaded", metrics=len(declared.metrics))

    def reload_if_changed(self) -> None:
        """Read it again if a file is not what it was."""
        try:
            changed = _digest(self._folder) != self._digest
        except TriptychError as error:
            log.warning("metrics.not_reloaded", error=error.sentence)
            return
        if changed:
            self.reload()


def _read(file: Path) -> tuple[Document, MetricsFile]:
    document = documents.load(file)
    return document, document.to(MetricsFile)


def _files(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.suffix == ".yaml")
    except OSError as error:
        raise NoMetrics(f"the folder {str(folder)!r}: {error.strerror}") from None


def _digest(folder: Path) -> str:
    content = [f"{path.name}\n{documents.read_text(path)}" for path in _files(folder)]
    return hashlib.sha256("\0".join(content).encode()).hexdigest()


_Fault = tuple[tuple[Step, ...], str]
_NUMBERS = (ColumnType.INTEGER, ColumnType.DECIMAL, ColumnType.DOUBLE)


def _faults(metric: Metric, tables: Mapping[str, Columns]) -> Iterator[_Fault]:
    own = tables.get(metric.table)
    if own is not None:
        if metric.time not in own:
            yield ("time",), _no_column(metric.table, metric.time, own)
        elif own[metric.time] not in (ColumnType.TIME, ColumnType.DATE):
            kind = own[metric.time].value
            yield ("time",), f"{metric.table}.{metric.time} is of type {kind}, and no time"
        yield from _measure_faults(metric.measure, metric.table, own, ("measure",))
        if metric.where is not None:
            try:
                filters.parse(metric.where, own)
            except TriptychError as error:
                yield ("where",), f"{error.title.rstrip('.')}: {error}"
    yield from _join_faults(metric, tables)
    for name, dimension in metric.dimensions.items():
        table = metric.joins[dimension.join].table if dimension.join else metric.table
        columns, column = tables.get(table), metric.column(name)
        if columns is not None and column not in columns:
            yield ("dimensions", name), _no_column(table, column, columns)


def _join_faults(metric: Metric, tables: Mapping[str, Columns]) -> Iterator[_Fault]:
    for name, join in metric.joins.items():
        for here, there in join.on.items():
            for table, column in ((metric.table, here), (join.table, there)):
                columns = tables.get(table)
                if columns is not None and column not in columns:
                    yield ("joins", name, "on", here), _no_column(table, column, columns)


def _measure_faults(
    measure: Measure, table: str, columns: Columns, trail: tuple[Step, ...]
) -> Iterator[_Fault]:
    for part in ("numerator", "denominator"):
        if (inner := getattr(measure, part)) is not None:
            yield from _measure_faults(inner, table, columns, (*trail, part))
    if measure.column is None:
        return
    if measure.column not in columns:
        yield (*trail, "column"), _no_column(table, measure.column, columns)
    elif (
        measure.function in (Function.SUM, Function.AVERAGE, Function.QUANTILE)
        and columns[measure.column] not in _NUMBERS
    ):
        kind = columns[measure.column].value
        problem = (
            f"{table}.{measure.column} is of type {kind}: there is no {measure.function.value}"
        )
        yield (*trail, "column"), problem


def _no_column(table: str, name: str, columns: Columns) -> str:
    return f"the table {table!r} has no column {name!r}: {nearest(name, columns)}"
