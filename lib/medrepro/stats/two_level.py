"""Results of a method that was trained several times: the trainings vary above the patients, and both count.

S trainings are tested on the same cases. Write their results as A_s = A + t_s + p + e_s, with t the training, p the
test patients (shared by all trainings) and e what is particular to both. The mean over trainings then has variance

    var t / S + var p + var e / S.

More patients do not shrink the first part, and more trainings do not shrink the second. Resampling patients only, the
usual practice, leaves the first part out: such an interval is about these S trained models, not about the method.
Trainings that are tested on different cases each, such as folds of a cross-validation, are another design.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtrit

from ._inputs import (
    Clusters,
    FloatArray,
    binary_labels,
    check_choice,
    check_length,
    check_level,
    check_seed,
    join_notes,
    make_clusters,
    real_array,
)
from .logit_interval import AT_THE_EDGE, logit_bounds
from .resampling import (
    MOST_UNDEFINED,
    about_clusters,
    bootstrap_comparison,
    bootstrap_estimate,
    bootstrap_replicates,
)
from .results import Comparison, Estimate
from .roc import _two_sided_t, check_index, delong
from .roc_bootstrap import bootstrap_auroc

TwoLevelMethod = Literal["t", "percentile"]
TWO_LEVEL_METHODS = ("t", "percentile")
NO_WIDTH = "the estimated variance is 0: interval without width"
FEW = 5  # trainings; below it their spread is hardly known, and a note says so


def two_level_auroc(
    y_true: ArrayLike,
    scores: ArrayLike,
    *,
    units: ArrayLike | None = None,
    n_boot: int | None = None,
    method: TwoLevelMethod = "t",
    level: float = 0.95,
    seed: int | None = None,
) -> TwoLevelAUROC:
    """Mean AUROC over trainings of one or several models, with intervals that carry trainings and patients.

    y_true (n,): 0 or 1. scores (S, n): one model trained S times, all tested on the same cases; or (K, S, n) for K
    models, whose trainings with the same number belong together (same seed or split) in comparisons.
    units (n,): clusters of cases.
    method "t": the variance components of the module text, those over patients from DeLong's (or Obuchowski's)
    covariance of the S AUCs, with Student's t at Satterthwaite's degrees of freedom; for a mean on the logit scale, for
    a difference as it is. No chance enters.
    method "percentile": trainings and cases are both drawn with replacement, as often as n_boot says (needs seed).
    With few trainings it is too narrow: S trainings drawn from S vary by (S - 1) / S of their variance, and its
    quantiles are not wider for their small number. Coverage of both stands in the handbook.
    Fewer than two trainings or a missing class give no interval, see `note`.
    Raises ValueError as `delong` and `bootstrap_auroc` do, and for "percentile" without n_boot.
    """
    check_choice("method", method, TWO_LEVEL_METHODS)
    level = check_level(level)
    positive = binary_labels("y_true", y_true)
    stacked = real_array("scores", scores, ndim=(2, 3))
    stacked = stacked[None] if stacked.ndim == 2 else stacked
    models, trainings, n = stacked.shape
    if models == 0 or trainings == 0:
        raise ValueError(f"scores must hold at least one training, got shape {np.shape(scores)}")
    check_length("scores", n, positive.size, "y_true")
    clusters = make_clusters(n, units)
    flat = stacked.reshape(models * trainings, n)
    closed = delong(positive, flat, units=units, level=level)
    replicates = None
    if method == "percentile":
        n_boot, seed = _resamples(n_boot, seed)
        replicates = bootstrap_auroc(positive, flat, units=units, n_boot=n_boot, level=level, seed=seed).replicates
        replicates = replicates.reshape(-1, models, trainings)
    return TwoLevelAUROC(
        aucs=closed.aucs.reshape(models, trainings),
        roots=closed.roots.reshape(models, trainings, -1),
        replicates=replicates,
        level=level,
        seed=seed if method == "percentile" else None,
        n_pos=closed.n_pos,
        n_neg=closed.n_neg,
        note=closed.note,
        clusters=clusters,
    )


@dataclass(frozen=True, eq=False)
class TwoLevelAUROC:
    """AUCs (K, S) of K models trained S times each, read like `delong`: means over trainings and their differences.

    roots (K, S, m): covariance of the AUCs over patients = roots @ roots.T, as in `DeLong`.
    """

    aucs: FloatArray
    roots: FloatArray = field(repr=False)
    replicates: FloatArray | None = field(repr=False)
    level: float
    seed: int | None
    n_pos: int
    n_neg: int
    note: str
    clusters: Clusters = field(repr=False)

    def estimate(self, i: int = 0) -> Estimate:
        """Mean AUC of model i over its trainings, for the method as it would be trained and tested again."""
        i = check_index("i", i, len(self.aucs))
        if self.replicates is not None:
            return _drawn(self.aucs[i], self.replicates[:, i], self.clusters, self.seed, self._about()).difference
        return _on_logit_scale(self.aucs[i], self.roots[i] @ self.roots[i].T, self.clusters, self._about())

    def compare(self, i: int, j: int) -> Comparison:
        """Mean over trainings of AUC(i) - AUC(j), paired by training and by patient.

        Tested with Student's t, or from the resamples, centred on the null, with method "percentile".
        """
        i, j = check_index("i", i, len(self.aucs)), check_index("j", j, len(self.aucs))
        values = self.aucs[i] - self.aucs[j]
        if self.replicates is not None:
            return _drawn(
                values, self.replicates[:, i] - self.replicates[:, j], self.clusters, self.seed, self._about()
            )
        roots = self.roots[i] - self.roots[j]
        return _t_comparison(values, roots @ roots.T, self.clusters, self._about())

    def _about(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("level", "note", "n_pos", "n_neg")}


def two_level_mean(
    statistic: Callable[..., float],
    y_true: ArrayLike,
    *predictions: ArrayLike,
    units: ArrayLike | None = None,
    strata: ArrayLike | None = None,
    n_boot: int = 1000,
    method: TwoLevelMethod = "t",
    level: float = 0.95,
    seed: int,
) -> Comparison:
    """Mean over trainings of any statistic, with an interval that carries trainings and patients, tested against 0.

    statistic(y_true, prediction, ...) returns one number for one training; y_true (n, ...) and predictions (S, n, ...)
    share their cases. Two sets of predictions make a paired difference: statistic(y, a, b). The estimate is
    `.difference` of the result; its p value means something where 0 is the value under the null.
    Methods as in `two_level_auroc`; the covariance over patients comes from n_boot resamples of the cases, which all
    trainings share. units, strata as in `bootstrap`.
    Raises ValueError on predictions without the axes (S, n) or with unequal numbers of trainings or cases.
    """
    check_choice("method", method, TWO_LEVEL_METHODS)
    level, seed = check_level(level), check_seed(seed)
    truth, stacks = np.asarray(y_true), [np.asarray(p) for p in predictions]
    if truth.ndim == 0 or not stacks:
        raise ValueError("two_level_mean needs y_true (n, ...) and at least one array of predictions (S, n, ...)")
    for position, stack in enumerate(stacks):
        if stack.ndim < 2 or stack.shape[:2] != (stacks[0].shape[0], truth.shape[0]) or len(stack) == 0:
            expected = f"({stacks[0].shape[0] if stacks[0].ndim else 'S'}, {truth.shape[0]}, ...)"
            raise ValueError(f"predictions {position} must have shape {expected}, got {stack.shape}")
    trainings = len(stacks[0])

    def each(labels: Any, *by_case: Any) -> list[float]:
        return [statistic(labels, *(array[:, s] for array in by_case)) for s in range(trainings)]

    by_case = [np.moveaxis(stack, 0, 1) for stack in stacks]
    values = np.array(each(truth, *by_case), dtype=float)
    replicates = bootstrap_replicates(each, truth, *by_case, units=units, strata=strata, n_boot=n_boot, seed=seed)
    clusters = make_clusters(truth.shape[0], units, strata)
    if method == "percentile":
        return _drawn(values, replicates, clusters, seed, {"level": level, "note": ""})
    defined = replicates[~np.isnan(replicates).any(axis=1)]
    lost = len(replicates) - len(defined)
    enough = lost <= MOST_UNDEFINED * len(replicates) and len(defined) > 1
    fate = "which are left out" if enough else "no interval"
    note = f"undefined in {lost} of {len(replicates)} resamples{',' if enough else ':'} {fate}" if lost else ""
    covariance = np.full((trainings, trainings), math.nan)
    if enough:
        covariance = np.cov(defined, rowvar=False).reshape(trainings, trainings)
    about = {"level": level, "note": note, "n_boot": n_boot, "seed": seed}
    return _t_comparison(values, covariance, clusters, about)


def variance_parts(values: FloatArray, covariance: FloatArray) -> tuple[float, float]:
    """Variance of the mean of values (S,) that comes from patients, and that which trainings add to it.

    covariance (S, S): of the values over patients, for these trainings. Its mean entry is var p + var e / S; its mean
    diagonal minus its mean off-diagonal entry is var e. The values' own variance estimates var t + var e, from which
    var e is taken away again, cut at 0. Both nan for S < 2.
    """
    trainings = values.size
    if trainings < 2:
        return math.nan, math.nan
    patients = float(covariance.mean())
    own = float(np.trace(covariance)) / trainings
    particular = (own - patients) * trainings / (trainings - 1)
    return max(patients, 0.0), max(float(values.var(ddof=1)) - particular, 0.0) / trainings


def _variance_and_df(values: FloatArray, covariance: FloatArray, clusters: Clusters) -> tuple[float, float]:
    """Variance of the mean of values (S,) over trainings and patients, and Satterthwaite's degrees of freedom."""
    trainings = values.size
    patients, training = variance_parts(values, covariance)
    variance = patients + training
    if not variance > 0:
        return variance, math.nan
    # The trainings' part is known on S - 1 degrees of freedom at its full spread, before var e was taken away.
    squared = (float(values.var(ddof=1)) / trainings) ** 2 / (trainings - 1)
    squared += patients**2 / max(clusters.count - 1, 1)
    return variance, variance**2 / squared


