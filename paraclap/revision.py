"""The git revision of this code, for records of trainings and evaluations."""

import subprocess
from pathlib import Path

DESCRIBE = ["git", "describe", "--always", "--abbrev=40", "--dirty", "--exclude", "*"]


def git_revision(folder: Path = Path(__file__).parent) -> str | None:
    """Return the commit, with "-dirty" behind it where something is not committed; None without git or a checkout.

    Args:
        folder: Any folder of the checkout.
    """
    try:
        done = subprocess.run(DESCRIBE, cwd=folder, capture_output=True, text=True, check=False)
    except OSError:  # no git on this machine, or one that cannot be run
        return None
    return done.stdout.strip() or None
