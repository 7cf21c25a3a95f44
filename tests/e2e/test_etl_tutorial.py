"""What etl's README shows a newcomer happens just so, in an empty folder."""

import re
import subprocess
import sys
from pathlib import Path

from triptych.testing.processes import environment

README = Path(__file__).resolve().parents[2] / "services" / "etl" / "README.md"
ALIAS = "alias etl='uv run --frozen --package triptych-etl etl'"


def test_the_tutorial_prints_what_it_says(tmp_path: Path) -> None:
    [section] = re.findall(
        r"^## Run it alone\n(.*?)^## ", README.read_text(), re.DOTALL | re.MULTILINE
    )
    blocks = ["\n".join(line[4:] for line in block.splitlines()) for block in _blocks(section)]
    told = [line for block in blocks for line in block.splitlines() if _is_output(line)]
    commands = "\n".join(block for block in blocks if not _is_output(block))
    assert ALIAS in commands
    script = commands.replace(ALIAS, f'etl() {{ "{sys.executable}" -m triptych.etl "$@"; }}')

    result = subprocess.run(
        ["sh", "-euc", script],
        cwd=tmp_path,
        env=environment({}),
        capture_output=True,
        text=True,
        check=False,
    )

    assert result.returncode == 0, result.stderr
    assert told
    assert [line for line in told if line not in result.stdout.splitlines()] == []
    assert "quantity is more than 100" in result.stdout


def _blocks(section: str) -> list[str]:
    return re.findall(r"(?:^    .*\n)+", section, re.MULTILINE)


def _is_output(block: str) -> bool:
    return re.match(r"orders(: \d| \d{4}-)", block) is not None
