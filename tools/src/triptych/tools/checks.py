"""The checks of the repository: all that can be known without running a test."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Final

import typer

from triptych.tools import locks
from triptych.tools.release import WrongChangelog, unreleased
from triptych.tools.repository import ROOT, show, tool, uv


@dataclass(frozen=True, slots=True)
class Check:
    """Something that has to hold."""

    name: str
    holds: Callable[[], bool]


def checks() -> Iterator[Check]:
    """All checks, the quickest first."""
    commands = {
        "lint": [tool("ruff"), "check", "."],
        "format": [tool("black"), "--check", "--quiet", "."],
        "imports": [tool("lint-imports"), "--no-cache"],
        "workflows": [tool("zizmor"), "--offline", "--quiet", "--strict-collection", ".github"],
        "manifests": [uv(), "tool", "run", "--quiet", *_KUBERNETES, *_manifests()],
        "compose": [uv(), "tool", "run", "--quiet", *_COMPOSE, "docker-compose.yml"],
        "uv.lock": [uv(), "lock", "--check", "--quiet"],
        "types": [tool("mypy"), "."],
    }
    for name, command in commands.items():
        yield Check(name, partial(show, command))
    yield Check("the changelog", _changelog_reads)
    yield Check("Pants' lockfile", _locks_in_step)


_KUBERNETES: Final = (
    "--from",
    "kubernetes-validate==1.37.0",
    "kubernetes-validate",
    "--strict",
    "--quiet",
)

_COMPOSE: Final = ("check-jsonschema==0.39.0", "--quiet", "--builtin-schema", "vendor.compose-spec")


def _manifests() -> list[str]:
    return sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("deploy/kubernetes/*.yaml"))


def run(selected: Iterator[Check]) -> list[str]:
    """Run checks, all of them whatever happens; the names of those that failed."""
    return [check.name for check in selected if not check.holds()]


def _changelog_reads() -> bool:
    typer.secho("$ read CHANGELOG.md", fg="cyan", err=True)
    try:
        unreleased((ROOT / "CHANGELOG.md").read_text(encoding="utf-8"))
    except WrongChangelog as error:
        typer.secho(f"  failed: {error.sentence}", fg="red", err=True)
        return False
    typer.secho("  passed", fg="green", err=True)
    return True


def _locks_in_step() -> bool:
    typer.secho("$ compare uv.lock with 3rdparty/", fg="cyan", err=True)
    differences = list(locks.out_of_step())
    for difference in differences:
        typer.secho(f"  {difference}", fg="red", err=True)
    if differences:
        typer.secho("  failed; run: ./triptych lock", fg="red", err=True)
    else:
        typer.secho("  passed", fg="green", err=True)
    return not differences
