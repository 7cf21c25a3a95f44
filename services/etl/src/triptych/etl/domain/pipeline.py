"""A pipeline, as its YAML file says it."""

from enum import StrEnum, auto
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import BeforeValidator, Field

from triptych.core.documents import Part
from triptych.etl.domain.schedule import Schedule

MAIN: Final = "main"
"""What the rows are called that come out of a pipeline's own transforms and checks."""

Use: TypeAlias = Annotated[dict[str, Any], Field(min_length=1)]
"""A plugin's name and its configuration, and perhaps what the framework is to know beside it."""

Name: TypeAlias = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,62}$")]


class Refresh(StrEnum):
    """What a run reads."""

    INCREMENTAL = auto()
    """What is new since the last run."""
    FULL = auto()
    """Everything, whenever something is new: what was written before is replaced."""


class BranchFile(Part):
    """What is done with rows, and perhaps where they go."""

    transforms: tuple[Use, ...] = ()
    checks: tuple[Use, ...] = ()
    sink: Use | None = None


class OutputFile(BranchFile):
    """A further output: rows of the pipeline go on from somewhere in it."""

    origin: str = Field(
        default=MAIN,
        alias="from",
        description="The output whose rows it starts from: another one's name, or `main`.",
    )


def _of_main(value: object) -> object:
    return {MAIN: value} if isinstance(value, list) else value


Row: TypeAlias = dict[str, Any]
Expected: TypeAlias = dict[Name, tuple[Row, ...]]


class Case(Part):
    """A test of the pipeline: for the given rows, these are expected."""

    name: str = Field(min_length=1)
    given: tuple[Row, ...] = Field(description="The rows as the source would have them.")
    inputs: dict[Name, tuple[Row, ...]] = Field(default={}, description="Likewise.")
    expect: Annotated[
        Expected, BeforeValidator(_of_main, json_schema_input_type=Expected | tuple[Row, ...])
    ] = Field(
        default={},
        description="The rows of each output, or of `main`; columns that are not told do not matter.",
    )
    quarantined: tuple[str, ...] | None = Field(
        default=None, description="The reasons of the rows that are set aside."
    )


class PipelineFile(BranchFile):
    """A pipeline: where its rows come from, what is done with them, where they go."""

    version: Literal[1] = Field(description="The version of this format.")
    name: Name = Field(examples=["sales"])
    description: str = ""
    refresh: Refresh = Refresh.INCREMENTAL
    schedule: Schedule | None = Field(default=None, description="When `etl serve` runs it.")
    defaults: dict[str, dict[str, dict[str, Any]]] = Field(
        default={},
        description="What a plugin's configuration says if it does not say otherwise, by kind and name.",
        examples=[{"sinks": {"lake": {"schema": "evolve"}}}],
    )
    source: Use
    inputs: dict[Name, Use] = Field(
        default={}, description="Other relations, which are read whole: for joins and look-ups."
    )
    outputs: dict[Name, OutputFile] = Field(default={}, description="Further outputs.")
    tests: tuple[Case, ...] = Field(default=(), description="What `etl test` makes sure of.")
