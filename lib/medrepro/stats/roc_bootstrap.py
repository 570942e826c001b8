"""Bootstrap of AUCs without sorting again: scores are sorted once, a resample only changes the weights of cases."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._inputs import BoolArray, Clusters, FloatArray, check_choice, check_level, check_seed, make_clusters
from .resampling import (
    METHODS,
    Method,
    Rule,
    about_clusters,
    bca_acceleration,
    bootstrap_comparison,
    bootstrap_estimate,
    count_chunks,
)
from .results import Comparison, Estimate
from .roc import SAME_RANKING, check_index, paired_scores, placements

CACHED = 2**16  # numbers an array may hold to stay in the cache together with a few others
PIECES = 16  # pieces of resamples are this much smaller than memory would allow, for the same reason


def bootstrap_auroc(
    y_true: ArrayLike,
    scores: ArrayLike,
    *,
    units: ArrayLike | None = None,
    strata: ArrayLike | None = None,
    n_boot: int = 1000,
    method: Method = "percentile",
    level: float = 0.95,
    seed: int,
) -> BootstrapAUROC:
    """AUCs of several models on the same cases with bootstrap intervals; read like the result of `delong`.

    y_true (n,): 0 or 1. scores (K, n), or (n,) for one model. units (n,): clusters, drawn as a whole.
    strata (n,): clusters are drawn within strata; strata=y_true keeps both class counts fixed.
    method, level, n_boot and the handling of undefined resamples (a class is absent) as in `bootstrap`; with the
    same seed, units and strata `bootstrap` draws the same resamples.
    A resample costs O(n) a model. Counts and rank sums are whole numbers below 2^53, so that results are exact and
    independent of how resamples are batched.
    Raises ValueError as `delong` and `bootstrap` do.
    """
    check_choice("method", method, METHODS)
    level = check_level(level)
    seed = check_seed(seed)
    positive, stacked = paired_scores(y_true, scores)
    clusters = make_clusters(positive.size, units, strata)
    curves = [_WeightedAUC(positive, score) for score in stacked]
    chunks = []
    for counts in count_chunks(clusters, n_boot, seed, width=PIECES * positive.size, dtype=np.int64):
        weights = counts if units is None else counts[:, clusters.codes]
        chunks.append(np.stack([curve(weights) for curve in curves], axis=1))
    replicates = np.concatenate(chunks)
    once = np.ones((1, positive.size), dtype=np.int64)
    aucs = np.array([curve(once)[0] for curve in curves])
    defined = replicates[~np.isnan(replicates).any(axis=1)]
    one_model = len(curves) == 1
    covariance = np.atleast_2d(np.cov(defined, rowvar=False)) if len(defined) > 1 else np.full((len(aucs),) * 2, np.nan)
    if one_model:
        covariance = covariance.reshape(1, 1)
    return BootstrapAUROC(
        aucs=aucs,
        covariance=covariance,
        replicates=replicates,
        level=level,
        method=method,
        seed=seed,
        n_pos=int(positive.sum()),
        n_neg=int((~positive).sum()),
        clusters=clusters,
        jackknife=_jackknife(positive, stacked, clusters) if method == "bca" else None,
    )


@dataclass(frozen=True, eq=False)
class BootstrapAUROC:
    """AUCs of K models and their resamples: aucs (K,), replicates (n_boot, K), covariance (K, K) of the resamples."""

    aucs: FloatArray
    covariance: FloatArray
    replicates: FloatArray = field(repr=False)
    level: float
    method: Method
    seed: int
    n_pos: int
    n_neg: int
    clusters: Clusters = field(repr=False)
    jackknife: FloatArray | None = field(repr=False, default=None)

    @property
    def n(self) -> int:
        """Independent units that were resampled."""
        return self.clusters.count

    @property
    def unit(self) -> str:
        """What a unit is."""
        return self.clusters.unit

    def estimate(self, i: int = 0) -> Estimate:
        """AUC of model i with its interval."""
        i = check_index("i", i, self.aucs.size)
        contrast = np.zeros(self.aucs.size)
        contrast[i] = 1.0
        return self._estimate(contrast)

    def compare(self, i: int, j: int, *, rule: Rule = "centred") -> Comparison:
        """Paired difference AUC(i) - AUC(j); p value by `rule` as in `bootstrap_p_value`.

        Models that rank all cases alike have difference 0 and p value nan, see `note`.
        """
        i, j = check_index("i", i, self.aucs.size), check_index("j", j, self.aucs.size)
        contrast = np.zeros(self.aucs.size)
        contrast[i] += 1.0
        contrast[j] -= 1.0
        replicates = self.replicates @ contrast
        same = bool(np.all((replicates == 0) | np.isnan(replicates))) and self.aucs[i] == self.aucs[j]
        estimate = self._estimate(contrast, note=SAME_RANKING if same else "")
        return bootstrap_comparison(estimate, replicates, rule=rule)

    def _estimate(self, contrast: FloatArray, note: str = "") -> Estimate:
        acceleration = np.nan
        if self.jackknife is not None:
            acceleration = bca_acceleration(self.jackknife @ contrast, self.clusters)
        return bootstrap_estimate(
            float(self.aucs @ contrast),
            self.replicates @ contrast,
            method=self.method,
            level=self.level,
            seed=self.seed,
            acceleration=acceleration,
            note=note,
            n_pos=self.n_pos,
            n_neg=self.n_neg,
            **about_clusters(self.clusters),
        )


class _WeightedAUC:
    """AUC of one model under whole-number case weights, from scores sorted once."""

    def __init__(self, positive: BoolArray, score: NDArray[Any]) -> None:
        self.positives = np.flatnonzero(positive)
        negatives = np.flatnonzero(~positive)
        self.negatives = negatives[np.argsort(score[negatives])]
        ranked = score[self.negatives]
        self.below = np.searchsorted(ranked, score[self.positives], side="left")
        self.not_above = np.searchsorted(ranked, score[self.positives], side="right")
        self.tied = not np.array_equal(self.below, self.not_above)

    def __call__(self, weights: NDArray[Any]) -> FloatArray:
        """weights (B, n), whole numbers, to AUCs (B,); nan where a class has no weight.

        Sums are integers: a running sum of them is several times faster than one of floats, and it is exact.
        """
        size, n = weights.shape
        step = min(size, max(1, CACHED // n))
        pairs, total = np.empty(size, dtype=np.int64), np.empty(size, dtype=np.int64)
        # Working memory for a few resamples, used again and again: it stays in the cache.
        w_pos, reached = np.empty((2, step, self.positives.size), dtype=np.int64)
        w_neg = np.empty((step, self.negatives.size), dtype=np.int64)
        up_to = np.zeros((step, self.negatives.size + 1), dtype=np.int64)
        for start in range(0, size, step):
            part = slice(start, start + step)
            counts = weights[part].astype(np.int64, copy=False)
            if len(counts) < step:
                w_pos, reached, w_neg, up_to = (a[: len(counts)] for a in (w_pos, reached, w_neg, up_to))
            # mode="clip" (nothing lies outside) lets NumPy write into the array at once.
            counts.take(self.positives, axis=1, out=w_pos, mode="clip")
            counts.take(self.negatives, axis=1, out=w_neg, mode="clip")
            w_neg.cumsum(axis=1, out=up_to[:, 1:])
            up_to.take(self.below, axis=1, out=reached, mode="clip")
            np.einsum("bp,bp->b", w_pos, reached, out=pairs[part])
            if self.tied:
                up_to.take(self.not_above, axis=1, out=reached, mode="clip")
                pairs[part] += np.einsum("bp,bp->b", w_pos, reached)
            np.multiply(w_pos.sum(axis=1), up_to[:, -1], out=total[part])
        if self.tied:
            total *= 2
        return np.divide(pairs, total, out=np.full(size, np.nan), where=total > 0)


def _jackknife(positive: BoolArray, scores: NDArray[Any], clusters: Clusters) -> FloatArray:
    """AUCs (G, K) without each cluster in turn, from the placement values: O(n) after sorting.

    Leaving out a cluster takes away the pairs of its positives, the pairs of its negatives, and gives back the pairs
    inside it, which both counts contain.
    """
    n_pos = int(positive.sum())
    n_neg = positive.size - n_pos
    left_pos = n_pos - np.bincount(clusters.codes[positive], minlength=clusters.count)
    left_neg = n_neg - np.bincount(clusters.codes[~positive], minlength=clusters.count)
    left = left_pos * left_neg
    result = np.full((clusters.count, len(scores)), np.nan)
    if n_pos == 0 or n_neg == 0:
        return result
    mixed = np.flatnonzero((left_pos < n_pos) & (left_neg < n_neg))
    order = np.argsort(clusters.codes, kind="stable")
    edges = np.searchsorted(clusters.codes[order], np.stack([mixed, mixed + 1]))
    for k, score in enumerate(scores):
        pairs_of_case = placements(positive, score) * np.where(positive, n_neg, n_pos)
        pairs = pairs_of_case[positive].sum() - np.bincount(clusters.codes, pairs_of_case, minlength=clusters.count)
        for cluster, start, stop in zip(mixed, *edges, strict=True):
            cases = order[start:stop]
            pos, neg = score[cases][positive[cases]], score[cases][~positive[cases]]
            pairs[cluster] += (pos[:, None] > neg).sum() + 0.5 * (pos[:, None] == neg).sum()
        result[:, k] = np.divide(pairs, left, out=np.full(clusters.count, np.nan), where=left > 0)
    return result
