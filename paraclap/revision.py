"""The git revision of this code, recorded with trainings and evaluations."""

import subprocess
from pathlib import Path

DESCRIBE = ["git", "describe", "--always", "--abbrev=40", "--dirty", "--exclude", "*"]


def git_revision(folder: Path = Path(__file__).parent) -> str | None:
    """Return the commit, with the suffix "-dirty" if there are uncommitted changes; None without git or a checkout.

    Args:
        folder: Any folder of the checkout.
    """
    try:
        done = subprocess.run(DESCRIBE, cwd=folder, capture_output=True, text=True, check=False)
    except OSError:  # no git on this machine, or one that cannot be run
        return None
    return done.stdout.strip() or None