def _t_comparison(values: FloatArray, covariance: FloatArray, clusters: Clusters, about: dict[str, Any]) -> Comparison:
    """Mean of values with its t interval and test against 0."""
    value, (variance, df) = float(values.mean()), _variance_and_df(values, covariance, clusters)
    about = _described(values.size, clusters, about, "vary, t (Satterthwaite)")
    if not variance > 0 or math.isnan(value):
        bound = value if variance == 0 else math.nan
        about["note"] = join_notes(about["note"], NO_WIDTH if variance == 0 else "")
        return Comparison(Estimate(value, bound, bound, **about), math.nan, math.nan, math.nan, about["method"])
    half = float(stdtrit(df, 0.5 + about["level"] / 2)) * math.sqrt(variance)
    t = value / math.sqrt(variance)
    return Comparison(Estimate(value, value - half, value + half, **about), t, *_two_sided_t(t, df), about["method"])


def _on_logit_scale(values: FloatArray, covariance: FloatArray, clusters: Clusters, about: dict[str, Any]) -> Estimate:
    """Mean of values in (0, 1) with its t interval on the logit scale (see `logit_interval`)."""
    value, (variance, df) = float(values.mean()), _variance_and_df(values, covariance, clusters)
    about = _described(values.size, clusters, about, "vary, t (Satterthwaite) on the logit scale")
    if value in (0.0, 1.0):
        about["note"] = join_notes(about["note"], AT_THE_EDGE)
        return Estimate(value, math.nan, math.nan, **about)
    if not variance > 0 or math.isnan(value):
        bound = value if variance == 0 else math.nan
        about["note"] = join_notes(about["note"], NO_WIDTH if variance == 0 else "")
        return Estimate(value, bound, bound, **about)
    low, high = logit_bounds(value, float(stdtrit(df, 0.5 + about["level"] / 2)) * math.sqrt(variance))
    return Estimate(value, low, high, **about)


