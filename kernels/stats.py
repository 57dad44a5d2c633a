"""Statistics of a column of results, with the conventions stated once."""

import numpy as np
from numpy.typing import NDArray

from .arrays import Floats


def quantile(values: Floats, q: float) -> float:
    """Return the ``q`` quantile of ``values``, linear between neighbours, leaving out NaN; NaN where none is left.

    Hyndman and Fan's definition 7, numpy's default: the median of an even number is the mean of the middle two.
    """
    kept = values[~np.isnan(values)]
    return float(np.quantile(kept, q)) if kept.size else float("nan")


def mean(values: Floats) -> float:
    """Return the mean of ``values``, leaving out NaN; NaN where none is left."""
    kept = values[~np.isnan(values)]
    return float(kept.mean()) if kept.size else float("nan")


def kaplan_meier(times: Floats, hit: NDArray[np.bool_]) -> float:
    """Return the chance to be hit by the longest of ``times``, where some were watched for a shorter time.

    ``times`` float64[A]: when an alert was hit, or else how long it was watched; ``hit`` bool[A]. At equal times hits
    come first. NaN for none. Kaplan and Meier, "Nonparametric estimation from incomplete observations" (JASA 1958).
    """
    if not times.size:
        return float("nan")
    order = np.lexsort((~hit, times))
    at_risk = np.arange(times.size, 0, -1)
    return float(1.0 - np.prod(np.where(hit[order], 1.0 - 1.0 / at_risk, 1.0)))
