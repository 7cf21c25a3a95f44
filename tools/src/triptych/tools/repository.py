"""Where the repository is, and how its commands are run."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import typer

from triptych.core.errors import TriptychError

_HERE = Path(__file__).resolve()
# Beside this file when it is edited in place; else, installed from a wheel, where the command runs.
ROOT = next(
    (
        folder
        for folder in (_HERE.parents[4], Path.cwd(), *Path.cwd().parents)
        if (folder / "examples").is_dir()
    ),
    Path.cwd(),
)


class NoUv(TriptychError):
    """uv is not to be found."""

    hint = "Start with ./triptych, which finds or installs it."


def uv() -> str:
    """The uv that runs this very command, or else the one on the PATH.

    Raises:
        NoUv: there is neither.
    """
    if found := os.environ.get("UV") or shutil.which("uv"):
        return found
    raise NoUv


def install_everything(*groups: str) -> None:
    """Install all packages and the tools for developers, as the lockfile has them."""
    more = [f"--group={group}" for group in groups]
    show([uv(), "sync", "--frozen", "--all-packages", "--quiet", *more])


def tool(name: str) -> str:
    """The path of a program that the environment holds."""
    return str(Path(sys.executable).with_name(name))


def show(command: Sequence[str]) -> bool:
    """Say what is run, run it in the repository's root, say how it went; whether it worked."""
    name = Path(command[0]).name
    typer.secho(f"$ {' '.join([name, *command[1:]])}", fg="cyan", err=True)
    started = time.monotonic()
    result = subprocess.run(command, cwd=ROOT, check=False)
    seconds = time.monotonic() - started
    if result.returncode:
        typer.secho(f"  failed with {result.returncode} ({seconds:.1f} s)", fg="red", err=True)
    else:
        typer.secho(f"  passed ({seconds:.1f} s)", fg="green", err=True)
    return result.returncode == 0
