"""Tell what a change affects: it asks Pants for the graph, and follows it from each changed file.

Pants' own `--changed-since` would select everything when a lockfile changes, and cannot see what depended
on a file that is gone. So what changed is worked out here: of lockfiles the packages whose versions moved,
and all that need them; of removed files what needed them before.
"""

import json
import tempfile
import tomllib
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Final, TypeAlias

from packaging.utils import canonicalize_name

from triptych.tools.git import git
from triptych.tools.pants import lend_tools, pants

Address: TypeAlias = str
LOCKS: Final = ("uv.lock", "3rdparty/requirements.txt", "3rdparty/python.lock")
EVERYTHING: Final = ("pyproject.toml", "pants.toml", "pants", "3rdparty/BUILD")
"""What every target is built or tested with."""
_GENERATORS: Final = ("python_sources", "python_tests", "python_test_utils", "resources", "files")
_REQUIREMENT: Final = "3rdparty:requirements#"
_WHOLE: Final = "repository"  # the tests of the repository itself: they are always run


@dataclass(frozen=True, slots=True)
class Target:
    """Something that Pants knows."""

    address: Address
    kind: str
    sources: tuple[str, ...]
    dependencies: tuple[Address, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """A changed file, or a package whose version moved, and the targets that it changes."""

    what: str
    targets: tuple[Address, ...]


@dataclass(frozen=True, slots=True)
class Affected:
    """A target that a change reaches, and the way there."""

    target: Target
    because: str
    way: tuple[Address, ...]


class Graph:
    """Targets, and what depends on what."""

    def __init__(self, targets: Iterable[Target]) -> None:
        self.targets = {target.address: target for target in targets}
        self._owners: dict[str, list[Address]] = defaultdict(list)
        self._dependents: dict[Address, list[Address]] = defaultdict(list)
        for target in self.targets.values():
            for source in target.sources:
                self._owners[source].append(target.address)
            for dependency in target.dependencies:
                self._dependents[dependency].append(target.address)

    def owners(self, file: str) -> Sequence[Address]:
        """The targets that have the file; of a BUILD file, those that it declares or makes of files."""
        folder, _, name = file.rpartition("/")
        if name != "BUILD":
            return self._owners.get(file, [])
        declared = [a for a in self.targets if a.removeprefix("//").partition(":")[0] == folder]
        made = (
            d for a in declared for d in self.targets[a].dependencies if _makes(self.targets[a], d)
        )
        return [*declared, *(address for address in made if address in self.targets)]

    def reached(self, changes: Iterable[Change]) -> Iterator[Affected]:
        """All that the changes affect, each once, by the shortest way."""
        seen: set[Address] = set()
        waiting = deque(
            Affected(self.targets[address], change.what, ())
            for change in changes
            for address in change.targets
            if address in self.targets
        )
        while waiting:
            found = waiting.popleft()
            address = found.target.address
            if address in seen:
                continue
            seen.add(address)
            yield found
            for dependent in self._dependents.get(address, ()):
                if dependent in self.targets:
                    way = (*found.way, address)
                    waiting.append(Affected(self.targets[dependent], found.because, way))


def _makes(target: Target, address: Address) -> bool:
    """Whether a target is of one of the files that another stands for."""
    file = address.removeprefix("//").partition(":")[0]
    return target.kind in _GENERATORS and file in target.sources


def affected(root: Path, since: str, graph: Graph | None = None) -> Sequence[Affected]:
    """What the changes of the working tree affect, since it left a revision; in a graph, if it is known.

    Raises:
        GitFailed: there is no such revision.
        PantsFailed: it cannot tell its targets.
    """
    graph = graph or graph_of(root)
    since = git(root, "merge-base", since, "HEAD").strip()
    return list(graph.reached(_changes(root, since, graph)))


def graph_of(root: Path) -> Graph:
    """The graph that Pants infers there.

    Raises:
        PantsFailed: it does not.
    """
    return Graph(
        Target(
            each["address"],
            each["target_type"],
            tuple(each.get("sources") or ()),
            tuple(each.get("dependencies") or ()),
        )
        for each in json.loads(pants(root, "peek", "::"))
        if each["address"].rpartition(":")[2].rpartition("/")[2] != _WHOLE
    )


def _changes(root: Path, since: str, graph: Graph) -> Iterator[Change]:
    status = git(root, "diff", "--name-status", "--no-renames", "-z", since).split("\0")
    files = dict(zip(status[1::2], status[::2], strict=False))  # the file, and A, M or D
    new = git(root, "ls-files", "--others", "--exclude-standard", "-z").split("\0")
    files |= {file: "A" for file in new if file}
    if set(files) & set(LOCKS):
        yield from _moved(root, since, graph)
    gone = [file for file, how in files.items() if how == "D"]
    for file in files:
        if file in EVERYTHING:
            yield Change(file, tuple(graph.targets))
        elif file not in LOCKS and file not in gone:
            yield Change(file, tuple(graph.owners(file)))
    if gone:
        with _before(root, since) as folder:
            earlier = graph_of(folder)
        for file in gone:
            reached = earlier.reached([Change(file, tuple(earlier.owners(file)))])
            yield Change(file, tuple(found.target.address for found in reached))


def _moved(root: Path, since: str, graph: Graph) -> Iterator[Change]:
    """The packages of others whose versions moved, with all that need them."""
    now = _locked((root / "uv.lock").read_text(encoding="utf-8"))
    before = _locked(git(root, "show", f"{since}:uv.lock"))
    needed_by: dict[str, set[str]] = defaultdict(set)
    for name, locked in now.items():
        for other in locked.needs:
            needed_by[other].add(name)
    requirements: dict[str, Address] = {
        canonicalize_name(address.removeprefix(_REQUIREMENT)): address
        for address in graph.targets
        if address.startswith(_REQUIREMENT)
    }
    for name in sorted(now.keys() | before.keys()):
        if name in now and name in before and now[name].versions == before[name].versions:
            continue
        users, waiting = {name}, [name]
        while waiting:
            news = needed_by[waiting.pop()] - users
            users |= news
            waiting += news
        yield Change(name, tuple(requirements[user] for user in users if user in requirements))


@dataclass(frozen=True, slots=True)
class Locked:
    """A package of others, as uv has resolved it."""

    versions: set[object] = field(default_factory=set)
    """Often one; another for other Pythons or systems."""
    needs: set[str] = field(default_factory=set)
    """By itself, or for one of its extras."""


def _locked(text: str) -> Mapping[str, Locked]:
    """The packages of others in a uv.lock."""
    found: dict[str, Locked] = defaultdict(Locked)
    for package in tomllib.loads(text)["package"]:
        if "registry" in package["source"]:
            extras = package.get("optional-dependencies", {}).values()
            needs = chain(package.get("dependencies", ()), *extras)
            found[package["name"]].versions.add(package.get("version"))
            found[package["name"]].needs.update(each["name"] for each in needs)
    return found


@contextmanager
def _before(root: Path, since: str) -> Iterator[Path]:
    """The repository as it was, in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="triptych-before-") as name:
        folder = Path(name) / "tree"
        git(root, "worktree", "add", "--quiet", "--detach", str(folder), since)
        lend_tools(root, folder)
        try:
            yield folder
        finally:
            git(root, "worktree", "remove", "--force", str(folder))
