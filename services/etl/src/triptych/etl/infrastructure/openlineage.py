"""Tell others of runs and of what tables are made of, as OpenLineage events (openlineage.io)."""

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pydantic import SecretStr

from triptych.core.errors import Kind, TriptychError
from triptych.core.logging import get_logger
from triptych.etl.application.ports import Telling, Traced

if TYPE_CHECKING:
    from openlineage.client import OpenLineageClient
    from openlineage.client.event_v2 import InputDataset, OutputDataset
    from openlineage.client.generated.base import RunFacet

log = get_logger(__name__)
_PRODUCER: Final = "https://pypi.org/project/triptych-etl/"


class NoOpenLineage(TriptychError):
    """Runs are to be told of, and what tells of them is not installed."""

    kind = Kind.INVALID
    hint = "Install the extra: pip install 'triptych-etl[openlineage]'."


def telling(
    *, url: str | None, key: SecretStr | None, file: Path | None, namespace: str
) -> Telling | None:
    """Who is told of runs: a file or a URL; nobody without either.

    Raises:
        NoOpenLineage: the extra is not installed.
    """
    if url is None and file is None:
        return None
    try:
        from openlineage.client import OpenLineageClient  # noqa: PLC0415  # an extra
    except ImportError:
        raise NoOpenLineage("the package openlineage-python is missing") from None
    if file is not None:
        transport: dict[str, object] = {
            "type": "file",
            "log_file_path": str(file),
            "append": True,
        }
    else:
        transport = {"type": "http", "url": url, "timeout": 5, "retry": {"total": 1}}
        if key is not None:
            transport["auth"] = {"type": "api_key", "api_key": key.get_secret_value()}
    return OpenLineageEvents(OpenLineageClient(config={"transport": transport}), namespace)


@dataclass(frozen=True, slots=True)
class OpenLineageEvents:
    """Sends an event when a run begins and when it ends. Nobody who listens can make a run fail."""

    client: "OpenLineageClient"
    namespace: str

    def began(self, run_id: str, pipeline: str, at: datetime) -> None:
        """See `Telling.began`."""
        self._tell("START", run_id, pipeline, at, [], None)

    def ended(
        self, run_id: str, pipeline: str, at: datetime, traced: Sequence[Traced], error: str | None
    ) -> None:
        """See `Telling.ended`."""
        state = "COMPLETE" if error is None else "FAIL"
        self._tell(state, run_id, pipeline, at, traced, error)

    def _tell(
        self,
        state: str,
        run_id: str,
        pipeline: str,
        at: datetime,
        traced: Sequence[Traced],
        error: str | None,
    ) -> None:
        from openlineage.client import event_v2, facet_v2  # noqa: PLC0415  # an extra

        facets: dict[str, RunFacet] = {}
        if error is not None:
            failed = facet_v2.error_message_run.ErrorMessageRunFacet(error, "SQL")
            facets = {"errorMessage": failed}
        event = event_v2.RunEvent(
            eventType=event_v2.RunState[state],
            eventTime=at.isoformat(),
            producer=_PRODUCER,
            run=event_v2.Run(str(uuid.UUID(run_id)), facets),
            job=event_v2.Job(self.namespace, pipeline),
            inputs=list(self._inputs(traced)),
            outputs=[self._output(one) for one in traced],
        )
        try:
            self.client.emit(event)
        except Exception as failure:  # whatever a transport raises: the run goes on
            log.warning("openlineage.not_told", state=state, exc_info=failure)

    def _inputs(self, traced: Sequence[Traced]) -> Iterator["InputDataset"]:
        from openlineage.client import event_v2  # noqa: PLC0415  # an extra

        columns = [column for one in traced for found in one.columns.values() for column in found]
        for origin in sorted({origin for origin, _ in columns}):
            yield event_v2.InputDataset(self.namespace, origin)

    def _output(self, traced: Traced) -> "OutputDataset":
        from openlineage.client import event_v2, facet_v2  # noqa: PLC0415  # an extra

        schema, lineage = facet_v2.schema_dataset, facet_v2.column_lineage_dataset
        statistics = facet_v2.output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet
        fields = [schema.SchemaDatasetFacetFields(n, kind) for n, kind in traced.types.items()]
        made_of = {
            name: lineage.Fields(
                [lineage.InputField(self.namespace, place, field) for place, field in sorted(found)]
            )
            for name, found in traced.columns.items()
        }
        return event_v2.OutputDataset(
            self.namespace,
            traced.target,
            outputFacets={"outputStatistics": statistics(rowCount=traced.rows)},
            facets={
                "schema": schema.SchemaDatasetFacet(fields),
                "columnLineage": lineage.ColumnLineageDatasetFacet(made_of),
            },
        )
