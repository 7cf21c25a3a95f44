"""Run Pants, in this tree of the repository or in another."""

import fcntl
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from triptych.core.errors import TriptychError
from triptych.tools.repository import ROOT


class PantsFailed(TriptychError):
    """Pants does not do what it was asked for."""

    hint = "Run it yourself, to see all that it says."


def pants(root: Path, *arguments: str, env: Mapping[str, str] | None = None) -> str:
    """What Pants prints there.

    Raises:
        PantsFailed: it fails, with the last of what it said.
    """
    # The uv that runs this very command need not be installed into another tree.
    where = [str(Path(os.environ["UV"]).parent)] if "UV" in os.environ else []
    path = os.pathsep.join([*where, os.environ.get("PATH", os.defpath)])
    # Its daemon would stay behind, where nobody comes back to.
    alone = {} if root == ROOT else {"PANTS_PANTSD": "false"}
    with _turn(root):
        told = subprocess.run(
            ["./pants", "--no-dynamic-ui", *arguments],
            cwd=root,
            env={**os.environ, **alone, **(env or {}), "PATH": path},
            capture_output=True,
            text=True,
            check=False,
        )
    if told.returncode:
        said = (told.stdout + told.stderr).strip()[-2000:]
        raise PantsFailed(f"./pants {' '.join(arguments)}: {said}")
    return told.stdout


@contextmanager
def _turn(root: Path) -> Iterator[None]:
    """Wait until nobody else asks Pants there: it would give up after a minute."""
    (root / ".tools").mkdir(exist_ok=True)
    with (root / ".tools" / "pants.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def lend_tools(root: Path, folder: Path) -> None:
    """Give another tree what Pants would have to build for itself."""
    (folder / ".tools").mkdir(exist_ok=True)
    for program in (root / ".tools").glob("pex-*"):
        shutil.copy2(program, folder / ".tools")
