"""The first command that a newcomer runs."""

import re

from triptych.testing.processes import run


def test_the_demo_shows_events_becoming_metrics_and_its_numbers_add_up() -> None:
    result = run("tools", "demo", "--once")

    assert result.returncode == 0, result.stderr
    lines = [line for line in result.stdout.splitlines() if " = " in line]
    assert [line.partition(": ")[0] for line in lines[1:]] == ["sales", "refunds"]
    for line in lines:
        whole, _, parts = line.rpartition(": ")[2].partition(" -> ")[0].partition(" = ")
        assert _number(whole) == sum(_number(part) for part in parts.split(" + "))
    assert len(re.findall(r"2025-\d\d", result.stdout)) == 12
    assert "United Kingdom" in result.stdout


def _number(text: str) -> int:
    match = re.search(r"[\d,]+", text)
    assert match, text
    return int(match[0].replace(",", ""))
