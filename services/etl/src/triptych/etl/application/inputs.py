"""The relations that a pipeline reads beside its source, and what it reads of its source."""

from triptych.etl.application.pipeline import Pipeline
from triptych.etl.application.ports import Engine, Reading, Resources
from triptych.etl.domain.relation import Inputs


def reading_of(resources: Resources, pipeline: Pipeline, input_name: str = "") -> Reading:
    """What a pipeline's source, or one of its inputs, needs in order to be read."""
    owner = f"{pipeline.name}.{input_name}" if input_name else pipeline.name
    return Reading(resources, resources.memory_of(owner))


def attach_inputs(resources: Resources, engine: Engine, pipeline: Pipeline) -> Inputs:
    """A pipeline's inputs as they are now, in whole."""
    inputs = {}
    for name, configured in pipeline.inputs.items():
        source, reading = configured.plugin, reading_of(resources, pipeline, name)
        rows = source.read(reading, 0, source.newest(reading, 0))
        raw = engine.load(f"raw_{name}", rows, configured.label)
        inputs[name] = engine.view(f"input_{name}", source.decode(raw), configured.label)
    return inputs
