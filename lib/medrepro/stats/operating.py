"""Operating points: thresholds chosen on validation cases, and what a threshold achieves on test cases.

A case is called positive when its score is at or above the threshold. A threshold chosen on the cases it is judged on
looks better than it is: choose with the `*_threshold` functions on validation data, then `threshold_metrics` on test
data. `sensitivity_at_specificity` and `specificity_at_sensitivity` describe the test ROC curve instead, and choose the
threshold anew in every resample.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ._inputs import Clusters, FloatArray, check_level, join_notes, make_clusters
from .curves import WeightedCurve, bootstrap_curve, labelled_scores, missing_class
from .proportions import proportion_from_sums
from .resampling import Method
from .results import Estimate
from .sums import estimate_from_sums, ratio

ROUNDING = 1e-12  # 27 of 30 reaches a specificity of 0.9 whatever the last bit of 0.9 says


@dataclass(frozen=True)
class OperatingPoint:
    """A threshold and what it achieves on the cases it was chosen on; no interval, since it was chosen there.

    threshold: call positive at or above it; inf calls nothing positive; nan when undefined, see `note`.
    """

    threshold: float
    sensitivity: float
    specificity: float
    n_pos: int
    n_neg: int
    note: str = ""


def youden_threshold(y_true: ArrayLike, y_score: ArrayLike) -> OperatingPoint:
    """The threshold with the largest sensitivity + specificity - 1 (Youden, Cancer 1950).

    y_true (n,): 0 or 1. y_score (n,): higher means more positive. Of several best thresholds the highest is taken,
    that is the one with the largest specificity. nan with a note when a class is missing.
    Raises ValueError on other labels, nan scores and unequal lengths.
    """
    return _choose(y_true, y_score, lambda sensitivity, specificity: sensitivity + specificity)


def threshold_at_specificity(y_true: ArrayLike, y_score: ArrayLike, specificity: float) -> OperatingPoint:
    """The threshold with the largest sensitivity among those whose specificity is at least the one asked for.

    Arguments as in `youden_threshold`; of thresholds that do equally well the highest. "Nothing positive" is a
    threshold too, so that every specificity can be reached.
    """
    target = _target("specificity", specificity)
    return _choose(y_true, y_score, lambda sens, spec: np.where(spec >= target - ROUNDING, sens, -1.0))


def threshold_at_sensitivity(y_true: ArrayLike, y_score: ArrayLike, sensitivity: float) -> OperatingPoint:
    """The threshold with the largest specificity among those whose sensitivity is at least the one asked for.

    It is the highest of them. Arguments as in `youden_threshold`.
    """
    target = _target("sensitivity", sensitivity)
    return _choose(y_true, y_score, lambda sens, spec: np.where(sens >= target - ROUNDING, spec, -1.0))


def sensitivity_at_specificity(
    y_true: ArrayLike,
    y_score: ArrayLike,
    specificity: float,
    *,
    units: ArrayLike | None = None,
    strata: ArrayLike | None = None,
    n_boot: int = 1000,
    method: Method = "percentile",
    level: float = 0.95,
    seed: int,
) -> Estimate:
    """Largest sensitivity among the thresholds whose specificity is at least the one asked for.

    y_true (n,): 0 or 1. y_score (n,): higher means more positive. specificity: in [0, 1].
    A point of the empirical curve, not interpolated: pROC's coords interpolates between points and is never lower.
    units, strata, n_boot, method, level as in `bootstrap`; every resample chooses its own threshold.
    nan with a note when a class is missing. Raises ValueError as `auroc` and `bootstrap` do.
    """
    target = _target("specificity", specificity)

    def formula(hits: FloatArray, alarms: FloatArray) -> FloatArray:
        return _best(hits, alarms, target)

    return bootstrap_curve(
        y_true, y_score, formula, units=units, strata=strata, n_boot=n_boot, method=method, level=level, seed=seed
    )


def specificity_at_sensitivity(
    y_true: ArrayLike,
    y_score: ArrayLike,
    sensitivity: float,
    *,
    units: ArrayLike | None = None,
    strata: ArrayLike | None = None,
    n_boot: int = 1000,
    method: Method = "percentile",
    level: float = 0.95,
    seed: int,
) -> Estimate:
    """Largest specificity among the thresholds whose sensitivity is at least the one asked for.

    The mirror image of `sensitivity_at_specificity`; arguments as there.
    """
    target = _target("sensitivity", sensitivity)

    def formula(hits: FloatArray, alarms: FloatArray) -> FloatArray:
        return _best(alarms[:, -1:] - alarms[:, ::-1], hits[:, -1:] - hits[:, ::-1], target)

    return bootstrap_curve(
        y_true, y_score, formula, units=units, strata=strata, n_boot=n_boot, method=method, level=level, seed=seed
    )


def threshold_metrics(
    y_true: ArrayLike,
    y_score: ArrayLike,
    threshold: float,
    *,
    units: ArrayLike | None = None,
    level: float = 0.95,
    n_boot: int | None = None,
    method: Method = "percentile",
    seed: int | None = None,
) -> dict[str, Estimate]:
    """Sensitivity, specificity, PPV, NPV, accuracy, F1, balanced accuracy and MCC at a threshold fixed beforehand.

    y_true (n,): 0 or 1. y_score (n,): called positive when >= threshold, which comes from other cases.
    Keys: sensitivity, specificity, ppv, npv, accuracy, f1, balanced_accuracy, mcc. PPV and NPV hold at the prevalence
    of these cases only.
    units (n,): clusters; n of a share counts the clusters that hold a case of its denominator.
    Intervals: Wilson's for the five shares, at the effective sample size with clusters (see `proportion`);
    value +- z * linearised SE for the other three; or, with n_boot and seed, a bootstrap for all eight from the same
    resamples.
    nan with a note where the denominator is 0 (scikit-learn reports 0 instead).
    Raises ValueError on other labels, nan in scores or threshold, and unequal lengths.
    """
    level = check_level(level)
    positive, score = labelled_scores(y_true, y_score)
    called = score >= _number("threshold", threshold)
    cells = np.stack([positive & called, ~positive & called, positive & ~called, ~positive & ~called]).astype(float)
    clusters = make_clusters(positive.size, units)
    sums = clusters.sums(cells).T
    n_pos, n_neg = int(positive.sum()), int((~positive).sum())
    found = {}
    for name, formula in _METRICS.items():
        part = _SHARES.get(name)
        undefined = f"{name} undefined: {_UNDEFINED[name]}"
        if part is None or n_boot is not None:
            estimate = estimate_from_sums(
                sums,
                formula,
                clusters,
                n_boot=n_boot,
                method=method,
                level=level,
                seed=seed,
                closed_form="linearised" if units is None else "linearised, clustered",
                upper=1.0,
                undefined=undefined,
            )
        else:
            estimate = _share(sums, *part, clusters=clusters, level=level, undefined=undefined)
        found[name] = replace(estimate, n_pos=n_pos, n_neg=n_neg)
    return found


# Columns of the sums: true positives, false positives, false negatives, true negatives.
_SHARES = {
    "sensitivity": ([0], [0, 2]),
    "specificity": ([3], [1, 3]),
    "ppv": ([0], [0, 1]),
    "npv": ([3], [2, 3]),
    "accuracy": ([0, 3], [0, 1, 2, 3]),
}
_UNDEFINED = {
    "sensitivity": "no positive case",
    "specificity": "no negative case",
    "ppv": "nothing is called positive",
    "npv": "nothing is called negative",
    "accuracy": "no case",
    "f1": "no case is positive and none is called so",
    "balanced_accuracy": "a class is missing",
    "mcc": "a class is missing, or all cases are called alike",
}


def _share_formula(part: list[int], whole: list[int]) -> Callable[[Any], Any]:
    return lambda totals: ratio(totals[..., part].sum(axis=-1), totals[..., whole].sum(axis=-1))


def _f1(totals: Any) -> Any:
    return ratio(2 * totals[..., 0], 2 * totals[..., 0] + totals[..., 1] + totals[..., 2])


def _balanced_accuracy(totals: Any) -> Any:
    return 0.5 * (_METRICS["sensitivity"](totals) + _METRICS["specificity"](totals))


def _mcc(totals: Any) -> Any:
    tp, fp, fn, tn = np.moveaxis(totals / totals.sum(axis=-1, keepdims=True), -1, 0)
    return ratio(tp * tn - fp * fn, np.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)))


_METRICS = {name: _share_formula(*columns) for name, columns in _SHARES.items()}
_METRICS |= {"f1": _f1, "balanced_accuracy": _balanced_accuracy, "mcc": _mcc}


def _share(
    sums: FloatArray, part: list[int], whole: list[int], *, clusters: Clusters, level: float, undefined: str
) -> Estimate:
    """A share with Wilson's interval over the clusters that hold a case of its denominator."""
    pair = np.column_stack([sums[:, part].sum(axis=1), sums[:, whole].sum(axis=1)])
    pair = pair[pair[:, 1] > 0]
    if len(pair) == 0:
        return Estimate(math.nan, math.nan, math.nan, level, unit=clusters.unit, method="Wilson", note=undefined)
    counted = replace(clusters, count=len(pair))
    return proportion_from_sums(pair, counted, level)


