"""Locate the data files of the project: templates of the cards, metric, demo page, checkpoint.

They are at the root of the repository, and in `paraclap/data/` of a wheel, where `setup.py` copies them.
"""

from pathlib import Path

PACKAGED = Path(__file__).resolve().parent / "data"
CHECKOUT = Path(__file__).resolve().parents[1]


def resource(name: str) -> Path:
    """Return the path of a data file or folder.

    Args:
        name: Its path in the repository, such as "model_card.md" or "metrics/unweighted_average_recall".

    Raises:
        FileNotFoundError: If it is missing.
    """
    path = (PACKAGED if PACKAGED.is_dir() else CHECKOUT) / name
    if not path.exists():
        raise FileNotFoundError(
            f"{path} is missing from this installation of paraclap. Reinstall it: "
            "pip install --force-reinstall paraclap"
        )
    return path
