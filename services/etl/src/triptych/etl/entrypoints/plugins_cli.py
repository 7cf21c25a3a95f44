"""`etl plugins` and `etl schema`: what a pipeline may say."""

import json
from typing import Annotated, Any

import typer
from pydantic import BaseModel

from triptych.core.documents import nearest
from triptych.core.errors import Kind, TriptychError
from triptych.etl.application.plugins import KINDS
from triptych.etl.application.schema import pipeline_schema
from triptych.etl.entrypoints.shown import table
from triptych.etl.infrastructure.plugins import BrokenPlugin, InstalledPlugins

cli = typer.Typer(help="The plugins that are installed.", no_args_is_help=True)


class NoSuchPlugin(TriptychError):
    """No plugin of that name is installed."""

    kind = Kind.NOT_FOUND
    hint = "List them with: etl plugins list."


@cli.command(name="list")
def list_plugins() -> None:
    """List the plugins: name, kind, package, version, and what each does."""
    plugins = InstalledPlugins()
    rows = []
    for kind in KINDS:
        for found in plugins.installed(kind.group):
            try:
                summary = _summary(plugins.load(kind.group, found.name))
            except BrokenPlugin as broken:
                summary = f"broken: {broken}"
            rows.append((found.name, kind.noun, found.package, found.version, summary))
    table(("name", "kind", "package", "version", "what it does"), rows)


@cli.command()
def show(name: Annotated[str, typer.Argument(help="The plugin's name.")]) -> None:
    """Print a plugin's configuration, and an example of it."""
    plugins = InstalledPlugins()
    kinds = [kind for kind in KINDS if name in plugins.names(kind.group)]
    if not kinds:
        known = [known for kind in KINDS for known in plugins.names(kind.group)]
        raise NoSuchPlugin(f"{name!r}: {nearest(name, known)}")
    for kind in kinds:
        model = plugins.load(kind.group, name)
        typer.echo(f"{kind.noun} {name}: {_summary(model)}\n")
        schema = model.model_json_schema()
        rows = [
            (field, _type(part, schema), _default(field, part, schema), part.get("description", ""))
            for field, part in schema.get("properties", {}).items()
        ]
        if rows:
            table(("field", "type", "default", "meaning"), rows)
        typer.echo(f"\n{_example(name, schema)}\n")


def schema() -> None:
    """Print the JSON Schema of pipelines' files, for editors (yaml-language-server)."""
    typer.echo(json.dumps(pipeline_schema(InstalledPlugins()), indent=2))


def _summary(model: type[BaseModel]) -> str:
    return (model.__doc__ or "").strip().partition("\n")[0]


def _resolved(part: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    reference = part.get("$ref", "").rpartition("/")[2]
    return {**schema.get("$defs", {}).get(reference, {}), **part}


def _type(part: dict[str, Any], schema: dict[str, Any]) -> str:
    part = _resolved(part, schema)
    if "anyOf" in part:
        kinds = [_type(option, schema) for option in part["anyOf"]]
        return " or ".join(dict.fromkeys(kind for kind in kinds if kind != "null"))
    if "enum" in part:
        return ", ".join(map(str, part["enum"]))
    if part.get("type") == "array":
        return f"list of {_type(part.get('items', {}), schema)}"
    return str(part.get("type", "any"))


def _default(name: str, part: dict[str, Any], schema: dict[str, Any]) -> str:
    if name in schema.get("required", ()):
        return "(required)"
    return json.dumps(part["default"]) if part.get("default") not in (None, [], {}) else ""


def _example(name: str, schema: dict[str, Any]) -> str:
    """What a pipeline says, with the examples that the fields have."""
    fields = {
        field: part["examples"][0]
        for field, part in schema.get("properties", {}).items()
        if part.get("examples")
    }
    return f"{name}: {json.dumps(fields, ensure_ascii=False)}"
