"""One source of truth for versions, uv.lock, and what Pants reads, which follows from it.

uv.lock -> 3rdparty/requirements.txt (`uv export`) -> 3rdparty/python.lock (`pants generate-lockfiles`)
"""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import Requirement

from triptych.core.errors import TriptychError
from triptych.tools.repository import ROOT, show, uv

REQUIREMENTS = ROOT / "3rdparty" / "requirements.txt"
PANTS_LOCK = ROOT / "3rdparty" / "python.lock"


class CannotExport(TriptychError):
    """uv cannot export the lockfile."""

    hint = "Run: uv lock."


def update() -> bool:
    """Bring all three into step, starting from the packages' own declarations."""
    if not show([uv(), "lock"]):
        return False
    REQUIREMENTS.write_text(exported(), encoding="utf-8")
    return show(["./pants", "generate-lockfiles"])


def exported() -> str:
    """The requirements file that follows from uv.lock.

    Raises:
        CannotExport: uv.lock is missing or broken.
    """
    options = "--frozen --all-packages --no-emit-workspace --no-annotate --no-hashes --no-header"
    command = [uv(), "export", "--quiet", *options.split()]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if result.returncode:
        raise CannotExport(result.stderr.strip())
    return result.stdout


def out_of_step() -> Iterator[str]:
    """What does not follow from uv.lock, a sentence each."""
    requirements = exported()
    if requirements != REQUIREMENTS.read_text(encoding="utf-8"):
        yield "3rdparty/requirements.txt is not what uv.lock says"
    yield from pants_differences(requirements, PANTS_LOCK)


def pants_differences(requirements: str, lock: Path) -> Iterator[str]:
    """Where Pants' lockfile was made from other requirements than these, a sentence each."""
    wanted = {str(Requirement(line)) for line in requirements.splitlines()}
    made_from = {str(Requirement(line)) for line in _metadata(lock)["generated_with_requirements"]}
    for requirement in sorted(wanted - made_from):
        yield f"3rdparty/python.lock lacks {requirement}"
    for requirement in sorted(made_from - wanted):
        yield f"3rdparty/python.lock has {requirement}, uv.lock has not"


def _metadata(lock: Path) -> dict[str, list[str]]:
    """What Pants wrote into the lockfile's head: JSON between two lines, all of it comments."""
    lines = [line.removeprefix("//") for line in lock.read_text(encoding="utf-8").splitlines()]
    begin = next(n for n, line in enumerate(lines) if "BEGIN PANTS LOCKFILE METADATA" in line)
    end = next(n for n, line in enumerate(lines) if "END PANTS LOCKFILE METADATA" in line)
    metadata: dict[str, list[str]] = json.loads("\n".join(lines[begin + 1 : end]))
    return metadata
