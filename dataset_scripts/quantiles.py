"""Quantile bins of numbers: bottom 30 %, middle 40 %, top 30 % (section 2.2 of the paper).

Ties follow the intervals of the supplement's Table 1, [0 %, 30 %), [30 %, 70 %), [70 %, 100 %]: a value on the lower
edge is mid, a value on the upper edge is high. Where both edges coincide (more than 40 % of the rows share one value)
that value is mid, since nothing sets it apart.
"""

import math

import numpy as np

QUANTILES = (0.3, 0.7)
RULE = "low: x < lower; high: x >= upper and x > lower; mid: all others; null: no value"
BINS = ("low", "mid", "high")


def fit_edges(values: np.ndarray) -> tuple[float, float] | None:
    """Return the 30 % and 70 % quantiles (linear interpolation) of the finite values; None if there are none."""
    finite = values[np.isfinite(values)]
    if not len(finite):
        return None
    lower, upper = np.quantile(finite, QUANTILES)
    return float(lower), float(upper)


def bin_of(value: float | None, lower: float, upper: float) -> str | None:
    """Return the bin of a value; None for no value and for one that is not finite."""
    if value is None or not math.isfinite(value):
        return None
    if value < lower:
        return "low"
    return "high" if value >= upper and value > lower else "mid"


def bins_of(values: np.ndarray, lower: float, upper: float) -> np.ndarray:
    """Return the bin of each of (n,) values as an array of objects; None where a value is not finite."""
    bins = np.full(len(values), None, dtype=object)
    known = np.isfinite(values)
    bins[known] = "mid"
    bins[known & (values < lower)] = "low"
    bins[known & (values >= upper) & (values > lower)] = "high"
    return bins
