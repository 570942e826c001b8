"""Intervals for statistics that are functions of sums over clusters: linearised in closed form, or bootstrapped.

Agreement coefficients, sensitivities and their differences depend on the data through a few totals. Writing them so
gives cluster intervals at once: the delta method needs one gradient, the bootstrap one matrix product.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.special import ndtri

from ._inputs import Clusters, FloatArray, check_level, check_seed, join_notes
from .resampling import Method, bootstrap_sums
from .results import Estimate

Formula = Callable[[Any], Any]


def ratio(numerator: Any, denominator: Any) -> Any:
    """numerator / denominator, nan where the denominator is 0 up to rounding (both are of order 1)."""
    defined = np.abs(denominator) > 1e-12
    return np.where(defined, numerator / np.where(defined, denominator, 1.0), math.nan)


def influence(sums: FloatArray, formula: Formula) -> FloatArray:
    """What each cluster (G,) adds to the linearised statistic: gradient of the formula at the totals, times its sums.

    The gradient is taken by complex steps (Squire & Trapp, SIAM Review 1998), exact to rounding for the rational
    formulas used here. formula must not depend on the scale of the totals; the influences then add up to 0.
    """
    total = sums.sum(axis=0)
    scale = np.maximum(np.abs(total), 1.0)
    step = 1e-30
    gradient = formula(total + 1j * step * np.diag(scale)).imag / (step * scale)
    return sums @ gradient


def linearised_variance(sums: FloatArray, formula: Formula, *, small_sample: bool = True) -> float:
    """Variance of formula(totals) when clusters are independent; small_sample: times G / (G - 1)."""
    count = len(sums)
    if count < 2:
        return math.nan
    squares = float((influence(sums, formula) ** 2).sum())
    return squares * count / (count - 1) if small_sample else squares


def estimate_from_sums(
    sums: FloatArray,
    formula: Formula,
    clusters: Clusters,
    *,
    n_boot: int | None,
    method: Method,
    level: float,
    seed: int | None,
    closed_form: str,
    small_sample: bool = True,
    upper: float = math.inf,
    note: str = "",
    undefined: str = "undefined on these data",
    by_kind: bool = False,
) -> Estimate:
    """formula(totals of sums (G, p)) with its interval: bootstrap when n_boot is given, else value +- z * SE.

    closed_form names the method of the closed interval, upper is the largest possible value (bounds are cut there),
    undefined is the note for a value of nan, by_kind as in `sums_replicates`.
    Raises ValueError when n_boot is given without a seed.
    """
    level = check_level(level)
    value = float(formula(sums.sum(axis=0)))
    if n_boot is not None:
        return bootstrap_sums(
            sums,
            formula,
            clusters,
            n_boot=n_boot,
            method=method,
            level=level,
            seed=check_seed(seed),
            note=join_notes(note, undefined if math.isnan(value) else ""),
            by_kind=by_kind,
        )
    low = high = math.nan
    if math.isnan(value):
        note = join_notes(note, undefined)
    elif clusters.count < 2:
        note = join_notes(note, f"a single {clusters.unit}: no interval")
    else:
        variance = linearised_variance(sums, formula, small_sample=small_sample)
        # Rounding leaves about 1e-32 where the influences are 0.
        half = float(ndtri(0.5 + level / 2)) * math.sqrt(variance) if variance > 1e-28 else 0.0
        low, high = value - half, max(value, min(value + half, upper))
        if half == 0:
            note = join_notes(note, "the estimated variance is 0: the interval has no width")
    return Estimate(value, low, high, level, n=clusters.count, unit=clusters.unit, method=closed_form, note=note)
