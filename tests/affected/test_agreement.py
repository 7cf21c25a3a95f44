"""What Pants infers from the sources is what packages declare: of each other, of others' packages, of what ships."""

import tomllib
from collections.abc import Iterable
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from triptych.tools.affected import Graph, Target
from triptych.tools.workspace import Package, closure, packages

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = packages(ROOT)
SERVICES = [package for package in PACKAGES if package.is_service]
THIRD_PARTY = "3rdparty:requirements#"
# Migrations are files that Alembic reads, so Pants looks for no imports there.
READ_AS_FILES = {"alembic"}

each_package = pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.name)
each_service = pytest.mark.parametrize("package", SERVICES, ids=lambda package: package.name)


@each_package
def test_a_package_declares_the_packages_that_pants_infers(package: Package, graph: Graph) -> None:
    folders = {_folder(other): other.name for other in PACKAGES}

    needed = {
        name
        for target in _sources(graph, package)
        for dependency in target.dependencies
        for folder, name in folders.items()
        if dependency.startswith(f"{folder}/")
    }

    assert needed - {package.name} == package.declared


@each_package
def test_a_package_declares_what_pants_infers_of_others(package: Package, graph: Graph) -> None:
    project = tomllib.loads((package.folder / "pyproject.toml").read_text("utf-8"))["project"]
    declared, extras = _names(project["dependencies"])
    for group in project.get("optional-dependencies", {}).values():
        extras = extras.union(*_names(group))

    inferred = {
        canonicalize_name(dependency.removeprefix(THIRD_PARTY))
        for target in _sources(graph, package)
        for dependency in target.dependencies
        if dependency.startswith(THIRD_PARTY)
    }

    assert inferred - declared - extras == set(), "inferred and not declared"
    assert declared - inferred - READ_AS_FILES == set(), "declared and not inferred"


@each_service
def test_what_ships_is_the_closure(package: Package, graph: Graph) -> None:
    needed = closure(PACKAGES, package.name)

    program = graph.targets[f"{_folder(package)}:bin"]
    image = graph.targets[f"{_folder(package)}:image"]

    assert set(program.dependencies) == {
        f"{_folder(other)}:dist" for other in PACKAGES if other.name in needed
    }
    assert image.dependencies == (program.address,)


def _folder(package: Package) -> str:
    return package.folder.relative_to(ROOT).as_posix()


def _sources(graph: Graph, package: Package) -> Iterable[Target]:
    start = f"{_folder(package)}/src/"
    kinds = ("python_source", "python_sources")
    return [t for a, t in graph.targets.items() if a.startswith(start) and t.kind in kinds]


def _names(requirements: Iterable[str]) -> tuple[set[str], set[str]]:
    """The packages of others among them, and those that their extras bring."""
    found = [Requirement(text) for text in requirements]
    others = {canonicalize_name(r.name): r.extras for r in found if "triptych-" not in r.name}
    return set(others), {f"{name}-{extra}" for name, extras in others.items() for extra in extras}
