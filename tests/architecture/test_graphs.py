"""What packages declare, what uv has resolved and what modules import are one graph, and the drawing shows it."""

import tomllib
from collections import defaultdict
from pathlib import Path

import grimp
import pytest

from triptych.tools.drawing import write
from triptych.tools.reuse import uses
from triptych.tools.workspace import Package, packages

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = packages(ROOT)

each_package = pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.name)


@pytest.fixture(scope="module")
def locked() -> dict[str, set[str]]:
    """The workspace as uv has resolved it: what each package needs of the others."""
    found: dict[str, set[str]] = {}
    for package in tomllib.loads((ROOT / "uv.lock").read_text(encoding="utf-8"))["package"]:
        if "editable" in package["source"]:
            needs = {each["name"] for each in package.get("dependencies", ())}
            found[_short(package["name"])] = {_short(n) for n in needs if n.startswith("triptych-")}
    return found


@pytest.fixture(scope="module")
def imported() -> dict[str, set[str]]:
    """The graph that import-linter judges by, of whole packages."""
    graph = grimp.build_graph(*(f"triptych.{package.name}" for package in PACKAGES), cache_dir=None)
    found: dict[str, set[str]] = defaultdict(set)
    for module in graph.modules:
        for other in graph.find_modules_directly_imported_by(module):
            here, there = module.split(".")[1], other.split(".")[1]
            if here != there:
                found[here].add(there)
    return found


def _short(name: str) -> str:
    return name.removeprefix("triptych-")


@each_package
def test_a_package_needs_just_the_packages_that_it_imports(
    package: Package, imported: dict[str, set[str]]
) -> None:
    assert package.declared - imported[package.name] == set(), "declared and not imported"
    assert imported[package.name] - package.declared == set(), "imported and not declared"
    assert set(package.uses) == imported[package.name]


@each_package
def test_uv_has_resolved_what_a_package_declares(
    package: Package, locked: dict[str, set[str]]
) -> None:
    assert locked[package.name] == package.declared


def test_no_service_needs_another() -> None:
    services = {package.name for package in PACKAGES if package.is_service}

    assert [(p.name, sorted(p.declared & services)) for p in PACKAGES if p.is_service] == [
        (name, []) for name in sorted(services)
    ]


def test_the_drawing_is_true() -> None:
    assert write(ROOT, only_check=True) == [], "draw it anew: ./triptych graph"


def test_every_name_that_is_used_exists_in_its_library() -> None:
    known = {package.name: package.offers for package in PACKAGES}
    modules = {package.name: _modules(package) for package in PACKAGES}

    missing = [
        f"{use.library}.{use.name}"
        for use in uses(PACKAGES)
        if use.name not in known[use.library] | modules[use.library]
    ]

    assert missing == []


def _modules(package: Package) -> set[str]:
    source = package.folder / "src" / "triptych" / package.name
    files = (path.relative_to(source).with_suffix("") for path in source.rglob("*.py"))
    return {".".join(path.parts) for path in files}
