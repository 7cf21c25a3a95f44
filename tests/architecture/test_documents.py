"""What the documents say is true of the repository."""

import re
from pathlib import Path

import pytest
from typer.core import TyperGroup
from typer.main import get_command

from triptych.tools.cli import cli

ROOT = Path(__file__).resolve().parents[2]
IGNORED = {".tools", ".venv", "dist", "node_modules", ".git"}
DOCUMENTS = sorted(
    path for path in ROOT.rglob("*.md") if not IGNORED & set(path.relative_to(ROOT).parts)
)

each_document = pytest.mark.parametrize(
    "document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT))
)


@each_document
def test_every_link_into_the_repository_leads_somewhere(document: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", document.read_text(encoding="utf-8"))

    broken = [link for link in links if not (document.parent / link).exists()]

    assert not broken


@each_document
def test_every_command_of_the_front_door_that_is_written_down_exists(document: Path) -> None:
    written = re.findall(r"\./triptych ([a-z]+)", document.read_text(encoding="utf-8"))

    assert set(written) <= _commands()


def test_every_command_is_in_the_tools_readme() -> None:
    readme = (ROOT / "tools" / "README.md").read_text(encoding="utf-8")

    assert not [name for name in _commands() if f"| `{name}" not in readme]


def _commands() -> set[str]:
    command = get_command(cli)
    assert isinstance(command, TyperGroup)
    return set(command.commands)
