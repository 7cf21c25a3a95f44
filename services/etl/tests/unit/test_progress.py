"""A person sees the steps of a run as they are done; a log gets an event for each."""

import io

import pytest
from rich.console import Console

from triptych.etl.entrypoints.progress import progress


def shown(*, terminal: bool) -> str:
    console = Console(file=io.StringIO(), force_terminal=terminal, width=80)
    with progress(console) as watch:
        watcher = watch("sales")
        watcher.reading(1_500)
        watcher.step("source events", 1_500)
        watcher.step("transforms[0] filter", 1_200)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_terminal_shows_each_step_with_its_rows() -> None:
    told = shown(terminal=True)

    for step in ("source events 1,500 rows", "transforms[0] filter 1,200 rows"):
        assert f"✓ sales: {step}" in " ".join(told.split())


def test_elsewhere_each_step_is_an_event(capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(terminal=False) == ""

    out = capsys.readouterr().out
    assert out.count("run.step") == 2
    assert "rows=1200" in out
