"""The images with PostgreSQL, Valkey and an object store: an event walks through."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from triptych.tools.containers import BASE, SERVERS, docker, has_images

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.skipif(
    not has_images(BASE, *SERVERS),
    reason="no Docker engine with what docker-compose.yml begins with",
)


def test_the_demo_in_containers_shows_events_becoming_metrics() -> None:
    before = _left()
    command = [sys.executable, "-m", "triptych.tools", "demo", "--containers", "--once"]

    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert ended.returncode == 0, ended.stderr
    assert len(re.findall(r"2025-\d\d", ended.stdout)) == 12
    assert "deliveries: 600 read = 600 written" in ended.stdout
    assert before == _left()


def _left() -> tuple[str, str]:
    """The containers and volumes of demos."""
    mine = ("--quiet", "--filter", "name=triptych-demo")
    return docker("ps", "--all", *mine), docker("volume", "ls", *mine)
