"""The door to `affected`: a table for people, JSON for programs, a matrix for GitHub Actions."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum, auto
from typing import Annotated, Final

import orjson
import typer
from rich.console import Console
from rich.table import Column, Table

from triptych.tools.affected import Affected, affected
from triptych.tools.repository import ROOT


class Kind(StrEnum):
    """What can be built or tested by itself."""

    SERVICE = auto()
    LIBRARY = auto()
    TOOL = auto()
    IMAGE = auto()
    TESTS = auto()


class Output(StrEnum):
    """How it is told."""

    TABLE = auto()
    JSON = auto()
    MATRIX = auto()
    TARGETS = auto()
    """Every target that Pants can check, build or test, a line each."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A package, an image, or the tests of a folder, and why it is affected."""

    kind: Kind
    name: str
    because: str
    way: tuple[str, ...]
    """From the changed file on, the targets between."""
    targets: tuple[str, ...]


def show_affected(
    since: Annotated[str, typer.Option(help="A commit, branch or tag.")] = "origin/main",
    output: Annotated[Output, typer.Option(help="How it is told.")] = Output.TABLE,
) -> None:
    """Tell which services, libraries, images and tests the changes since a revision affect, and why."""
    reached = affected(ROOT, since)
    found = list(units(reached))
    match output:
        case Output.TABLE:
            Console().print(_table(found))
        case Output.JSON:
            typer.echo(orjson.dumps(found, option=orjson.OPT_INDENT_2))
        case Output.MATRIX:
            typer.echo(orjson.dumps(matrix(found)))
        case Output.TARGETS:
            for each in reached:
                if each.target.kind in _BUILT:
                    typer.echo(each.target.address)


_BUILT: Final = (
    "python_source",
    "python_test",
    "python_distribution",
    "pex_binary",
    "docker_image",
)
_KINDS: Final = {"services": Kind.SERVICE, "libs": Kind.LIBRARY, "tools": Kind.TOOL}


def units(found: Sequence[Affected]) -> Iterator[Unit]:
    """What is affected, in units that are built or tested."""
    tests: dict[str, list[Affected]] = defaultdict(list)
    for each in found:
        folder = each.target.address.partition(":")[0]
        match each.target.kind:
            case "python_distribution":
                name = folder.rpartition("/")[2]
                yield _unit(_KINDS[folder.partition("/")[0]], name, [each])
            case "docker_image":
                yield _unit(Kind.IMAGE, folder.rpartition("/")[2], [each])
            case "python_test":
                tests[folder.rpartition("/")[0]].append(each)
            case _:
                continue
    for folder, group in sorted(tests.items()):
        yield _unit(Kind.TESTS, folder, group)


def matrix(found: Sequence[Unit]) -> Mapping[str, object]:
    """For `strategy.matrix` of GitHub Actions: a job for each folder of tests."""
    include = [
        {"name": unit.name, "targets": " ".join(unit.targets)}
        for unit in found
        if unit.kind is Kind.TESTS
    ]
    return {"include": include}


def _unit(kind: Kind, name: str, group: Sequence[Affected]) -> Unit:
    nearest = min(group, key=lambda each: len(each.way))
    targets = tuple(sorted(each.target.address for each in group))
    return Unit(kind, name, nearest.because, nearest.way, targets)


def _table(found: Sequence[Unit]) -> Table:
    columns = [
        Column(name, overflow="fold") for name in ("what", "name", "because of", "by way of")
    ]
    table = Table(*columns, box=None, padding=(0, 2, 0, 0))
    for unit in sorted(found, key=lambda unit: (list(Kind).index(unit.kind), unit.name)):
        name = f"{unit.name} ({len(unit.targets)})" if unit.kind is Kind.TESTS else unit.name
        way = " → ".join(_short(address) for address in unit.way[1:])
        table.add_row(unit.kind.value, name, unit.because, way)
    return table


def _short(address: str) -> str:
    """A file's name says enough; of other targets the whole address."""
    path, _, name = address.partition(":")
    file = path.rpartition("/")[2]
    return file if "." in file else f"{path}:{name}"
