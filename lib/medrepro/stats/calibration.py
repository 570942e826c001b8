"""Calibration of predicted probabilities: Brier score, expected calibration error, logistic recalibration."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit, logit, ndtri

from ._inputs import (
    BoolArray,
    Clusters,
    FloatArray,
    binary_labels,
    check_choice,
    check_length,
    check_level,
    check_resamples,
    check_seed,
    join_notes,
    make_clusters,
    real_array,
)
from .resampling import Method, bootstrap_sums
from .results import Estimate
from .sums import estimate_from_sums

NO_OVERLAP = "the probabilities separate the classes: no finite slope fits"
NO_SPREAD = "all probabilities are equal: slope undefined"


def brier_score(
    y_true: ArrayLike,
    prob: ArrayLike,
    *,
    units: ArrayLike | None = None,
    level: float = 0.95,
    n_boot: int | None = None,
    method: Method = "percentile",
    seed: int | None = None,
) -> Estimate:
    """Mean squared distance of predicted probabilities from outcomes (Brier, Monthly Weather Review 1950); 0 is best.

    y_true (n,): 0 or 1. prob (n,): probability of 1, in [0, 1]. units (n,): clusters.
    Predicting the prevalence q for everyone gives q (1 - q): compare with that, not with 1.
    Interval: value +- z * linearised SE, or bootstrap with n_boot and seed.
    Raises ValueError on other labels, probabilities outside [0, 1] and unequal lengths.
    """
    positive, p = _probabilities(y_true, prob)
    clusters = make_clusters(positive.size, units)
    return estimate_from_sums(
        clusters.sums(np.stack([(p - positive) ** 2, np.ones(p.size)])).T,
        lambda totals: totals[..., 0] / totals[..., 1],
        clusters,
        n_boot=n_boot,
        method=method,
        level=level,
        seed=seed,
        closed_form="linearised" if units is None else "linearised, clustered",
        upper=1.0,
    )


def expected_calibration_error(
    y_true: ArrayLike,
    prob: ArrayLike,
    *,
    n_bins: int = 10,
    bins: Literal["width", "mass"] = "width",
    units: ArrayLike | None = None,
    n_boot: int = 1000,
    method: Method = "basic",
    level: float = 0.95,
    seed: int,
) -> Estimate:
    """Mean distance of predicted and observed frequency over bins of the probability, weighted by cases a bin.

    y_true (n,): 0 or 1. prob (n,): probability of 1, in [0, 1].
    bins: "width" cuts [0, 1] into n_bins equal pieces; "mass" cuts at the quantiles of prob, tied probabilities
    staying together. Bins hold their right edge, as scikit-learn's calibration_curve. Naeini, Cooper & Hauskrecht
    (AAAI 2015), for the probability of the positive class rather than of the predicted one.
    The value is biased upwards: perfectly calibrated probabilities give about sqrt(n_bins / n) times 0.35, and each
    resample adds as much again. The basic bootstrap interval takes the second bias off, cut at 0; the percentile
    interval may lie above the value. Neither tests perfect calibration, for which see `recalibrate`. Bins stay where
    the data put them. Compare models at equal n and bins only.
    units (n,): clusters. Raises ValueError as `brier_score`, and on n_bins < 2.
    """
    check_choice("bins", bins, ("width", "mass"))
    n_bins = check_resamples("n_bins", n_bins)
    positive, p = _probabilities(y_true, prob)
    edges = np.linspace(0, 1, n_bins + 1)
    inner = (edges if bins == "width" else np.quantile(p, edges))[1:-1]
    columns = np.zeros((n_bins + 1, p.size))
    columns[np.searchsorted(inner, p), np.arange(p.size)] = positive - p
    columns[-1] = 1.0
    clusters = make_clusters(positive.size, units)
    found = bootstrap_sums(
        clusters.sums(columns).T,
        lambda totals: np.abs(totals[..., :-1]).sum(axis=-1) / totals[..., -1],
        clusters,
        n_boot=n_boot,
        method=method,
        level=check_level(level),
        seed=check_seed(seed),
        note=f"{n_bins} bins of equal {bins}",
    )
    return replace(found, low=max(found.low, 0.0), high=max(found.high, 0.0)) if not found.undefined else found


@dataclass(frozen=True)
class Recalibration:
    """How predicted log odds have to be changed to fit the outcomes.

    intercept: calibration in the large, of logit P = a + logit(prob); 0 is ideal, below 0 the probabilities are too
    high. slope: b of logit P = a + b * logit(prob); 1 is ideal, below 1 they are too extreme.
    """

    intercept: Estimate
    slope: Estimate


def recalibrate(
    y_true: ArrayLike, prob: ArrayLike, *, units: ArrayLike | None = None, level: float = 0.95
) -> Recalibration:
    """Calibration intercept and slope by logistic recalibration (Cox, Biometrika 1958).

    y_true (n,): 0 or 1. prob (n,): probability of 1, strictly between 0 and 1. units (n,): clusters.
    The two are separate fits: the intercept is taken at slope 1 (Van Calster et al., BMC Medicine 2019).
    Interval: value +- z * SE with the sandwich variance summed over clusters, times G / (G - 1); it does not assume
    that the recalibration model is true, and so differs a little from glm's in R, whose values are the same.
    nan with a note: a class is missing (both), all probabilities are equal or separate the classes (slope).
    Raises ValueError as `brier_score`, and on probabilities of 0 or 1, whose log odds are infinite.
    """
    level = check_level(level)
    positive, p = _probabilities(y_true, prob)
    extreme = int(((p == 0) | (p == 1)).sum())
    if extreme:
        raise ValueError(f"prob must lie strictly between 0 and 1, got {extreme} values of 0 or 1: clip them first")
    clusters = make_clusters(positive.size, units)
    log_odds = logit(p)
    one = np.ones((p.size, 1))
    note = "" if 0 < positive.sum() < p.size else "a class is missing: no finite value fits"
    intercept = _coefficient(positive, one, log_odds, clusters, level, note)
    if not note:
        ranges = {cls: (log_odds[positive == cls].min(), log_odds[positive == cls].max()) for cls in (True, False)}
        if log_odds.min() == log_odds.max():
            note = NO_SPREAD
        elif ranges[True][0] >= ranges[False][1] or ranges[False][0] >= ranges[True][1]:
            note = NO_OVERLAP
    slope = _coefficient(positive, np.column_stack([one, log_odds]), np.zeros(p.size), clusters, level, note)
    return Recalibration(intercept, slope)


def _coefficient(
    positive: BoolArray, design: FloatArray, offset: FloatArray, clusters: Clusters, level: float, note: str
) -> Estimate:
    """Last coefficient of a logistic regression with its sandwich interval; nan when note says why."""
    value = low = high = math.nan
    if not note:
        beta = _fit(positive, design, offset)
        value = float(beta[-1])
        fitted = expit(design @ beta + offset)
        bread = np.linalg.inv((design * (fitted * (1 - fitted))[:, None]).T @ design)
        if clusters.count > 1:
            influence = clusters.sums((design * (positive - fitted)[:, None]).T).T @ bread
            variance = float((influence[:, -1] ** 2).sum()) * clusters.count / (clusters.count - 1)
            half = float(ndtri(0.5 + level / 2)) * math.sqrt(variance)
            low, high = value - half, value + half
        else:
            note = join_notes(note, f"a single {clusters.unit}: no interval")
    return Estimate(
        value,
        low,
        high,
        level,
        n=clusters.count,
        unit=clusters.unit,
        method="logistic recalibration, sandwich",
        note=note,
        n_pos=int(positive.sum()),
        n_neg=int((~positive).sum()),
    )


def _fit(positive: BoolArray, design: FloatArray, offset: FloatArray) -> FloatArray:
    """Newton's method with step halving; the caller has made sure that a finite maximum exists."""

    def deficit(beta: FloatArray) -> float:
        eta = design @ beta + offset
        return float(np.logaddexp(0.0, np.where(positive, -eta, eta)).sum())

    beta = np.zeros(design.shape[1])
    worst = deficit(beta)
    for _ in range(100):
        fitted = expit(design @ beta + offset)
        score = design.T @ (positive - fitted)
        information = (design * np.maximum(fitted * (1 - fitted), 1e-12)[:, None]).T @ design
        step = np.linalg.solve(information, score)
        while deficit(beta + step) > worst and np.abs(step).max() > 1e-14:
            step /= 2
        beta, worst = beta + step, min(worst, deficit(beta + step))
        if np.abs(step).max() <= 1e-10 * max(1.0, np.abs(beta).max()):
            break
    return beta


def _probabilities(y_true: ArrayLike, prob: ArrayLike) -> tuple[BoolArray, FloatArray]:
    positive = binary_labels("y_true", y_true)
    p = real_array("prob", prob, ndim=(1,)).astype(float)
    check_length("prob", p.size, positive.size, "y_true")
    outside = p[(p < 0) | (p > 1)]
    if outside.size:
        raise ValueError(f"prob must lie in [0, 1], got {outside[0]} among {outside.size} values outside")
    return positive, p
