"""Statistics of the ROC and precision-recall curves under case weights: scores are sorted once for all resamples.

A curve is the counts of true and false positives when the cases scored at or above each threshold are called positive.
Thresholds are "none positive" and then the distinct scores from the highest down, so tied cases enter together.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._inputs import (
    BoolArray,
    FloatArray,
    binary_labels,
    check_choice,
    check_length,
    check_level,
    check_seed,
    make_clusters,
    real_array,
)
from .resampling import METHODS, Method, about_clusters, bca_acceleration, bootstrap_estimate, count_chunks
from .results import Estimate

CurveFormula = Callable[[FloatArray, FloatArray], FloatArray]


class WeightedCurve:
    """True and false positives of one model at every threshold, under whole-number case weights.

    thresholds (m,): inf, then the distinct scores from high to low.
    """

    def __init__(self, positive: BoolArray, score: NDArray[Any]) -> None:
        self.order = np.argsort(score, kind="stable")[::-1]
        ranked = score[self.order]
        self.ends = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))
        self.thresholds = np.concatenate(([math.inf], ranked[self.ends].astype(float)))
        self.positive = positive[self.order].astype(float)

    def __call__(self, weights: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Weights (b, n) to true and false positives, each (b, m); the last column holds the class totals."""
        ranked = weights[:, self.order]
        called = np.zeros((len(weights), self.thresholds.size))
        hits = np.zeros_like(called)
        called[:, 1:] = np.cumsum(ranked, axis=1)[:, self.ends]
        hits[:, 1:] = np.cumsum(ranked * self.positive, axis=1)[:, self.ends]
        return hits, called - hits


def labelled_scores(y_true: ArrayLike, y_score: ArrayLike) -> tuple[BoolArray, NDArray[Any]]:
    """Labels and scores, each (n,); ValueError on other labels, nan scores and unequal lengths."""
    positive = binary_labels("y_true", y_true)
    score = real_array("y_score", y_score, ndim=(1,))
    check_length("y_score", score.size, positive.size, "y_true")
    return positive, score


