"""A package of somebody else brings plugins: it is built, installed, listed, tested and used."""

import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from triptych.testing.processes import environment

EXAMPLE = Path(__file__).parents[4] / "examples" / "plugin"
GUIDE = Path(__file__).parents[4] / "docs" / "plugins.md"

Run = Callable[..., str]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the package is installed in, from the wheel that its sources make."""
    folder = tmp_path_factory.mktemp("plugin")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=EXAMPLE, check=True, capture_output=True)
    [wheel] = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as opened:
        opened.extractall(folder / "site")
    return folder / "site"


@pytest.fixture
def run(installed: Path, tmp_path: Path) -> Run:
    """Run a module of Python where the package is installed."""

    def run(*arguments: str) -> str:
        env = environment({"TRIPTYCH_LOG__LEVEL": "warning", "COLUMNS": "200"})
        env["PYTHONPATH"] = os.pathsep.join([str(installed), env["PYTHONPATH"]])
        result = subprocess.run(
            [sys.executable, "-m", *arguments],
            cwd=tmp_path,
            env=env,
            capture_output=True,
            text=True,
            check=False,
        )
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout

    return run


def test_its_plugins_are_listed_with_their_package(run: Run) -> None:
    listed = [line.split()[:4] for line in run("triptych.etl", "plugins", "list").splitlines()]

    for name, kind in (("mbox", "source"), ("mail_domain", "transform")):
        assert [name, kind, "mail-for-triptych", "0.1.0"] in listed


def test_a_pipeline_can_name_them(run: Run, tmp_path: Path) -> None:
    readme = (EXAMPLE / "README.md").read_text()
    lines = [line[4:] for line in readme.splitlines() if line.startswith("    ")]
    (tmp_path / "mail.yaml").write_text("\n".join(lines))
    (tmp_path / "inbox.mbox").write_text(
        "From ada Tue Jan 01 12:00:00 2030\nMessage-ID: <1@example.com>\nFrom: ada@example.com\n"
        "Subject: hello\nDate: Tue, 01 Jan 2030 12:00:00 +0000\n\nHow are you?\n\n"
        "From eve Tue Jan 01 12:00:00 2030\nMessage-ID: <2@example.net>\nFrom: eve@example.net\n"
        "Subject: offer\nDate: Tue, 01 Jan 2030 12:00:00 +0000\n\nMoney!\n\n"
    )

    told = run("triptych.etl", "run", "mail.yaml")

    assert told.startswith("mail: 2 read = 1 written + 1 quarantined")
    assert "0 read" in run("triptych.etl", "run", "mail.yaml")


@pytest.mark.slow
def test_they_pass_the_conformance_kit(run: Run) -> None:
    tests = str(EXAMPLE / "tests")

    told = run(
        "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly", "--rootdir", tests, tests
    )

    assert " passed" in told
    assert "failed" not in told


def test_the_guide_shows_what_is_in_the_example() -> None:
    sources = [
        path.read_text() for path in EXAMPLE.rglob("*") if path.suffix in {".py", ".toml", ".md"}
    ]
    blocks = GUIDE.read_text().split("```")[1::2]
    shown = [block.partition("\n")[2] for block in blocks if not block.startswith("sh")]

    assert len(shown) >= 4
    assert [block for block in shown if not any(block in source for source in sources)] == []
