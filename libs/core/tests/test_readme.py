"""What the README shows is what happens."""

import re
from pathlib import Path

import pytest

README = Path(__file__).parents[1] / "README.md"


def blocks(language: str) -> list[str]:
    """The README's blocks in this language."""
    text = README.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def test_the_example_prints_what_the_readme_says(capsys: pytest.CaptureFixture[str]) -> None:
    (example,), (output,) = blocks("python"), blocks("text")

    exec(compile(example, README, "exec"), {})  # noqa: S102  # our own README

    assert capsys.readouterr().out == output
