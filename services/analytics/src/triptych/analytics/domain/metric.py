"""A metric, as its YAML file declares it."""

from collections.abc import Iterator
from enum import StrEnum, auto
from typing import Annotated, Any, Final, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, field_validator, model_validator

from triptych.analytics.domain.columns import Columns, ColumnType
from triptych.core.documents import Part
from triptych.core.domain.time import Grain

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
RESERVED: Final = frozenset(
    {"time", "and", "or", "not", "in", "like", "is", "null", "true", "false"}
)


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"{name!r} is no time zone; write one like Europe/Berlin") from None
    return name


Zone = Annotated[str, Field(max_length=64), AfterValidator(_known_zone)]


class Function(StrEnum):
    """How the rows of a bucket become one number."""

    SUM = auto()
    COUNT = auto()
    COUNT_DISTINCT = auto()
    AVERAGE = auto()
    MINIMUM = auto()
    MAXIMUM = auto()
    QUANTILE = auto()
    RATIO = auto()
    """Of two other measures."""


class Measure(Part):
    """A function, and what it is computed over."""

    function: Function
    column: Name | None = Field(default=None, description="Left out, `count` counts rows.")
    quantile: float | None = Field(default=None, gt=0, lt=1, examples=[0.95])
    numerator: "Measure | None" = None
    denominator: "Measure | None" = None

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        is_ratio = self.function is Function.RATIO
        parts = (self.numerator, self.denominator)
        if is_ratio != (None not in parts) or (not is_ratio and any(parts)):
            raise ValueError("'numerator' and 'denominator' are what 'ratio' needs, and no other")
        if is_ratio and (self.column or any(part.numerator for part in parts if part)):
            raise ValueError("a 'ratio' is of two measures that have columns of their own")
        if (self.quantile is None) == (self.function is Function.QUANTILE):
            raise ValueError("'quantile' is what 'quantile' needs, such as 0.95, and no other")
        if self.column is None and self.function not in (Function.COUNT, Function.RATIO):
            raise ValueError(f"{self.function.value!r} needs a column")
        return self

    def columns(self) -> Iterator[str]:
        """The columns that it is computed over."""
        if self.column:
            yield self.column
        for part in (self.numerator, self.denominator):
            if part:
                yield from part.columns()


class Dimension(Part):
    """What a metric can be broken down and filtered by."""

    description: str = ""
    column: Name | None = Field(default=None, description="If it is not named like the dimension.")
    join: Name | None = Field(default=None, description="The join whose table has the column.")
    values: tuple[str, ...] | None = Field(
        default=None, description="All values that there are; others in a filter are an error."
    )


class Join(Part):
    """A table that rows find one row in, at most."""

    table: Name
    on: dict[Name, Name] = Field(
        min_length=1,
        description="Columns that are equal: here, and there.",
        examples=[{"product": "id"}],
    )


class Metric(Part):
    """A number over time, and what it can be broken down by."""

    description: str
    unit: str = Field(default="", examples=["GBP"])
    format: str = Field(
        default="",
        pattern=r"^(|integer|percent|decimal\([0-9]\))$",
        description="How it is shown: `integer`, `percent` or `decimal(2)`.",
    )
    table: Name = Field(description="The lake's table.")
    time: Name = Field(description="The column that says when.", examples=["event_time"])
    zone: Zone = Field(default="UTC", description="The time zone that days begin in.")
    grains: tuple[Grain, ...] = Field(default=tuple(Grain), min_length=1)
    measure: Measure
    where: str | None = Field(
        default=None,
        description="Which rows count: a filter over the table's columns.",
        examples=["not cancelled"],
    )
    joins: dict[Name, Join] = Field(default={})
    dimensions: dict[Name, Dimension] = Field(default={})
    hierarchies: dict[Name, tuple[Name, ...]] = Field(
        default={},
        description="Dimensions from coarse to fine.",
        examples=[{"place": ["country", "city"]}],
    )

    @field_validator("dimensions", mode="before")
    @classmethod
    def _named(cls, given: Any) -> Any:
        """A list of names is short for dimensions that need no more."""
        return {name: {} for name in given} if isinstance(given, list | tuple) else given

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        for name, dimension in self.dimensions.items():
            if name in RESERVED:
                raise ValueError(f"no dimension can be called {name!r}")
            if dimension.join is not None and dimension.join not in self.joins:
                raise ValueError(f"{name}: there is no join {dimension.join!r}")
        for name, levels in self.hierarchies.items():
            if missing := [level for level in levels if level not in self.dimensions]:
                raise ValueError(f"{name}: there is no dimension {missing[0]!r}")
        return self

    @property
    def tables(self) -> tuple[str, ...]:
        """The tables that it is computed from, its own first."""
        return tuple(dict.fromkeys([self.table, *(join.table for join in self.joins.values())]))

    def column(self, dimension: str) -> str:
        """The column that a dimension stands for, in its table."""
        return self.dimensions[dimension].column or dimension


class MetricsFile(Part):
    """A file of metrics."""

    version: Literal[1] = Field(description="The version of this format.")
    metrics: dict[Name, Metric]


def value_type(measure: Measure, columns: Columns) -> ColumnType:
    """The type of a metric's values."""
    match measure.function:
        case Function.COUNT | Function.COUNT_DISTINCT:
            return ColumnType.INTEGER
        case Function.AVERAGE | Function.QUANTILE | Function.RATIO:
            return ColumnType.DOUBLE
        case _:
            return columns.get(measure.column or "", ColumnType.OTHER)
