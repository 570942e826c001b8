"""Recall at k when the right item is looked for in a random pool, as an exact expectation over the pools."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import gammaln

from ._inputs import FloatArray, IntArray, check_choice, check_level, make_clusters, real_array
from .resampling import bootstrap_sums
from .results import Estimate

TIES = ("random", "best", "worst")


def recall_at_k(
    similarity: ArrayLike,
    correct: ArrayLike,
    *,
    k: int,
    pool: int,
    ties: str = "random",
    units: ArrayLike | None = None,
    n_boot: int = 1000,
    level: float = 0.95,
    seed: int,
) -> Estimate:
    """Mean over queries of the probability that the right item is among the first k of a random pool.

    Arguments as in `recall_by_query`. units (n,): clusters of queries, drawn as a whole. The percentile bootstrap
    resamples queries and keeps the gallery as it is: the interval speaks of other queries to this gallery.
    """
    level = check_level(level)
    expected = recall_by_query(similarity, correct, k=k, pool=pool, ties=ties)
    clusters = make_clusters(expected.size, units, case="query")
    sums = clusters.sums(np.stack([expected, np.ones(expected.size)])).T
    return bootstrap_sums(
        sums, lambda totals: totals[..., 0] / totals[..., 1], clusters, n_boot=n_boot, level=level, seed=seed
    )


def recall_by_query(
    similarity: ArrayLike, correct: ArrayLike, *, k: int, pool: int, ties: str = "random"
) -> FloatArray:
    """Probability (n,) that each query's right item is among the first k of a random pool.

    similarity (n, M): of n queries to M items of the gallery, larger is closer. correct (n,): column of the right
    item. A pool is the right item and pool - 1 others, drawn without replacement, all sets equally likely. With b
    others closer than the right item, the number of them in the pool is hypergeometric, and the recall is its
    distribution function at k - 1: exact, where drawing pools adds noise.
    ties: "random" (items of equal similarity in random order), "best" or "worst" (the right item before or after
    them). A collapsed encoder, all similarities equal, so has k / pool, not 1.
    Raises ValueError unless 1 <= k <= pool <= M, on nan, and on columns that are not there.
    """
    scores = real_array("similarity", similarity, ndim=(2,))
    n, items = scores.shape
    if n == 0 or items == 0:
        raise ValueError(f"similarity must have shape (n, M) with n and M >= 1, got {scores.shape}")
    columns = _columns(correct, n, items)
    check_choice("ties", ties, TIES)
    for name, number, least, most in (("pool", pool, 1, items), ("k", k, 1, pool)):
        if isinstance(number, bool) or not isinstance(number, int | np.integer) or not least <= number <= most:
            raise ValueError(f"{name} must be a whole number from {least} to {most}, got {number!r}")
    own = scores[np.arange(n), columns][:, None]
    closer = np.count_nonzero(scores > own, axis=1)
    tied = np.count_nonzero(scores == own, axis=1) - 1
    found = _probability(items - 1, int(pool) - 1, int(k))
    if ties != "random":
        return found[closer + (tied if ties == "worst" else 0)]
    # In random order each of 0 .. tied items of equal similarity comes before the right one equally often.
    running = np.concatenate([[0.0], np.cumsum(found)])
    mean = (running[closer + tied + 1] - running[closer]) / (tied + 1)
    return np.where(tied == 0, found[closer], np.clip(mean, 0.0, 1.0))


def _probability(others: int, drawn: int, k: int) -> FloatArray:
    """P(fewer than k closer items are drawn) for 0 .. others closer items in the gallery (others + 1,)."""
    if k > drawn:
        return np.ones(others + 1)
    closer = np.arange(others + 1)
    total = np.zeros(others + 1)
    for hits in range(k):
        possible = (closer >= hits) & (others - closer >= drawn - hits)
        ways = _log_choose(closer[possible], hits) + _log_choose(others - closer[possible], drawn - hits)
        total[possible] += np.exp(ways - _log_choose(np.array(others), drawn))
    return np.minimum(total, 1.0)


def _log_choose(n: IntArray, k: int) -> FloatArray:
    return gammaln(n + 1.0) - gammaln(k + 1.0) - gammaln(n - k + 1.0)


def _columns(correct: ArrayLike, n: int, items: int) -> IntArray:
    columns = np.asarray(correct)
    if columns.shape != (n,) or columns.dtype.kind not in "iu":
        raise ValueError(
            f"correct must hold one whole number for each of {n} queries, got shape {columns.shape} of {columns.dtype}"
        )
    if columns.min() < 0 or columns.max() >= items:
        raise ValueError(f"correct must lie between 0 and {items - 1}, got {columns.min()} to {columns.max()}")
    return columns.astype(np.intp)
