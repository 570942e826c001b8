"""Bland-Altman limits of agreement of two ways to measure the same quantity, also with repeated measurements."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtri, stdtrit
from scipy.stats import chi2

from ._inputs import FloatArray, check_level, make_clusters
from .effect_sizes import two_samples
from .results import Estimate


@dataclass(frozen=True)
class BlandAltman:
    """bias: mean difference a - b. lower, upper: limits between which `coverage` of the differences lie.

    sd: standard deviation of one difference. n_pairs: pairs of measurements; n of the estimates counts subjects.
    """

    bias: Estimate
    lower: Estimate
    upper: Estimate
    sd: float
    coverage: float
    n_pairs: int


def bland_altman(
    a: ArrayLike,
    b: ArrayLike,
    *,
    units: ArrayLike | None = None,
    coverage: float = 0.95,
    level: float = 0.95,
) -> BlandAltman:
    """Bias and limits of agreement of two measurement methods (Bland & Altman, Lancet 1986), each with its interval.

    a, b (n,): pairs of measurements, same unit of measurement. The limits are bias -+ z * sd of the differences a - b,
    taken as normal; plot them against the mean of a and b to see whether they depend on size.
    units (n,): subject of each pair when subjects are measured repeatedly. Each pair has then its own true value, and
    sd^2 is the variance between subject means plus (1 - 1/h) times the variance within, h the harmonic mean number of
    pairs a subject (Bland & Altman, Journal of Biopharmaceutical Statistics 2007); bias is the mean of subject means.
    Intervals: t for the bias; MOVER for the limits (Zou, Statistical Methods in Medical Research 2013), which with one
    pair a subject are the plain ones. coverage: share of differences inside the limits; level: of the intervals.
    With one subject everything but the bias is nan; without spread the limits have no width; see `note`.
    Raises ValueError on nan, infinite values, unequal lengths, and coverage outside (0, 1).
    """
    level = check_level(level)
    if not isinstance(coverage, int | float | np.floating) or not 0 < coverage < 1:
        raise ValueError(f"coverage must be between 0 and 1 (0.95, not 95), got {coverage!r}")
    first, second = two_samples(a, b, paired=True)
    gaps = first - second
    clusters = make_clusters(gaps.size, units, case="pair")
    sizes = np.bincount(clusters.codes, minlength=clusters.count)
    means = np.bincount(clusters.codes, weights=gaps, minlength=clusters.count) / sizes
    bias = float(means.mean())
    about: dict[str, Any] = {"level": level, "n": clusters.count, "unit": clusters.unit}
    about["method"] = "t" if units is None else "t, subject means"
    if clusters.count < 2:
        note = f"a single {clusters.unit}: no spread between {clusters.unit}s"
        nothing = Estimate(math.nan, math.nan, math.nan, **about, note=note)
        return BlandAltman(replace(nothing, value=bias), nothing, nothing, math.nan, float(coverage), gaps.size)
    between = float(means.var(ddof=1))
    parts = [(between, clusters.count - 1)]
    extra = gaps.size - clusters.count
    if extra:
        within = float(((gaps - means[clusters.codes]) ** 2).sum()) / extra
        parts.append((float(1 - (1 / sizes).mean()) * within, extra))
    variance = sum(part for part, _ in parts)
    sd = math.sqrt(variance)
    error = math.sqrt(between / clusters.count)
    half = float(stdtrit(clusters.count - 1, 0.5 + level / 2)) * error
    note = "all differences are equal: the intervals have no width" if variance == 0 else ""
    estimate = Estimate(bias, bias - half, bias + half, **about, note=note)
    about["method"] = "MOVER (Zou 2013)"
    inner, outer = _distances(parts, error, float(ndtri(0.5 + coverage / 2)), level)
    reach = float(ndtri(0.5 + coverage / 2)) * sd
    lower = Estimate(bias - reach, bias - reach - outer, bias - reach + inner, **about, note=note)
    upper = Estimate(bias + reach, bias + reach - inner, bias + reach + outer, **about, note=note)
    return BlandAltman(estimate, lower, upper, sd, float(coverage), gaps.size)


def _distances(parts: list[tuple[float, int]], error: float, z_limit: float, level: float) -> tuple[float, float]:
    """How far the interval of a limit of agreement reaches towards the bias and away from it.

    parts: variance components with their degrees of freedom; their sum gets MOVER limits from the chi-square limits of
    each. error: standard error of the bias.
    """
    z = float(ndtri(0.5 + level / 2))
    tails = np.array([0.5 + level / 2, 0.5 - level / 2])
    below_above: FloatArray = np.zeros(2)
    for part, df in parts:
        below_above += (part * (1 - df / chi2.ppf(tails, df))) ** 2
    variance = sum(part for part, _ in parts)
    smallest = max(variance - math.sqrt(below_above[0]), 0.0)
    largest = variance + math.sqrt(below_above[1])
    sd = math.sqrt(variance)
    inner = math.hypot(z * error, z_limit * (sd - math.sqrt(smallest)))
    outer = math.hypot(z * error, z_limit * (math.sqrt(largest) - sd))
    return inner, outer
