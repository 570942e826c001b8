"""Answering only some questions: accuracy of what is kept, at what coverage, and against rejection at random."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import hypergeom

from ._inputs import FloatArray, binary_labels, check_length, check_level, make_clusters, real_array
from .proportions import proportion
from .resampling import about_clusters, bootstrap_comparison, bootstrap_estimate, count_chunks, sums_replicates
from .results import Comparison, Estimate


@dataclass(frozen=True)
class Rejection:
    """What a filter does to n answered questions: those with uncertainty <= threshold are kept.

    accuracy: of all. kept, rejected: accuracy of either part. coverage: share kept. gain: kept minus all, both of the
    same resample, tested against 0 with p = 2 min(share <= 0, share >= 0). random: accuracy after rejecting as many at
    random, its mean and the central range of all possible draws; random_p: share of such draws that reach the accuracy
    of the kept, one-sided. n_kept: questions kept. n_empty: resamples in which nothing was kept.
    """

    threshold: float
    accuracy: Estimate
    kept: Estimate
    rejected: Estimate
    coverage: Estimate
    gain: Comparison
    random: Estimate
    random_p: float
    n_kept: int
    n_empty: int


def reject(
    correct: ArrayLike,
    uncertainty: ArrayLike,
    threshold: float,
    *,
    units: ArrayLike | None = None,
    strata: ArrayLike | None = None,
    n_boot: int = 1000,
    level: float = 0.95,
    seed: int,
) -> Rejection:
    """Keep the questions whose uncertainty is at most `threshold`.

    correct (n,): 0 or 1, the answer given if kept. uncertainty (n,): nan is not allowed; equal to the threshold is
    kept, so round first where rounding errors could decide. units (n,): resampled as a whole (several questions on an
    image); strata (n,): their sizes stay fixed. All intervals but `random` are percentile intervals of the same
    resamples, the kept set being formed anew in each; resamples that keep nothing have no gain and are counted.
    Rejection at random is exact (hypergeometric) and takes questions as exchangeable; it is nan with units.
    Raises ValueError on other labels, unequal lengths or a threshold that is nan.
    """
    right, uncertain = _checked(correct, uncertainty)
    level = check_level(level)
    if math.isnan(threshold):
        raise ValueError("threshold must be a number, got nan")
    kept = uncertain <= threshold
    clusters = make_clusters(right.size, units, strata, case="question")
    columns = np.stack([right * kept, kept, right, np.ones(right.size)]).astype(float)
    sums = clusters.sums(columns).T  # (G, 4)
    about: dict[str, Any] = {**about_clusters(clusters), "level": level, "seed": seed}

    def estimate(formula: Any) -> tuple[Estimate, FloatArray]:
        replicates = sums_replicates(sums, formula, clusters, n_boot=n_boot, seed=seed)
        return bootstrap_estimate(float(formula(sums.sum(axis=0))), replicates, **about), replicates

    gain, replicates = estimate(lambda t: _ratio(t[..., 0], t[..., 1]) - t[..., 2] / t[..., 3])
    n, n_right, n_kept = right.size, int(right.sum()), int(kept.sum())
    random, random_p = _at_random(n, n_right, n_kept, int((right & kept).sum()), level, units is None)
    return Rejection(
        threshold=float(threshold),
        accuracy=estimate(lambda t: t[..., 2] / t[..., 3])[0],
        kept=estimate(lambda t: _ratio(t[..., 0], t[..., 1]))[0],
        rejected=estimate(lambda t: _ratio(t[..., 2] - t[..., 0], t[..., 3] - t[..., 1]))[0],
        coverage=estimate(lambda t: t[..., 1] / t[..., 3])[0],
        gain=bootstrap_comparison(gain, replicates, rule="share"),
        random=random,
        random_p=random_p,
        n_kept=n_kept,
        n_empty=int(np.isnan(replicates).sum()),
    )


@dataclass(frozen=True, eq=False)
class CoverageCurve:
    """Accuracy of the answers kept as coverage grows, question by question from the most certain one.

    coverage, accuracy (n,): questions of equal uncertainty are taken in random order, so accuracy is the mean over
    such orders. random_low, random_high (n,): central range of rejection at random. best (n,): of whoever knows which
    answers are right. area: mean accuracy over the n coverages (AURAC, Farquhar et al. 2024), with its interval;
    best_area: the same of `best`.
    """

    coverage: FloatArray = field(repr=False)
    accuracy: FloatArray = field(repr=False)
    random_low: FloatArray = field(repr=False)
    random_high: FloatArray = field(repr=False)
    best: FloatArray = field(repr=False)
    area: Estimate
    best_area: float


def coverage_curve(
    correct: ArrayLike,
    uncertainty: ArrayLike,
    *,
    units: ArrayLike | None = None,
    n_boot: int = 1000,
    level: float = 0.95,
    seed: int,
) -> CoverageCurve:
    """Accuracy against coverage for every threshold, and the area under it; arguments as in `reject`."""
    right, uncertain = _checked(correct, uncertainty)
    level = check_level(level)
    n, n_right = right.size, int(right.sum())
    k = np.arange(1, n + 1)
    _, code = np.unique(uncertain, return_inverse=True)
    weights, hits = np.bincount(code), np.bincount(code, weights=right)
    before, ahead = np.cumsum(weights) - weights, np.cumsum(hits) - hits
    at = np.repeat(np.arange(weights.size), weights)  # the tied set in which the k-th question lies
    accuracy = (ahead[at] + (k - before[at]) * (hits / weights)[at]) / k
    clusters = make_clusters(n, units, case="question")
    drawn = [
        _areas(counts[:, clusters.codes], right, code, weights.size)
        for counts in count_chunks(clusters, n_boot, seed, width=4 * n)
    ]
    area = bootstrap_estimate(
        float(accuracy.mean()), np.concatenate(drawn), level=level, seed=seed, **about_clusters(clusters)
    )
    best = np.minimum(k, n_right) / k
    tail = (1 - level) / 2
    low, high = (hypergeom.ppf(q, n, n_right, k) / k for q in (tail, 1 - tail))
    return CoverageCurve(k / n, accuracy, low, high, best, area, float(best.mean()))


def consistent_errors(
    correct: ArrayLike, uncertainty: ArrayLike, *, at_most: float = 0.0, units: ArrayLike | None = None,
    level: float = 0.95,
) -> Estimate:  # fmt: skip
    """Share of the wrong answers that a filter cannot see: uncertainty <= at_most; nan when no answer is wrong.

    correct, uncertainty, units (n,) as in `reject`. Raises ValueError as it does.
    """
    level = check_level(level)
    right, uncertain = _checked(correct, uncertainty)
    make_clusters(right.size, units)  # refuses units of another length or shape
    if math.isnan(at_most):
        raise ValueError("at_most must be a number, got nan")
    wrong = ~right
    if not wrong.any():
        return Estimate(math.nan, math.nan, math.nan, level, unit="wrong answer", note="no answer is wrong")
    some = None if units is None else np.asarray(units)[wrong]
    share = proportion(uncertain[wrong] <= at_most, units=some, level=level)
    return share if units is not None else Estimate(**{**vars(share), "unit": "wrong answer"})


def _checked(correct: ArrayLike, uncertainty: ArrayLike) -> tuple[Any, Any]:
    right = binary_labels("correct", correct)
    uncertain = real_array("uncertainty", uncertainty, ndim=(1,))
    check_length("uncertainty", uncertain.size, right.size, "correct")
    return right, uncertain


def _ratio(a: FloatArray, b: FloatArray) -> FloatArray:
    """a / b, nan where b is 0."""
    return np.divide(a, b, out=np.full(np.shape(a), np.nan), where=np.asarray(b) > 0)


def _at_random(n: int, n_right: int, n_kept: int, hits: int, level: float, exact: bool) -> tuple[Estimate, float]:
    about: dict[str, Any] = {"n": n, "unit": "question", "method": "exact permutation (hypergeometric)"}
    if n_kept == 0 or not exact:
        note = "nothing is kept" if n_kept == 0 else "questions that share a unit are not exchangeable"
        return Estimate(math.nan, math.nan, math.nan, level, note=note, **about), math.nan
    tail = (1 - level) / 2
    low, high = (float(hypergeom.ppf(q, n, n_right, n_kept)) / n_kept for q in (tail, 1 - tail))
    p = float(hypergeom.sf(hits - 1, n, n_right, n_kept))
    return Estimate(n_right / n, low, high, level, **about), p


def _areas(counts: FloatArray, right: Any, code: Any, n_sets: int) -> FloatArray:
    """Area under the curve of each resample, (b,); counts (b, n): how often each question was drawn.

    Within a set of tied questions with weight w, hits h and a questions before it, of which c are right, the curve's
    sum over k = a + 1 .. a + w is h + (c - a h / w) (H(a + w) - H(a)), H being the harmonic numbers.
    """
    order = np.argsort(code, kind="stable")
    starts = np.searchsorted(code[order], np.arange(n_sets))
    weights = np.add.reduceat(counts[:, order], starts, axis=1)  # (b, sets)
    hits = np.add.reduceat((counts * right)[:, order], starts, axis=1)
    through, ahead = weights.cumsum(axis=1), hits.cumsum(axis=1) - hits
    before = through - weights
    harmonic = np.concatenate([[0.0], np.cumsum(1 / np.arange(1.0, through[:, -1].max() + 1))])
    rise = harmonic[through.astype(int)] - harmonic[before.astype(int)]
    slope = np.divide(hits, weights, out=np.zeros_like(hits), where=weights > 0)
    return (hits + (ahead - before * slope) * rise).sum(axis=1) / through[:, -1]
