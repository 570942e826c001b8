"""Equivalence and non-inferiority against a margin that was fixed beforehand.

The tests and the intervals agree: at level L the interval lies inside the margin exactly when p < (1 - L) / 2. A margin
of equivalence judged at the usual one-sided 5 % therefore needs level=0.9; the default 0.95 judges at 2.5 %.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import log_ndtr, ndtri

from ._inputs import join_notes
from .hypothesis_tests import t_test
from .results import Comparison, Estimate

Margin = float | tuple[float, float]


def equivalence(a: ArrayLike, b: ArrayLike, margin: Margin, *, paired: bool, level: float = 0.95) -> Comparison:
    """Two one-sided t tests (Schuirmann 1987) that the mean difference a minus b lies inside a margin.

    a (n_a,), b (n_b,): values; paired=True needs equal lengths, otherwise Welch's t.
    margin: (low, high), or one number m > 0 for (-m, m), in the unit of the values.
    p_value: the larger of the two; small p means equivalent. statistic: the t that belongs to it, low: (d - low) / SE,
    high: (d - high) / SE. difference: its interval at `level`.
    Without spread the test is nan with a note. Raises ValueError as `t_test` does, and on other margins.
    """
    bounds = _margin(margin)
    method = f"TOST, {'paired t' if paired else 'Welch t'}, margin ({bounds[0]:g}, {bounds[1]:g})"
    return _by_t(a, b, bounds, paired=paired, level=level, method=method)


def noninferiority(a: ArrayLike, b: ArrayLike, margin: float, *, paired: bool, level: float = 0.95) -> Comparison:
    """One-sided t test that the mean of a is not below that of b by as much as a margin; larger values are better.

    margin: a number > 0 in the unit of the values; small p means that a minus b > -margin. Where smaller values are
    better, swap a and b. a, b, paired, level and undefined cases as in `equivalence`.
    """
    allowed = _positive(margin)
    method = f"non-inferiority, {'paired t' if paired else 'Welch t'}, one-sided, margin {allowed:g}"
    return _by_t(a, b, (-allowed, math.inf), paired=paired, level=level, method=method)


def equivalence_of(difference: Estimate, margin: Margin) -> Comparison:
    """Two one-sided tests that a difference lies inside a margin, from its Estimate, whatever made the interval.

    difference: value with interval, as from `delong(...).compare(i, j).difference`. margin as in `equivalence`.
    Each side takes its standard error from the interval's arm on that side, normal quantiles assumed, so that the
    tests agree with the interval also where it is not symmetric (bootstrap, Newcombe); there p is approximate.
    nan with a note when a bound is missing or infinite, or when the interval has no width.
    Raises ValueError on other margins.
    """
    low, high = _margin(margin)
    return _by_interval(difference, (low, high), f"TOST from the interval, margin ({low:g}, {high:g})")


def noninferiority_of(difference: Estimate, margin: float) -> Comparison:
    """One-sided test that a difference (new minus reference, larger is better) lies above -margin, from its Estimate.

    margin: a number > 0. Standard error and undefined cases as in `equivalence_of`.
    """
    allowed = _positive(margin)
    return _by_interval(difference, (-allowed, math.inf), f"non-inferiority from the interval, margin {allowed:g}")


def _by_t(
    a: ArrayLike, b: ArrayLike, bounds: tuple[float, float], *, paired: bool, level: float, method: str
) -> Comparison:
    """The larger of the one-sided p values of a t test against either bound; an infinite bound is always kept."""
    found = t_test(a, b, paired=paired, level=level)
    difference = replace(found.difference, method=method)
    if math.isnan(found.statistic):
        return Comparison(difference, math.nan, math.nan, math.nan, method)
    tails = []
    for bound, side in zip(bounds, (1, -1), strict=True):
        if math.isfinite(bound):
            # The t test of values moved by the bound; log10_p of the two-sided test keeps the size of tiny tails.
            moved = t_test(np.asarray(a, dtype=float) - bound, b, paired=paired, level=level)
            inside = side * moved.statistic >= 0
            log10_half = moved.log10_p - math.log10(2)
            p = moved.p_value / 2 if inside else 1 - moved.p_value / 2
            tails.append((p, log10_half if inside else math.log10(p), moved.statistic))
    p, log10_p, statistic = max(tails)
    return Comparison(difference, statistic, p, log10_p, method)


def _by_interval(difference: Estimate, bounds: tuple[float, float], method: str) -> Comparison:
    """As `_by_t`, with a standard error taken from either arm of the interval."""
    z = float(ndtri(0.5 + difference.level / 2))
    value = difference.value
    arms = (value - difference.low, difference.high - value)
    tails = []
    note = ""
    for bound, side, arm in zip(bounds, (1, -1), arms, strict=True):
        if math.isfinite(bound):
            if not math.isfinite(arm):
                note = "no finite interval: test undefined"
            elif arm <= 0:
                note = "an arm of the interval has no length: test undefined"
            else:
                statistic = z * (value - bound) / arm
                log_p = float(log_ndtr(-side * statistic))
                tails.append((log_p, statistic))
    named = replace(difference, note=join_notes(difference.note, note))
    if note:
        return Comparison(named, math.nan, math.nan, math.nan, method)
    log_p, statistic = max(tails)
    return Comparison(named, statistic, math.exp(log_p), log_p / math.log(10), method)


def _margin(margin: Margin) -> tuple[float, float]:
    if not isinstance(margin, tuple | list):
        allowed = _positive(margin)
        return -allowed, allowed
    try:
        low, high = (float(bound) for bound in margin)
    except (TypeError, ValueError):
        raise ValueError(f"margin must be a number or a pair (low, high), got {margin!r}") from None
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ValueError(f"margin must be finite with low < high, got {margin!r}")
    return low, high


def _positive(margin: Any) -> float:
    try:
        allowed = float(margin)
    except (TypeError, ValueError):
        raise ValueError(f"margin must be a number > 0, got {margin!r}") from None
    if not 0 < allowed < math.inf:
        raise ValueError(f"margin must be a finite number > 0, got {margin!r}")
    return allowed
