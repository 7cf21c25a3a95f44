"""The bill of materials of a service: what its lock says that it is made of, as CycloneDX 1.5."""

import subprocess
import tomllib
from pathlib import Path

from triptych.core.errors import TriptychError
from triptych.tools.repository import uv


class NoBill(TriptychError):
    """uv cannot tell what a service is made of."""

    hint = "Run: uv lock."


def bill(root: Path, service: str) -> str:
    """The document, with the name, version and digests of each package, as its image has them.

    An image has what is optional, too, but for what only tests need.

    Raises:
        NoBill: uv.lock is missing or broken.
    """
    project = tomllib.loads((root / "services" / service / "pyproject.toml").read_text("utf-8"))
    extras = project["project"].get("optional-dependencies", {}).keys() - {"testing"}
    chosen = ["--no-dev", *(f"--extra={extra}" for extra in sorted(extras))]
    options = ["--package", f"triptych-{service}", *chosen, "--format", "cyclonedx1.5"]
    command = [uv(), "export", "--quiet", "--frozen", *options]
    told = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if told.returncode:
        raise NoBill(told.stderr.strip())
    return told.stdout