def bootstrap_curve(
    y_true: ArrayLike,
    y_score: ArrayLike,
    formula: CurveFormula,
    *,
    units: ArrayLike | None,
    strata: ArrayLike | None,
    n_boot: int,
    method: Method,
    level: float,
    seed: int,
) -> Estimate:
    """A statistic of the curve with its bootstrap interval; the resamples are those of `bootstrap` at the same seed.

    formula: true and false positives (b, m) to values (b,), nan where undefined.
    """
    check_choice("method", method, METHODS)
    level, seed = check_level(level), check_seed(seed)
    positive, score = labelled_scores(y_true, y_score)
    clusters = make_clusters(positive.size, units, strata)
    curve = WeightedCurve(positive, score)

    def statistic(counts: FloatArray) -> FloatArray:
        return formula(*curve(counts[:, clusters.codes]))

    width = 4 * positive.size  # weights, sorted weights and the two counts are held at once
    replicates = np.concatenate([statistic(c) for c in count_chunks(clusters, n_boot, seed, width=width)])
    acceleration = math.nan
    if method == "bca":
        step = max(1, 2_000_000 // width)
        everyone = np.arange(clusters.count)
        pieces = [everyone[start : start + step] for start in range(0, clusters.count, step)]
        left_out = [statistic((piece[:, None] != everyone).astype(float)) for piece in pieces]
        acceleration = bca_acceleration(np.concatenate(left_out), clusters)
    return bootstrap_estimate(
        float(statistic(np.ones((1, clusters.count)))[0]),
        replicates,
        method=method,
        level=level,
        seed=seed,
        acceleration=acceleration,
        note=missing_class(positive),
        n_pos=int(positive.sum()),
        n_neg=int((~positive).sum()),
        **about_clusters(clusters),
    )


def average_precision(
    y_true: ArrayLike,
    y_score: ArrayLike,
    *,
    units: ArrayLike | None = None,
    strata: ArrayLike | None = None,
    n_boot: int = 1000,
    method: Method = "percentile",
    level: float = 0.95,
    seed: int,
) -> Estimate:
    """Average precision: precision at each threshold, weighted by the recall gained there; no interpolation.

    y_true (n,): 0 or 1. y_score (n,): higher means more positive; tied cases enter together.
    units (n,): clusters, drawn as a whole. strata, n_boot, method, level as in `bootstrap`.
    A random score reaches the prevalence, not 0.5, so values of cohorts with other prevalences do not compare;
    strata=y_true keeps the prevalence fixed in the resamples. nan with a note when no case is positive.
    Raises ValueError as `auroc` and `bootstrap` do. Same definition as scikit-learn's average_precision_score.
    """

    def formula(hits: FloatArray, alarms: FloatArray) -> FloatArray:
        called = hits + alarms
        precision = np.divide(hits, called, out=np.zeros_like(hits), where=called > 0)
        return _share((np.diff(hits, axis=1) * precision[:, 1:]).sum(axis=1), hits[:, -1])

    return bootstrap_curve(
        y_true, y_score, formula, units=units, strata=strata, n_boot=n_boot, method=method, level=level, seed=seed
    )


def partial_auroc(
    y_true: ArrayLike,
    y_score: ArrayLike,
    *,
    between: tuple[float, float],
    focus: Literal["specificity", "sensitivity"] = "specificity",
    standardised: bool = False,
    units: ArrayLike | None = None,
    strata: ArrayLike | None = None,
    n_boot: int = 1000,
    method: Method = "percentile",
    level: float = 0.95,
    seed: int,
) -> Estimate:
    """Area under the part of the ROC curve where specificity (or sensitivity) lies between two values.

    between: (low, high) with 0 <= low < high <= 1. focus: which axis the range is on. Trapezoids, cut at the range by
    linear interpolation, as pROC's auc(partial.auc=...). The plain area is at most high - low.
    standardised: McClish's (Medical Decision Making 1989) (1 + (A - A0) / (high - low - A0)) / 2 with A0 the area
    under the diagonal, so that chance is 0.5 and perfection 1. Curves below the diagonal give values under 0.5, where
    pROC returns NA: dropping them would select among the resamples.
    units, strata, n_boot, method, level as in `bootstrap`. nan with a note when a class is missing.
    Raises ValueError as `auroc` and `bootstrap` do, and on other ranges.
    """
    check_choice("focus", focus, ("specificity", "sensitivity"))
    low, high = _range(between)
    chance = (high - low) * (1 - (low + high) / 2)

    def formula(hits: FloatArray, alarms: FloatArray) -> FloatArray:
        sensitivity = _share(hits, hits[:, -1:])
        alarm_rate = _share(alarms, alarms[:, -1:])
        if focus == "specificity":
            area = _area_between(alarm_rate, sensitivity, 1 - high, 1 - low)
        else:
            area = _area_between(sensitivity, 1 - alarm_rate, low, high)
        return 0.5 * (1 + (area - chance) / (high - low - chance)) if standardised else area

    return bootstrap_curve(
        y_true, y_score, formula, units=units, strata=strata, n_boot=n_boot, method=method, level=level, seed=seed
    )


def missing_class(positive: BoolArray) -> str:
    """A note naming the class that has no case, empty when both are present."""
    if positive.all():
        return "no negative case"
    return "" if positive.any() else "no positive case"


def _share(part: FloatArray, whole: FloatArray) -> FloatArray:
    """part / whole, nan where whole is 0."""
    return np.divide(part, whole, out=np.full(np.broadcast(part, whole).shape, math.nan), where=whole > 0)


def _area_between(x: FloatArray, y: FloatArray, low: float, high: float) -> FloatArray:
    """Area under the polygons (b, m) with x ascending, between low and high."""
    x0, x1, y0, y1 = x[:, :-1], x[:, 1:], y[:, :-1], y[:, 1:]
    left, right = np.clip(x0, low, high), np.clip(x1, low, high)
    slope = np.divide(y1 - y0, x1 - x0, out=np.zeros_like(x0), where=x1 > x0)
    height = y0 + slope * ((left + right) / 2 - x0)
    return ((right - left) * height).sum(axis=1)


def _range(between: tuple[float, float]) -> tuple[float, float]:
    try:
        low, high = (float(bound) for bound in between)
    except (TypeError, ValueError):
        raise ValueError(f"between must be a pair (low, high), got {between!r}") from None
    if not 0 <= low < high <= 1:
        raise ValueError(f"between must satisfy 0 <= low < high <= 1, got {between!r}")
    return low, high
