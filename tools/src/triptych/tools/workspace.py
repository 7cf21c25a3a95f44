"""The packages of the repository: what each declares, and what it imports of the others."""

import ast
import tomllib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement

_PREFIX = "triptych-"


@dataclass(frozen=True)
class Package:
    """A package of the workspace."""

    name: str
    folder: Path
    version: str
    description: str
    declared: frozenset[str]
    """The other packages that it says it needs."""
    uses: Mapping[str, frozenset[str]]
    """Of each other package, the names that it imports: `errors.TriptychError`."""

    @property
    def is_service(self) -> bool:
        """Whether it runs by itself."""
        return self.folder.parent.name == "services"

    @property
    def ships(self) -> bool:
        """Whether it is a service or a part of one; the others are for developers."""
        return self.name not in ("testing", "tools")

    @property
    def offers(self) -> frozenset[str]:
        """The public names that its modules define at their top."""
        return frozenset(
            f"{module}.{name}"
            for path, module in _modules(self.folder)
            for name in _defined(ast.parse(path.read_text(encoding="utf-8")))
            if not name.startswith("_")
        )


def packages(root: Path) -> Sequence[Package]:
    """All packages of the repository, the libraries first."""
    rooms = [root / "libs", root / "services"]
    folders = [path.parent for room in rooms for path in sorted(room.glob("*/pyproject.toml"))]
    return [_package(folder) for folder in [*folders, root / "tools"]]


def closure(found: Sequence[Package], name: str) -> frozenset[str]:
    """All packages that one needs, itself among them."""
    declared = {package.name: package.declared for package in found}
    needed, waiting = {name}, [name]
    while waiting:
        news = declared[waiting.pop()] - needed
        needed |= news
        waiting += news
    return frozenset(needed)


def _package(folder: Path) -> Package:
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    requirements = [Requirement(text).name for text in project["dependencies"]]
    declared = frozenset(
        name.removeprefix(_PREFIX) for name in requirements if name.startswith(_PREFIX)
    )
    uses: dict[str, set[str]] = defaultdict(set)
    for path, _ in _modules(folder):
        for package, name in _imported(ast.parse(path.read_text(encoding="utf-8"))):
            if package != folder.name:
                uses[package].add(name)
    return Package(
        folder.name,
        folder,
        project["version"],
        project["description"],
        declared,
        {package: frozenset(names) for package, names in uses.items()},
    )


def _modules(folder: Path) -> Iterator[tuple[Path, str]]:
    source = folder / "src" / "triptych" / folder.name
    for path in sorted(source.rglob("*.py")):
        parts = path.relative_to(source).with_suffix("").parts
        yield path, ".".join(part for part in parts if part != "__init__")


def _imported(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Of `from triptych.core.errors import Kind`: `core`, `errors.Kind`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            top, _, rest = node.module.partition(".")
            package, _, module = rest.partition(".")
            if top == "triptych" and package:
                for alias in node.names:
                    yield package, f"{module}.{alias.name}" if module else alias.name


def _defined(tree: ast.Module) -> Iterator[str]:
    for node in tree.body:
        match node:
            case (
                ast.FunctionDef(name=name)
                | ast.AsyncFunctionDef(name=name)
                | ast.ClassDef(name=name)
            ):
                yield name
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                yield name
            case _:
                continue
