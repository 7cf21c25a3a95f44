"""What a process has in memory, as Linux tells it."""

from pathlib import Path
from typing import Final

_RESET_PEAK: Final = "5"  # proc_pid_clear_refs(5)


def resident_mb(pid: int) -> float:
    """What it has in memory now."""
    return _status(pid, "VmRSS")


def peak_mb(pid: int) -> float:
    """The most that it ever had, or has had since `reset_peak`."""
    return _status(pid, "VmHWM")


def reset_peak(pid: int) -> None:
    """Let its peak be what it has now."""
    Path(f"/proc/{pid}/clear_refs").write_text(_RESET_PEAK)


def _status(pid: int, name: str) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        key, _, value = line.partition(":")
        if key == name:
            return int(value.split()[0]) / 1024
    return 0.0  # it has ended, and nobody has waited for it yet
