"""A clone of the repository, and the graph that Pants infers of it."""

import subprocess
from pathlib import Path

import pytest

from triptych.tools.affected import Graph, graph_of
from triptych.tools.pants import lend_tools

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone, in which Pants need not be built again."""
    folder = tmp_path_factory.mktemp("clone") / "triptych"
    _git(ROOT, "clone", "--quiet", "--shared", str(ROOT), str(folder))
    lend_tools(ROOT, folder)
    for name, value in {"user.name": "a test", "user.email": "test@example.org"}.items():
        _git(folder, "config", name, value)
    return folder


@pytest.fixture(scope="session")
def graph(clone: Path) -> Graph:
    """What Pants infers of it."""
    return graph_of(clone)


def _git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True)
