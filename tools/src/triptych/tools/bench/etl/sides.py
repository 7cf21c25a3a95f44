"""One side doing its work, in a process of its own: how long it took, and what it had in memory."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from triptych.core.errors import TriptychError
from triptych.lake.lake import Lake
from triptych.tools.bench.etl.work import Work
from triptych.tools.memory import peak_mb
from triptych.tools.repository import ROOT

TRIPTYCH: Final = "triptych"
HAND_WRITTEN: Final = "duckdb"
PEERS: Final = ROOT / "tools" / "peers"
REMARKS: Final[Mapping[str, str]] = {
    TRIPTYCH: "quarantine, reconciliation, one atomic commit a table, flushed to disk",
    HAND_WRITTEN: "by hand; what is bad in a file; not atomic",
    "polars": "what is bad in a file; not atomic",
    "pandas": "what is bad in a file; not atomic",
    "dlt": "what is bad is dropped; a transaction a table",
}

_LOOK_SECONDS: Final = 0.01


class SideFailed(TriptychError):
    """A side has not done its work."""

    hint = "Run what is named by hand."


@dataclass(frozen=True, slots=True)
class Measured:
    """One side's work, once."""

    seconds: float
    """From the start of its process to the end, the interpreter's own included."""
    peak_mb: float
    result: Mapping[str, object]


def installed(peer: str) -> bool:
    """Whether what a peer needs is there: see the dependency group `bench`."""
    return find_spec(peer) is not None


def run_peer(work: Work, peer: str, folder: Path) -> Measured:
    """Let a peer do the work on the data in a folder."""
    shutil.rmtree(folder / "out", ignore_errors=True)
    script = PEERS / f"{peer}_{work.script}.py"
    return _timed([sys.executable, str(script), str(folder)], {}, folder)


def run_etl(work: Work, folder: Path, variables: Mapping[str, str] | None = None) -> Measured:
    """Let `etl run` do it, into a lake that has nothing yet."""
    shutil.rmtree(folder / "out", ignore_errors=True)
    (folder / "out").mkdir()
    return again(work, folder, variables)


def again(work: Work, folder: Path, variables: Mapping[str, str] | None = None) -> Measured:
    """Let `etl run` do it once more: there is nothing new."""
    pipeline = folder / "out" / "pipeline.yaml"
    pipeline.write_text(work.pipeline)
    settings = {
        "TRIPTYCH_FILES_DIR": str(folder),
        "TRIPTYCH_LAKE_URL": str(folder / "out" / "lake"),
        "TRIPTYCH_STATE_URL": f"sqlite:///{folder / 'out' / 'etl.db'}",
        **(variables or {}),
    }
    command = [sys.executable, "-m", "triptych.etl", "run", str(pipeline)]
    measured = _timed(command, settings, folder)
    lake = Lake.open(str(folder / "out" / "lake"))
    rows = {name: lake.table(name).snapshot().rows for name in lake.names()}
    return Measured(measured.seconds, measured.peak_mb, rows)


def _usual(variables: Mapping[str, str]) -> dict[str, str]:
    """An environment in which Python keeps what it has compiled, as it does unless it is told not to."""
    there = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    return {**there, **variables}


def _timed(command: Sequence[str], variables: Mapping[str, str], folder: Path) -> Measured:
    told = folder / "told"
    with told.open("wb") as out, (folder / "errors").open("wb") as errors:
        started = time.perf_counter()
        process = subprocess.Popen(command, stdout=out, stderr=errors, env=_usual(variables))
        peak = 0.0
        # The kernel's own sum (ru_maxrss) would count what this process has, too.
        while process.poll() is None:
            peak = max(peak, peak_mb(process.pid))
            time.sleep(_LOOK_SECONDS)
        seconds = time.perf_counter() - started
    if process.returncode:
        last = (folder / "errors").read_text(errors="replace").strip().splitlines()[-1:]
        raise SideFailed(f"{' '.join(command)}: {' '.join(last)}")
    lines = told.read_text().strip().splitlines()
    result = json.loads(lines[-1]) if lines and lines[-1].startswith("{") else {}
    return Measured(seconds, peak, result)
