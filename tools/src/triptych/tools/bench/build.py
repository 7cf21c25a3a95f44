"""How long the tests take with Pants: all of them, all again, and those that one changed line selects."""

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import orjson
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from triptych.tools.bench.plainly import machine
from triptych.tools.git import git
from triptych.tools.pants import lend_tools, pants
from triptych.tools.repository import ROOT
from triptych.tools.workspace import packages

COLD: Final = "all, nothing installed"
AGAIN: Final = "all, again"
CORE: Final = "core"
ONE_SERVICE_AT_MOST: Final = 1 / 3
AGAIN_AT_MOST: Final = 0.05
_CHANGED: Final = ("--changed-since=HEAD", "--changed-dependents=transitive")


@dataclass(frozen=True, slots=True)
class Run:
    """One run of `pants test`."""

    what: str
    """The package in which a line was changed, or all tests."""
    files: int
    """Of tests, that it selected."""
    seconds: float


@dataclass(frozen=True, slots=True)
class Goal:
    """What a run may cost of another, which tests everything."""

    what: str
    measured: float
    at_most: float


def measure(tags: str, step: Callable[[str], object]) -> Iterator[Run]:
    """Run the tests in a clone of the last commit, with caches of its own.

    In each package that changes, it is the module that all its others import: no change of one line
    there selects more.
    """
    changing = [CORE, *(package.name for package in packages(ROOT) if package.is_service)]
    with _clone() as (folder, env):

        def run(what: str, *chosen: str) -> Run:
            step(what)
            asked = (*((f"--tag={tags}",) if tags else ()), *chosen)
            listed = pants(
                folder, "--filter-target-type=python_test", *asked, *_goal("list", chosen)
            )
            started = time.monotonic()
            pants(folder, *asked, *_goal("test", chosen), env=env)
            return Run(what, len(listed.splitlines()), time.monotonic() - started)

        yield run(COLD)
        yield run(AGAIN)
        for name in changing:
            [module] = folder.glob(f"*/{name}/src/triptych/{name}/__init__.py")
            before = module.read_text(encoding="utf-8")
            module.write_text(f"{before}\n# one line more\n", encoding="utf-8")
            yield run(name, *_CHANGED)
            module.write_text(before, encoding="utf-8")


def goals(runs: Sequence[Run]) -> Iterator[Goal]:
    """What was aimed at, of the runs that were made.

    The whole is what a change of the core costs: it selects all, and nothing is left to install.
    """
    by_name = {run.what: run for run in runs}
    whole = by_name[CORE].seconds
    yield Goal(AGAIN, by_name[AGAIN].seconds / whole, AGAIN_AT_MOST)
    for name, run in by_name.items():
        if name not in (COLD, AGAIN, CORE):
            yield Goal(f"a change in {name}", run.seconds / whole, ONE_SERVICE_AT_MOST)


def show(out: Console, runs: Sequence[Run]) -> None:
    """Print a table, and the goals."""
    total, whole = runs[0].files, next(run.seconds for run in runs if run.what == CORE)
    table = Table("pants test", box=SIMPLE_HEAD, pad_edge=False)
    for column in ("files of tests", "of all", "seconds", "of the whole"):
        table.add_column(column, justify="right", no_wrap=True)
    for run in runs:
        share, cost = run.files / total, run.seconds / whole
        table.add_row(
            run.what, f"{run.files}", f"{share:.0%}", f"{run.seconds:,.0f}", f"{cost:.2f}"
        )
    out.print(table)
    for goal in goals(runs):
        reached = "[green]reached" if goal.measured <= goal.at_most else "[red]missed"
        out.print(
            f"{goal.what}: {goal.measured:.3f} of the whole (at most {goal.at_most:.2f}), {reached}"
        )


def as_json(tags: str, runs: Sequence[Run]) -> bytes:
    """Everything, with the machine that it is true of."""
    content = {
        "machine": machine(),
        "tags": tags,
        "runs": [asdict(run) for run in runs],
        "goals": [asdict(goal) for goal in goals(runs)],
    }
    return orjson.dumps(content, option=orjson.OPT_INDENT_2)


def _goal(goal: str, chosen: Sequence[str]) -> Sequence[str]:
    return (goal,) if chosen else (goal, "::")


@contextmanager
def _clone() -> Iterator[tuple[Path, Mapping[str, str]]]:
    """The last commit in a folder, and an environment in which nothing is cached yet."""
    with tempfile.TemporaryDirectory(prefix="triptych-bench-") as name:
        folder = Path(name) / "triptych"
        git(ROOT, "clone", "--quiet", "--shared", str(ROOT), str(folder))
        lend_tools(ROOT, folder)
        caches = {
            "PANTS_LOCAL_STORE_DIR": f"{name}/store",
            "PANTS_NAMED_CACHES_DIR": f"{name}/caches",
        }
        yield folder, caches
