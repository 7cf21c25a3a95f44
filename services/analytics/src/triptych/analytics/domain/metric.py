"""A metric, as its YAML file declares it."""

from enum import StrEnum, auto
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from triptych.core.documents import Part

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]


class Function(StrEnum):
    """How the rows of a bucket become one number."""

    SUM = auto()
    COUNT = auto()
    AVERAGE = auto()
    MINIMUM = auto()
    MAXIMUM = auto()


class Measure(Part):
    """A function, and the column that it is computed over."""

    function: Function
    column: Name | None = Field(default=None, description="Left out, `count` counts rows.")

    @model_validator(mode="after")
    def _has_a_column(self) -> Self:
        if self.column is None and self.function is not Function.COUNT:
            raise ValueError(f"{self.function.value!r} needs a column")
        return self


class Metric(Part):
    """A number over time, and what it can be broken down by."""

    description: str
    unit: str = Field(default="", examples=["GBP"])
    table: Name = Field(description="The lake's table.")
    time: Name = Field(description="The column that says when.", examples=["event_time"])
    measure: Measure
    dimensions: tuple[Name, ...] = Field(default=(), examples=[["country"]])


class MetricsFile(Part):
    """A file of metrics."""

    version: Literal[1] = Field(description="The version of this format.")
    metrics: dict[Name, Metric]
