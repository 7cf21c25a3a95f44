"""Every package of the repository has the same shape, and declares what it imports."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = [
    *sorted(
        path.parent
        for room in ("libs", "services")
        for path in ROOT.glob(f"{room}/*/pyproject.toml")
    ),
    ROOT / "tools",
]

each_package = pytest.mark.parametrize("package", PACKAGES, ids=lambda path: path.name)


@each_package
def test_a_package_has_the_files_that_a_reader_looks_for(package: Path) -> None:
    expected = ["BUILD", "README.md", f"src/triptych/{package.name}/py.typed"]

    missing = [name for name in expected if not (package / name).is_file()]

    assert not missing


@each_package
def test_triptych_is_a_namespace_that_no_package_owns(package: Path) -> None:
    assert [path.name for path in (package / "src" / "triptych").iterdir()] == [package.name]


@each_package
def test_a_package_declares_just_what_it_imports(package: Path) -> None:
    declared = {canonicalize_name(r.name) for r in _declared(package)}
    imported = _imported(package)

    assert sorted(imported - declared - _extras(package)) == [], "imported and not declared"
    assert sorted(declared - imported) == [], "declared and not imported"


def test_all_packages_and_images_have_one_version() -> None:
    versions = {_project(package)["version"] for package in PACKAGES}
    images = {
        version
        for file in ROOT.glob("services/*/Dockerfile")
        for version in re.findall(r"^ARG .* VERSION=(.+)$", file.read_text("utf-8"), re.MULTILINE)
    }

    assert len(versions) == 1
    assert images == versions


def _project(package: Path) -> dict[str, object]:
    project: dict[str, object] = tomllib.loads((package / "pyproject.toml").read_text())["project"]
    return project


def _declared(package: Path) -> list[Requirement]:
    dependencies = _project(package)["dependencies"]
    assert isinstance(dependencies, list)
    return [Requirement(text) for text in dependencies]


def _extras(package: Path) -> set[str]:
    """What a deployment may choose to have."""
    extras = _project(package).get("optional-dependencies", {})
    assert isinstance(extras, dict)
    texts = [text for group in extras.values() for text in group]
    return {canonicalize_name(Requirement(text).name) for text in texts}


def _imported(package: Path) -> set[str]:
    """The distributions that the package's modules import, its own aside."""
    own = f"triptych-{package.name}"
    known = packages_distributions()
    found = set(_NOT_IMPORTED.get(package.name, ()))
    for path in (package / "src").rglob("*.py"):
        for module in _modules(ast.parse(path.read_text(encoding="utf-8"))):
            top, _, rest = module.partition(".")
            if top == "triptych":
                found.add(f"triptych-{rest.partition('.')[0]}")
            elif top not in sys.stdlib_module_names and module not in _OPTIONAL:
                shared = [name for prefix, name in _SHARED.items() if module.startswith(prefix)]
                found.update(shared[:1] or (canonicalize_name(name) for name in known[top]))
    return found - {own}


# What is needed without being imported: the time zones, where the system has none; the files of a
# page; a loop that uvicorn imports.
_NOT_IMPORTED = {"core": ["tzdata"], "service": ["fastapi-swagger", "uvloop"]}
# Extras that a deployment may choose, and what newer Pythons have.
_OPTIONAL = {
    "azure.identity",
    "compression.zstd",
    "opentelemetry.exporter.otlp.proto.http.trace_exporter",
}
# Names that several distributions share.
_SHARED = {"opentelemetry.sdk": "opentelemetry-sdk", "opentelemetry": "opentelemetry-api"}


def _modules(tree: ast.Module) -> set[str]:
    modules: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            modules.add(node.module)
    return modules
