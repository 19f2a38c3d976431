"""Peak memory of a process."""

import resource
from pathlib import Path


def peak_mb() -> float:
    """Largest resident memory of this process in MB.

    Linux's ru_maxrss begins with what the parent had when it forked; VmHWM counts from the start of the program.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
        return int(lines["VmHWM"].split()[0]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
