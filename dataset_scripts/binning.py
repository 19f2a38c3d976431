"""The bins of a query corpus: low, mid and high of every attribute by quantiles of the training rows (`quantiles`)."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .egemaps import FUNCTIONALS
from .quantiles import QUANTILES, RULE, bin_of, bins_of, fit_edges

if TYPE_CHECKING:
    import pandas as pd

# Dimensions keep each corpus's own scale: in MSP-Podcast 1 to 7.
UNITS: dict[str, str] = {
    **dict.fromkeys(("arousal", "valence", "dominance"), "corpus's scale"),
    **{name: functional.unit for name, functional in FUNCTIONALS.items()},
}
ATTRIBUTES = tuple(UNITS)


@dataclass(frozen=True)
class Bins:
    """Fitted bin edges.

    Attributes:
        edges: attribute -> (lower, upper), in the attribute's unit.
        rows: attribute -> number of rows with a value that the edges were fitted on.
        corpora: the corpora that those rows are from.
    """

    edges: dict[str, tuple[float, float]]
    rows: dict[str, int]
    corpora: tuple[str, ...] = ()

    def apply(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return a copy of `frame` with ``{attribute}_bin`` (low, mid, high or None) for every attribute.

        An attribute without edges, and a column that is not there, give None.
        """
        import pandas as pd

        frame = frame.copy()
        for attribute in ATTRIBUTES:
            bins = np.full(len(frame), None, dtype=object)
            if attribute in self.edges and attribute in frame:
                bins = bins_of(frame[attribute].astype("float64").to_numpy(), *self.edges[attribute])
            # dtype said: pandas 3 would make strings of it and NaN of None
            frame[f"{attribute}_bin"] = pd.Series(bins, index=frame.index, dtype=object)
        return frame

    def bin_of(self, attribute: str, value: float | None) -> str | None:
        """Return low, mid or high of a single value; None for no value and for an attribute without edges.

        Raises:
            ValueError: If `attribute` is not among `ATTRIBUTES`.
        """
        if attribute not in UNITS:
            raise ValueError(f"Unknown attribute {attribute!r}; expected one of {', '.join(ATTRIBUTES)}.")
        return bin_of(value, *self.edges[attribute]) if attribute in self.edges else None

    def save(self, path: str | Path) -> None:
        """Write the edges as JSON, with units, openSMILE's feature names, rows and corpora."""
        content = {
            "quantiles": list(QUANTILES),
            "rule": RULE,
            "fitted_on": {"split": "train", "corpora": list(self.corpora)},
            "attributes": {
                attribute: {
                    "lower": lower,
                    "upper": upper,
                    "unit": UNITS[attribute],
                    "feature": FUNCTIONALS[attribute].feature if attribute in FUNCTIONALS else None,
                    "rows": self.rows[attribute],
                }
                for attribute, (lower, upper) in self.edges.items()
            },
        }
        Path(path).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: str | Path) -> Bins:
        """Read what `save` wrote.

        Raises:
            ValueError: If the file is not a bins file, or its edges are not two ascending numbers.
        """
        try:
            content = json.loads(Path(path).read_text(encoding="utf-8"))
            attributes = content["attributes"]
            edges = {name: (float(entry["lower"]), float(entry["upper"])) for name, entry in attributes.items()}
            rows = {name: int(entry["rows"]) for name, entry in attributes.items()}
            corpora = tuple(content["fitted_on"]["corpora"])
        except (KeyError, TypeError, AttributeError, json.JSONDecodeError) as error:
            raise ValueError(f"{path} is not a bins.json of build_query_corpus ({error!r}).") from error
        for name, (lower, upper) in edges.items():
            if name not in UNITS:
                raise ValueError(f"{path}: unknown attribute {name!r}; expected {', '.join(ATTRIBUTES)}.")
            if not (math.isfinite(lower) and math.isfinite(upper) and lower <= upper):
                raise ValueError(f"{path}: edges {lower}, {upper} of {name}; expected two ascending finite numbers.")
        return cls(edges, rows, corpora)


def fit_bins(frame: pd.DataFrame) -> Bins:
    """Fit the 30 % and 70 % quantiles (linear interpolation) of every attribute on the training rows alone.

    Args:
        frame: `split`, any of `ATTRIBUTES`, and perhaps `corpus`. Nulls are left out; an attribute without any value
            gets no edges.

    Raises:
        ValueError: If no row has split "train".
    """
    train = frame[frame["split"] == "train"]
    if train.empty:
        found = ", ".join(sorted(set(frame["split"]))) or "none"
        raise ValueError(
            f"The bins are fitted on rows of the split 'train', of which there are none (splits: {found}). Add a "
            f"corpus with training rows, or apply bins that were fitted before (--bins bins.json)."
        )
    edges: dict[str, tuple[float, float]] = {}
    rows: dict[str, int] = {}
    for attribute in ATTRIBUTES:
        if attribute not in train:
            continue
        values = train[attribute].astype("float64").to_numpy()
        if fitted := fit_edges(values):
            edges[attribute] = fitted
            rows[attribute] = int(np.isfinite(values).sum())
    corpora = tuple(dict.fromkeys(train["corpus"])) if "corpus" in train else ()
    return Bins(edges, rows, corpora)
