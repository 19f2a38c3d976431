"""Where the files are that programs need besides the code: the cards' templates, the metric, the page, the checkpoint.

The repository keeps them at its root, and a wheel in `paraclap/data/`, where `setup.py` puts them.
"""

from pathlib import Path

PACKAGED = Path(__file__).resolve().parent / "data"
CHECKOUT = Path(__file__).resolve().parents[1]


def resource(name: str) -> Path:
    """Return the path of a file or folder that the project ships.

    Args:
        name: Its path in the repository, such as "model_card.md" or "metrics/unweighted_average_recall".

    Raises:
        FileNotFoundError: If it is missing.
    """
    path = (PACKAGED if PACKAGED.is_dir() else CHECKOUT) / name
    if not path.exists():
        raise FileNotFoundError(
            f"{path} is missing from this installation of paraclap; install it again: "
            "pip install --force-reinstall paraclap"
        )
    return path
