"""Exact tests of clips and of counts, and the correction of many tests at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p-values for their number by Holm's step-down rule.

    Parameters
    ----------
    p_values : sequence of float
        Of the tests that are read together.

    Returns
    -------
    list of float
        The adjusted p-values, in the order of `p_values`.

    Notes
    -----
    Holm (1979), Scandinavian Journal of Statistics 6:65-70. The figures are those of
    `statsmodels.stats.multitest.multipletests`, which collects the garbage of the whole process at each call;
    a report calls this about twenty times, and that was a quarter of its statistics' time.

    Examples
    --------
    >>> holm([0.0625, 0.5, 0.125])
    [0.1875, 0.5, 0.25]
    """
    p = np.asarray(p_values, dtype=float)
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    steps = p[order] * np.arange(len(p), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted.tolist()
