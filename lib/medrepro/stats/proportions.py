"""Proportions with Wilson intervals, also for clustered cases, and p values adjusted for multiplicity."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtri

from ._inputs import Clusters, FloatArray, binary_labels, check_level, make_clusters
from .results import Estimate
from .sums import linearised_variance

ADJUSTMENTS = ("bonferroni", "sidak", "holm", "hommel", "hochberg", "fdr_bh", "fdr_by")


def wilson(count: int, n: int, *, level: float = 0.95) -> Estimate:
    """A proportion count / n with Wilson's score interval (1927), no continuity correction.

    count: cases that have the property, 0 <= count <= n. n = 0 gives nan with a note.
    Raises ValueError on other counts.
    """
    level = check_level(level)
    for name, number in (("count", count), ("n", n)):
        if isinstance(number, bool) or not isinstance(number, int | np.integer) or number < 0:
            raise ValueError(f"{name} must be a whole number >= 0, got {number!r}")
    if count > n:
        raise ValueError(f"count must be <= n ({n}), got {count}")
    if n == 0:
        return Estimate(math.nan, math.nan, math.nan, level, unit="case", method="Wilson", note="no case")
    low, high = wilson_bounds(count / n, float(n), level)
    return Estimate(count / n, low, high, level, n=int(n), unit="case", method="Wilson")


def proportion(outcomes: ArrayLike, *, units: ArrayLike | None = None, level: float = 0.95) -> Estimate:
    """Share of cases (n,) that are 1 (or True), with a Wilson interval that allows for clusters.

    units (n,): clusters. The interval is Wilson's at the effective sample size p (1 - p) / variance, the variance
    being the ratio estimator's over clusters (Korn & Graubard, Survey Methodology 1998, with Wilson's
    interval in place of theirs); it is Wilson's own when every cluster holds one case. Where all cases agree the
    variance is 0 and the number of clusters is the sample size.
    Raises ValueError on values other than 0 and 1.
    """
    level = check_level(level)
    positive = binary_labels("outcomes", outcomes)
    clusters = make_clusters(positive.size, units)
    sums = clusters.sums(np.stack([positive.astype(float), np.ones(positive.size)])).T
    return proportion_from_sums(sums, clusters, level)


def proportion_from_sums(sums: FloatArray, clusters: Clusters, level: float, note: str = "") -> Estimate:
    """total of sums[:, 0] over total of sums[:, 1], a share in [0, 1], with the interval described in `proportion`."""
    total, size = sums.sum(axis=0)
    value = min(float(total / size), 1.0)
    variance = linearised_variance(sums, lambda t: t[..., 0] / t[..., 1], small_sample=False)
    effective = float(clusters.count)
    if 0 < value < 1 and not math.isnan(variance):
        # Clusters that all have the same share leave no variance: no more is known than one case each.
        effective = value * (1 - value) / variance if variance > 1e-28 else effective
    low, high = wilson_bounds(value, effective, level)
    method = "Wilson" if np.all(sums[:, 1] == 1) else "Wilson at the effective sample size"
    return Estimate(value, low, high, level, n=clusters.count, unit=clusters.unit, method=method, note=note)


def wilson_bounds(value: float, n: float, level: float) -> tuple[float, float]:
    """Wilson's bounds for a proportion on n cases, n not necessarily whole."""
    z2 = float(ndtri(0.5 + level / 2)) ** 2
    centre = (value + z2 / (2 * n)) / (1 + z2 / n)
    half = math.sqrt(z2 * (value * (1 - value) / n + z2 / (4 * n * n))) / (1 + z2 / n)
    low = 0.0 if value == 0 else max(0.0, centre - half)
    return low, 1.0 if value == 1 else min(1.0, centre + half)


def adjust_p(p: ArrayLike, method: str = "holm") -> FloatArray:
    """p values (m,) adjusted for the number of them; nan stays nan and is not counted.

    method: "bonferroni", "sidak", "holm" (1979), "hommel" (1988), "hochberg" (1988), which bound the chance of any
    false rejection; "fdr_bh" (Benjamini & Hochberg 1995), "fdr_by" (Benjamini & Yekutieli 2001), which bound the false
    discovery rate. Hommel's from statsmodels; the others are written out, because statsmodels empties the garbage
    collector with every call of Holm's, which takes a thousand times longer than the adjustment.
    Raises ValueError on values outside [0, 1] and on other methods.
    """
    values = np.asarray(p, dtype=float)
    if values.ndim != 1 or not np.all(np.isnan(values) | ((values >= 0) & (values <= 1))):
        raise ValueError(f"p must have shape (m,) with values in [0, 1] or nan, got {p!r}")
    if method not in ADJUSTMENTS:
        raise ValueError(f"method must be one of {', '.join(ADJUSTMENTS)}, got {method!r}")
    adjusted = values.copy()
    known = np.flatnonzero(~np.isnan(values))
    if known.size:
        order = known[np.argsort(values[known])]
        adjusted[order] = np.minimum(_adjusted(values[order], method), 1.0)
    return adjusted


def _adjusted(p: FloatArray, method: str) -> FloatArray:
    """Adjusted values of p (m,), ascending."""
    m = p.size
    left = np.arange(m, 0, -1.0)  # hypotheses that are left at each step
    if method == "bonferroni":
        return m * p
    if method == "sidak":
        return np.asarray(-np.expm1(m * np.log1p(-np.minimum(p, 1 - 1e-16))))
    if method == "holm":
        return np.maximum.accumulate(left * p)
    if method == "hommel":
        from statsmodels.stats.multitest import multipletests  # slow to import, and needed nowhere else here

        return np.asarray(multipletests(p, method="hommel")[1], dtype=float)
    # Step-up methods: the smallest factor times p among this and all larger p values.
    factor = left if method == "hochberg" else m / np.arange(1.0, m + 1)
    if method == "fdr_by":
        factor = factor * (1 / np.arange(1.0, m + 1)).sum()
    return np.minimum.accumulate((factor * p)[::-1])[::-1]
