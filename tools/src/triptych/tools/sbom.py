"""The bill of materials of a service: what its lock says that it is made of, as CycloneDX 1.5."""

import subprocess
from pathlib import Path

from triptych.core.errors import TriptychError
from triptych.tools.repository import uv


class NoBill(TriptychError):
    """uv cannot tell what a service is made of."""

    hint = "Run: uv lock."


def bill(root: Path, service: str) -> str:
    """The document, with the name, version and digests of each package.

    Raises:
        NoBill: uv.lock is missing or broken.
    """
    options = ["--package", f"triptych-{service}", "--no-dev", "--format", "cyclonedx1.5"]
    command = [uv(), "export", "--quiet", "--frozen", *options]
    told = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if told.returncode:
        raise NoBill(told.stderr.strip())
    return told.stdout
