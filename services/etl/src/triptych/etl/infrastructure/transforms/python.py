"""The transform `python`: a function that a package has registered, over Arrow batches."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.metadata import entry_points
from typing import Annotated, ClassVar, Final, TypeAlias, cast

import pyarrow as pa
from pydantic import AfterValidator, Field

from triptych.core.documents import Part, nearest
from triptych.etl.domain.plugins import Effect

GROUP: Final = "triptych.etl.functions"
"""The group of entry points that functions are registered in."""

Function: TypeAlias = Callable[[pa.RecordBatch], pa.RecordBatch]
"""What is registered: it gets a batch, and gives one with as many rows and perhaps other columns."""


def _functions() -> Mapping[str, object]:
    return {entry.name: entry for entry in entry_points(group=GROUP)}


def _registered(name: str) -> str:
    if name not in (known := _functions()):
        raise ValueError(f"no package has registered a function {name!r}: {nearest(name, known)}")
    return name


class Python(Part):
    """Change the rows with a function that an installed package has registered."""

    effect: ClassVar = Effect.KEEPS

    function: Annotated[str, AfterValidator(_registered)] = Field(
        description=f"Its name in the entry points `{GROUP}`."
    )

    def stream(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """See `ArrowTransform.stream`."""
        [entry] = entry_points(group=GROUP, name=self.function)
        function = cast("Function", entry.load())
        for batch in batches:
            made = function(batch)
            if made.num_rows != batch.num_rows:
                raise ValueError(f"{self.function} made {made.num_rows} rows of {batch.num_rows}")
            yield made
