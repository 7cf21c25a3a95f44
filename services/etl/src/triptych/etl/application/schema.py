"""The JSON Schema of pipelines' files, made of the plugins that are installed."""

from typing import Any

from triptych.etl.application.pipeline import ENGINES, SEVERITY
from triptych.etl.application.plugins import (
    CHECK,
    SINK,
    SOURCE,
    TRANSFORM,
    PluginKind,
    Plugins,
)
from triptych.etl.domain.pipeline import PipelineFile
from triptych.etl.domain.plugins import Severity

Schema = dict[str, Any]


def pipeline_schema(plugins: Plugins) -> Schema:
    """The schema (JSON Schema 2020-12).

    Raises:
        BrokenPlugin: a plugin cannot be loaded.
    """
    schema = PipelineFile.model_json_schema()
    definitions: Schema = schema.setdefault("$defs", {})
    beside: dict[PluginKind[Any], Schema] = {
        SOURCE: {},
        TRANSFORM: {ENGINES: {"type": "object"}},
        CHECK: {SEVERITY: {"enum": list(Severity)}, ENGINES: {"type": "object"}},
        SINK: {},
    }
    for kind, more in beside.items():
        definitions[kind.noun] = {"oneOf": _uses(kind, plugins, definitions, more)}
    for part in (schema, definitions["OutputFile"]):
        _use(part["properties"])
    schema["properties"]["source"] = {"$ref": "#/$defs/source"}
    schema["properties"]["inputs"]["additionalProperties"] = {"$ref": "#/$defs/source"}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _uses(
    kind: PluginKind[Any], plugins: Plugins, definitions: Schema, more: Schema
) -> list[Schema]:
    uses = []
    for name in plugins.names(kind.group):
        model = plugins.load(kind.group, name).model_json_schema(
            ref_template="#/$defs/" + f"{kind.noun}_{name}_" + "{model}"
        )
        for inner, definition in model.pop("$defs", {}).items():
            definitions[f"{kind.noun}_{name}_{inner}"] = definition
        uses.append(
            {
                "type": "object",
                "required": [name],
                "properties": {name: model, **more},
                "additionalProperties": False,
                "description": model.get("description", ""),
            }
        )
    return uses


def _use(properties: Schema) -> None:
    for kind in (TRANSFORM, CHECK):
        properties[kind.plural] = {"type": "array", "items": {"$ref": f"#/$defs/{kind.noun}"}}
    properties["sink"] = {"$ref": "#/$defs/sink"}
