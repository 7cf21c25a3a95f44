"""Metrics from a folder of YAML files."""

from collections.abc import Mapping
from pathlib import Path

from triptych.analytics.domain.metric import Metric, MetricsFile
from triptych.core import documents
from triptych.core.documents import WrongDocument
from triptych.core.errors import Kind, TriptychError


class NoMetrics(TriptychError):
    """No metrics are declared."""

    kind = Kind.INVALID
    hint = "Set TRIPTYCH_METRICS_DIR to a folder with files like metrics.yaml."


def read_metrics(folder: Path) -> Mapping[str, Metric]:
    """The metrics of all `*.yaml` files of a folder, by name.

    Raises:
        NoMetrics: it is no folder, or declares none.
        WrongDocument: with file, line and what is wrong; or two files declare the same metric.
    """
    try:
        files = sorted(path for path in folder.iterdir() if path.suffix == ".yaml")
    except OSError as error:
        raise NoMetrics(f"the folder {str(folder)!r}: {error.strerror}") from None
    metrics: dict[str, Metric] = {}
    for file in files:
        document = documents.load(file)
        found = document.to(MetricsFile).metrics
        if twice := sorted(metrics.keys() & found.keys()):
            where = document.where("metrics", twice[0])
            raise WrongDocument(f"{where}: another file declares {twice[0]!r} too")
        metrics |= found
    if not metrics:
        raise NoMetrics(f"the folder {str(folder)!r} declares none")
    return metrics
