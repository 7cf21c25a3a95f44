"""Two builds of a commit are the same, byte for byte: wheels, and the programs that images are made of."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import pytest

from triptych.tools.git import git
from triptych.tools.pants import lend_tools, pants

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.skipif(
    not (ROOT / ".git").exists(), reason="this is no clone of the repository"
)


def test_two_builds_of_a_commit_are_the_same(tmp_path: Path) -> None:
    nothing_known = {"PANTS_LOCAL_STORE_DIR": str(tmp_path / "store")}

    first = _built(tmp_path / "here", {})
    second = _built(tmp_path / "somewhere" / "else", nothing_known)

    assert len([name for name in first if name.endswith(".whl")]) >= 2
    assert "services.ingestion/bin.pex/PEX-INFO" in first
    assert first == second


def _built(folder: Path, env: Mapping[str, str]) -> Mapping[str, str]:
    """The digest of each file that a clone in that folder builds."""
    folder.mkdir(parents=True)
    git(ROOT, "clone", "--quiet", "--shared", str(ROOT), str(folder))
    lend_tools(ROOT, folder)
    pants(
        folder,
        "package",
        "libs/core:dist",
        "services/ingestion:dist",
        "services/ingestion:bin",
        env=env,
    )
    built = folder / "dist"
    return {
        path.relative_to(built).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(built.rglob("*"))
        if path.is_file()
    }
