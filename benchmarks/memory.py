"""Memory of a process: the peak, and now."""

import resource
from pathlib import Path

STATUS = Path("/proc/self/status")


def peak_mb() -> float:
    """Return the largest resident memory of this process in MB.

    Linux's ru_maxrss begins with what the parent had when it forked; VmHWM counts from the start of the program.
    """
    if STATUS.is_file():
        return _status_mb("VmHWM")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def current_mb() -> float:
    """Return the resident memory of this process in MB; on Linux."""
    return _status_mb("VmRSS")


def forget_peak() -> None:
    """Let the peak begin with what the process holds now; on Linux."""
    Path("/proc/self/clear_refs").write_text("5")


def _status_mb(name: str) -> float:
    lines = dict(line.split(":", 1) for line in STATUS.read_text().splitlines() if ":" in line)
    return int(lines[name].split()[0]) / 1024
