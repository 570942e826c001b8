"""Permutation tests of a difference: paired by sign flips, two samples by relabelling, clusters moving as a whole."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._inputs import (
    Clusters,
    FloatArray,
    IntArray,
    check_length,
    check_level,
    check_resamples,
    check_seed,
    make_clusters,
)
from .resampling import at_least
from .results import Comparison, Estimate


def permutation_test(
    a: ArrayLike,
    b: ArrayLike,
    *,
    paired: bool,
    statistic: Callable[[NDArray[Any], NDArray[Any]], float] | None = None,
    units: Any = None,
    n_permutations: int = 9999,
    level: float = 0.95,
    seed: int,
) -> Comparison:
    """Two-sided permutation test of a difference (a minus b), of means unless a statistic is given.

    paired=True: a, b (n,) belong together; each unit swaps its a and b values (sign flip). units (n,): clusters.
    paired=False: a (n_a,), b (n_b,) are two samples; units change sample. units: the pair (units_a, units_b) of
    clusters, none of which may lie in both samples.
    statistic(a, b): any function of two arrays that is 0 in expectation under the null.
    All assignments are enumerated when there are no more than n_permutations of them, else that many are drawn and
    p = (1 + number as extreme) / (1 + n_permutations). The test makes no interval: low and high are nan, see `note`;
    statistic of the result is the difference itself.
    Raises ValueError on nan and infinite values, on unequal lengths of paired samples and on units in both samples.
    """
    level = check_level(level)
    n_permutations, rng = check_resamples("n_permutations", n_permutations), np.random.default_rng(check_seed(seed))
    first, second = _sample("a", a), _sample("b", b)
    if paired:
        check_length("b", second.size, first.size, "a")
        clusters = make_clusters(first.size, units, case="pair")
        observed, drawn, exact = _sign_flips(first, second, statistic, clusters, n_permutations, rng)
    else:
        clusters = _two_sample_clusters(first.size, second.size, units)
        observed, drawn, exact = _relabellings(first, second, statistic, clusters, n_permutations, rng)
    extreme = int(np.count_nonzero(at_least(np.abs(drawn), abs(observed))))
    p = extreme / drawn.size if exact else (1 + extreme) / (1 + drawn.size)
    if math.isnan(observed):
        p = math.nan
    kind = "sign flip" if paired else "two samples"
    method = f"permutation test, {kind}, {'all' if exact else 'drawn'} {drawn.size} assignments"
    note = "a permutation test gives a p value, no interval"
    difference = Estimate(
        observed, math.nan, math.nan, level, n=clusters.count, unit=clusters.unit, method=method, seed=seed, note=note
    )
    return Comparison(difference, observed, p, math.log10(p) if p > 0 else math.nan, method)


def _sign_flips(
    a: FloatArray,
    b: FloatArray,
    statistic: Callable[[NDArray[Any], NDArray[Any]], float] | None,
    clusters: Clusters,
    n_permutations: int,
    rng: np.random.Generator,
) -> tuple[float, FloatArray, bool]:
    exact = clusters.count < 63 and 2**clusters.count <= n_permutations
    if exact:
        flips = (np.arange(2**clusters.count)[:, None] >> np.arange(clusters.count)) % 2 == 1
        rows: Iterator[NDArray[np.bool_]] = iter(flips)
    else:
        rows = (rng.random(clusters.count) < 0.5 for _ in range(n_permutations))
    if statistic is None:
        sums = clusters.sums(a - b) / a.size
        return float(sums.sum()), np.array([sums[~flip].sum() - sums[flip].sum() for flip in rows]), exact
    swapped = (flip[clusters.codes] for flip in rows)
    drawn = [float(statistic(np.where(s, b, a), np.where(s, a, b))) for s in swapped]
    return float(statistic(a, b)), np.array(drawn), exact


def _relabellings(
    a: FloatArray,
    b: FloatArray,
    statistic: Callable[[NDArray[Any], NDArray[Any]], float] | None,
    clusters: Clusters,
    n_permutations: int,
    rng: np.random.Generator,
) -> tuple[float, FloatArray, bool]:
    pooled = np.concatenate([a, b])
    in_a = np.unique(clusters.codes[: a.size]).size
    exact = math.comb(clusters.count, in_a) <= n_permutations
    if exact:
        chosen: Iterator[IntArray] = (np.array(c) for c in combinations(range(clusters.count), in_a))
    else:
        chosen = (rng.permutation(clusters.count)[:in_a] for _ in range(n_permutations))
    if statistic is None:
        sums, sizes = clusters.sums(np.stack([pooled, np.ones(pooled.size)]))
        drawn = []
        for members in chosen:
            total, size = sums[members].sum(), sizes[members].sum()
            drawn.append(total / size - (sums.sum() - total) / (pooled.size - size))
        return float(a.mean() - b.mean()), np.array(drawn), exact
    values = []
    for members in chosen:
        picked = np.isin(clusters.codes, members)
        values.append(float(statistic(pooled[picked], pooled[~picked])))
    return float(statistic(a, b)), np.array(values), exact


def _two_sample_clusters(n_a: int, n_b: int, units: Any) -> Clusters:
    if units is None:
        return make_clusters(n_a + n_b, None)
    if not isinstance(units, tuple | list) or len(units) != 2:
        raise ValueError("units of two samples must be a pair (units_a, units_b)")
    units_a, units_b = (np.asarray(u) for u in units)
    check_length("units[0]", units_a.size, n_a, "a")
    check_length("units[1]", units_b.size, n_b, "b")
    clusters = make_clusters(n_a + n_b, np.concatenate([units_a, units_b]))
    both = np.intersect1d(clusters.codes[:n_a], clusters.codes[n_a:])
    if both.size:
        raise ValueError(f"units must lie in one of two unpaired samples, got {both.size} units in both")
    return clusters


def _sample(name: str, values: ArrayLike) -> FloatArray:
    array = np.asarray(values)
    if array.ndim != 1 or array.size == 0 or array.dtype.kind not in "biuf":
        raise ValueError(f"{name} must hold real numbers of shape (n,), got {array.dtype} of shape {array.shape}")
    array = array.astype(float)
    if not np.isfinite(array).all():
        wrong, what = (np.isnan(array), "nan") if np.isnan(array).any() else (np.isinf(array), "infinite values")
        raise ValueError(f"{name} must not hold {what}, got {int(wrong.sum())} of {array.size}")
    return array
