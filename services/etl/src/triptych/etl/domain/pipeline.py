"""A pipeline, as its YAML file says it."""

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field

from triptych.core.documents import Part

Use: TypeAlias = Annotated[dict[str, dict[str, Any]], Field(min_length=1, max_length=1)]
"""A plugin's name, and its configuration."""


class PipelineFile(Part):
    """A pipeline: where its rows come from, what is done with them, where they go."""

    version: Literal[1] = Field(description="The version of this format.")
    name: str = Field(pattern=r"^[a-z][a-z0-9_-]{0,62}$", examples=["sales"])
    description: str = ""
    source: Use
    transforms: tuple[Use, ...] = ()
    checks: tuple[Use, ...] = ()
    sink: Use
