"""`etl plugins` and `etl schema`: what a pipeline may say."""

import json
from typing import Annotated, Any

import typer
from pydantic import BaseModel, ValidationError

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
        typer.echo(f"\n{_yaml(name, example(model))}\n")


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


def example(model: type[BaseModel]) -> dict[str, Any]:
    """A configuration that is valid: the examples of what is needed, and of no more than that."""
    examples = {
        field.alias or name: field.examples[0]
        for name, field in model.model_fields.items()
        if field.examples
    }
    needed = [f.alias or n for n, f in model.model_fields.items() if f.is_required()]
    chosen = {name: examples[name] for name in needed if name in examples}
    for name, value in examples.items():
        if _valid(model, chosen):
            break
        chosen.setdefault(name, value)
    return chosen


def _valid(model: type[BaseModel], configuration: dict[str, Any]) -> bool:
    try:
        model.model_validate(configuration, context={"environment": _Anything()})
    except ValidationError:
        return False
    return True


class _Anything(dict[str, str]):
    """An environment in which every variable is set: an example names some."""

    def __contains__(self, name: object) -> bool:
        return True

    def __missing__(self, name: str) -> str:
        return name


def _yaml(name: str, configuration: dict[str, Any]) -> str:
    """As a pipeline says it: values are JSON, which YAML is a superset of."""
    lines = [
        f"  {field}: {json.dumps(value, ensure_ascii=False)}"
        for field, value in configuration.items()
    ]
    return "\n".join([f"{name}:", *lines]) if lines else f"{name}: {{}}"