def _best(hits: FloatArray, alarms: FloatArray, target: float) -> FloatArray:
    """Largest sensitivity where specificity >= target (b,), nan where a class is missing."""
    positives, negatives = hits[:, -1], alarms[:, -1]
    allowed = negatives[:, None] - alarms >= (target - ROUNDING) * negatives[:, None]
    most = np.where(allowed, hits, 0.0).max(axis=1)
    defined = (positives > 0) & (negatives > 0)
    return np.where(defined, most / np.where(defined, positives, 1.0), math.nan)


def _choose(
    y_true: ArrayLike, y_score: ArrayLike, goal: Callable[[FloatArray, FloatArray], FloatArray]
) -> OperatingPoint:
    """The highest threshold at which goal(sensitivity, specificity) is largest."""
    positive, score = labelled_scores(y_true, y_score)
    n_pos, n_neg = int(positive.sum()), int((~positive).sum())
    note = missing_class(positive)
    if note:
        return OperatingPoint(math.nan, math.nan, math.nan, n_pos, n_neg, join_notes(note, "threshold undefined"))
    curve = WeightedCurve(positive, score)
    hits, alarms = (counts[0] for counts in curve(np.ones((1, positive.size))))
    sensitivity, specificity = hits / n_pos, 1.0 - alarms / n_neg
    reached = goal(sensitivity, specificity)
    best = np.flatnonzero(reached >= reached.max() - ROUNDING)
    at = int(best[0])
    threshold = float(curve.thresholds[at])
    note = "nothing is called positive" if at == 0 else ""
    return OperatingPoint(threshold, float(sensitivity[at]), float(specificity[at]), n_pos, n_neg, note)


def _target(name: str, value: float) -> float:
    target = _number(name, value)
    if not 0 <= target <= 1:
        raise ValueError(f"{name} must be between 0 and 1 (0.9, not 90), got {value!r}")
    return target


def _number(name: str, value: float) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise ValueError(f"{name} must be a number, got {value!r}") from None
    if math.isnan(number):
        raise ValueError(f"{name} must not be nan")
    return number