def _described(trainings: int, clusters: Clusters, about: dict[str, Any], how: str) -> dict[str, Any]:
    """The fields of an Estimate that say what was done, added to those given."""
    method = f"mean of {trainings} trainings, {clusters.unit}s and trainings {how}"
    note = join_notes(about["note"], _few(trainings))
    return {**about, "n": clusters.count, "unit": clusters.unit, "method": method, "note": note}


def _drawn(
    values: FloatArray, replicates: FloatArray, clusters: Clusters, seed: Any, about: dict[str, Any]
) -> Comparison:
    """Trainings drawn with replacement in every resample of the cases, replicates (n_boot, S)."""
    trainings, value = values.size, float(values.mean())
    about = _described(trainings, clusters, about, "drawn, percentile")
    method = about.pop("method")
    rng = np.random.default_rng([check_seed(seed), 1])  # a stream of its own: the cases are those of `bootstrap`
    counts = rng.multinomial(trainings, np.full(trainings, 1 / trainings), size=len(replicates))
    drawn = (counts * replicates).sum(axis=1) / trainings
    estimate = replace(
        bootstrap_estimate(value, drawn, seed=seed, **{**about, **about_clusters(clusters)}), method=method
    )
    if trainings < 2:
        return Comparison(replace(estimate, low=math.nan, high=math.nan), math.nan, math.nan, math.nan, method)
    return bootstrap_comparison(estimate, drawn)


def _few(trainings: int) -> str:
    if trainings < 2:
        return "a single training: how much trainings differ is unknown, no interval"
    return f"fewer than {FEW} trainings: how much they differ is hardly known" if trainings < FEW else ""


def _resamples(n_boot: int | None, seed: int | None) -> tuple[int, int]:
    if n_boot is None or seed is None:
        raise ValueError('method "percentile" draws resamples: give n_boot and seed')
    return n_boot, check_seed(seed)
