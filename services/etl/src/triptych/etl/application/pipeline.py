"""Put a pipeline together: its file, and the plugins that it names."""

from dataclasses import dataclass
from pathlib import Path

from triptych.core import documents
from triptych.etl.application.plugins import CHECK, SINK, SOURCE, TRANSFORM, Plugins, plugin
from triptych.etl.application.ports import Sink, Source
from triptych.etl.domain.pipeline import PipelineFile
from triptych.etl.domain.plan import INPUT, Plan, compile_pipeline, table


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A pipeline that is ready to run."""

    name: str
    source: Source
    sink: Sink
    plan: Plan


def read_pipeline(path: Path, plugins: Plugins) -> Pipeline:
    """The pipeline in a file.

    Raises:
        UnreadableFile, WrongDocument: with file, line, what is wrong and the nearest right name.
        UnknownPlugin: with the plugins that there are.
    """
    document = documents.load(path)
    file = document.to(PipelineFile)
    _, source = plugin(document.at("source"), SOURCE, plugins)
    _, sink = plugin(document.at("sink"), SINK, plugins)
    transforms = [
        plugin(document.at("transforms", index), TRANSFORM, plugins)
        for index in range(len(file.transforms))
    ]
    checks = [
        plugin(document.at("checks", index), CHECK, plugins)[1] for index in range(len(file.checks))
    ]
    plan = compile_pipeline(source.decode(table(INPUT)), source.rules(), transforms, checks)
    return Pipeline(file.name, source, sink, plan)
