"""Classical tests, each with the effect it tests and that effect's interval.

p values come from SciPy except where a docstring says otherwise. All are two-sided unless the method of the result says
so, and cases are taken as independent: for clusters see `permutation_test`, `bootstrap_test` and `mcnemar`. Some tests
have no difference; `difference` of the result then holds the effect named in its method. Tests of equivalence are in
`margins`, those of more than two treatments in `block_tests`.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats
from scipy.special import ndtri, stdtrit

from ._inputs import (
    FloatArray,
    binary_labels,
    check_choice,
    check_length,
    check_level,
    make_clusters,
    two_sided_normal,
)
from .effect_sizes import difference_of_shares, two_samples
from .results import Comparison, Estimate
from .roc import _two_sided_t

EXACT_BELOW = 50  # as in R: exact distributions for fewer values than this, without ties


def t_test(a: ArrayLike, b: ArrayLike, *, paired: bool, level: float = 0.95) -> Comparison:
    """Difference of two means (a minus b): paired t test, or Welch's for unpaired samples.

    a (n_a,), b (n_b,): values; paired=True needs equal lengths. Interval from the same t distribution. Written out
    here, so that log10_p does not underflow. Without spread, or with a single value, the test is nan with a note.
    Raises ValueError on nan, infinite values and, when paired, unequal lengths.
    """
    level = check_level(level)
    first, second = two_samples(a, b, paired=paired)
    groups = [first - second] if paired else [first, second]
    value = float(groups[0].mean()) if paired else float(first.mean() - second.mean())
    method = "paired t test" if paired else "Welch's t test"
    about: dict[str, Any] = {"level": level, "n": sum(g.size for g in groups), "unit": "pair" if paired else "case"}
    about["method"] = method
    size = max(float(np.abs(first).max()), float(np.abs(second).max()))
    # A spread that is rounding of equal values is no spread.
    parts = [_variance_of_mean(g, size) if g.size > 1 else math.nan for g in groups]
    variance = sum(parts)
    if not variance > 0:
        note = "a single value in a sample: test undefined" if math.isnan(variance) else "no spread: test undefined"
        return comparison(Estimate(value, math.nan, math.nan, **about, note=note), math.nan, math.nan, method)
    df = variance**2 / sum(v**2 / (g.size - 1) for v, g in zip(parts, groups, strict=True))
    half = float(stdtrit(df, 0.5 + level / 2)) * math.sqrt(variance)
    t = value / math.sqrt(variance)
    return Comparison(Estimate(value, value - half, value + half, **about), t, *_two_sided_t(t, df), method)


def wilcoxon_signed_rank(a: ArrayLike, b: ArrayLike, *, level: float = 0.95) -> Comparison:
    """Wilcoxon's signed-rank test of pairs, with the Hodges-Lehmann estimate of the shift (a minus b).

    a, b (n,): pairs. Pairs without a difference are left out (Wilcoxon's rule) and counted in `note`. Exact below 50
    differences without ties, else normal with corrections for ties and continuity, as R's wilcox.test (which also turns
    to the normal when pairs were left out).
    statistic: rank sum of the positive differences. difference: median of the means of all pairs of differences, with
    the order-statistic interval of Hodges & Lehmann (1963), written out here; all differences take part in it, its
    true level is at least `level` where the distribution is exact, and it needs memory for n (n + 1) / 2 numbers.
    Ties are equal differences in float64: round first where 0.3 - 0.2 and 0.2 - 0.1 shall tie.
    nan with a note when no pair differs. Raises ValueError on nan, infinite values and unequal lengths.
    """
    level = check_level(level)
    first, second = two_samples(a, b, paired=True)
    gaps = first - second
    used = gaps[gaps != 0]
    n = used.size
    method = "Wilcoxon signed rank"
    about: dict[str, Any] = {"level": level, "n": gaps.size, "unit": "pair"}
    if n == 0:
        return comparison(no_effect(0.0, about, method, "no pair differs: test undefined"), math.nan, math.nan, method)
    exact = n < EXACT_BELOW and np.unique(np.abs(used)).size == n
    name = f"{method}, {'exact' if exact else 'normal'}"
    test = stats.wilcoxon(used, method="exact" if exact else "asymptotic", correction=not exact)
    rank_sum = float(stats.rankdata(np.abs(used))[used > 0].sum())
    row, column = np.triu_indices(gaps.size)
    walsh = (gaps[row] + gaps[column]) / 2
    counts = _signed_rank_counts(gaps.size) if exact and n == gaps.size else None
    spread = math.sqrt(gaps.size * (gaps.size + 1) * (2 * gaps.size + 1) / 24)
    dropped = gaps.size - n
    note = f"{dropped} pair{'s' * (dropped > 1)} without difference left out of the test" * (dropped > 0)
    shift = _order_interval(walsh, counts, spread, about, name, note)
    if exact:
        return comparison(shift, rank_sum, test.pvalue, name)
    return Comparison(shift, rank_sum, *two_sided_normal(float(test.zstatistic)), name)


def mann_whitney(a: ArrayLike, b: ArrayLike, *, level: float = 0.95) -> Comparison:
    """Mann-Whitney (Wilcoxon rank sum) test of two samples, with the Hodges-Lehmann estimate of the shift (a minus b).

    a (n_a,), b (n_b,): values. Exact when both samples have fewer than 50 values and there are no ties, else normal
    with corrections for ties and continuity, as R's wilcox.test. statistic: U of a, the number of pairs with a > b.
    difference: median of all n_a * n_b differences with its order-statistic interval (Hodges & Lehmann 1963), written
    out here; it needs memory for as many numbers. See `cliffs_delta` for the effect in terms of ranks.
    When all values are equal the test is nan with a note. Raises ValueError on nan and infinite values.
    """
    level = check_level(level)
    first, second = two_samples(a, b, paired=False)
    pooled = np.concatenate([first, second])
    sizes = first.size, second.size
    about: dict[str, Any] = {"level": level, "n": pooled.size, "unit": "case"}
    method = "Mann-Whitney"
    if np.all(pooled == pooled[0]):
        return comparison(
            no_effect(0.0, about, method, "all values are equal: test undefined"), math.nan, math.nan, method
        )
    exact = max(sizes) < EXACT_BELOW and np.unique(pooled).size == pooled.size
    name = f"{method}, {'exact' if exact else 'normal'}"
    gaps = np.subtract.outer(first, second).ravel()
    u = float((gaps > 0).sum() + 0.5 * (gaps == 0).sum())
    spread = math.sqrt(sizes[0] * sizes[1] * (pooled.size + 1) / 12)
    shift = _order_interval(gaps, _rank_sum_counts(*sizes) if exact else None, spread, about, name, "")
    if exact:
        return comparison(shift, u, stats.mannwhitneyu(first, second, method="exact").pvalue, name)
    # SciPy's asymptotic test does not return its z, without which log10_p could underflow.
    _, ties = np.unique(pooled, return_counts=True)
    tied = float((ties.astype(float) ** 3 - ties).sum()) / (pooled.size**3 - pooled.size)
    z = max(abs(u - gaps.size / 2) - 0.5, 0.0) / (spread * math.sqrt(1 - tied))
    return Comparison(shift, u, *two_sided_normal(z), name)


def mcnemar(
    a: ArrayLike, b: ArrayLike, *, exact: bool | None = None, units: ArrayLike | None = None, level: float = 0.95
) -> Comparison:
    """McNemar's test of two paired proportions, for example two models that are right or wrong on the same cases.

    a, b (n,): 0 or 1 for each case. difference: share of a minus share of b with Newcombe's paired interval (Statistics
    in Medicine 1998, method 8).
    exact: True binomial on the discordant pairs, False chi-square without continuity correction, None exact below 25
    discordant pairs. statistic: discordant pairs in favour of a (exact), else chi-square.
    units (n,): clusters; then the test is the chi-square of the mean difference with its cluster variance under the
    null, which is McNemar's when every cluster holds one case (Obuchowski, Statistics in Medicine 1998), and the
    interval uses effective sample sizes. exact=True cannot be had with clusters.
    nan with a note when no pair is discordant. Raises ValueError on other values and unequal lengths. p values of the
    binomial come from SciPy, the chi-square is written out here.
    """
    level = check_level(level)
    check_choice("exact", exact, (None, True, False))
    first, second = binary_labels("a", a), binary_labels("b", b)
    check_length("b", second.size, first.size, "a")
    if units is not None and exact:
        raise ValueError("exact must be False or None with units: the binomial test needs independent cases")
    clusters = make_clusters(first.size, units, case="pair")
    sums = clusters.sums(np.stack([first, second, np.ones(first.size)]).astype(float)).T
    difference = difference_of_shares(sums[:, [0, 2]], sums[:, [1, 2]], clusters, level)
    gaps = sums[:, 0] - sums[:, 1]
    for_a, for_b = int((first & ~second).sum()), int((second & ~first).sum())
    if exact is None:
        exact = units is None and for_a + for_b < 25
    method = "McNemar, exact" if exact else f"McNemar, chi-square{'' if units is None else ', clustered'}"
    squares = float((gaps**2).sum())
    if squares == 0:
        which = "no pair is discordant" if for_a + for_b == 0 else "the differences cancel in every cluster"
        noted = replace(difference, note=f"{which}: test undefined")
        return comparison(noted, math.nan, math.nan, method)
    if exact:
        p = stats.binomtest(for_a, for_a + for_b).pvalue
        return comparison(difference, float(for_a), p, method)
    z = float(gaps.sum()) / math.sqrt(squares)
    return Comparison(difference, z * z, *two_sided_normal(z), method)


def fisher(table: ArrayLike, *, level: float = 0.95) -> Comparison:
    """Fisher's exact test of a two-by-two table, with the conditional odds ratio and its exact interval.

    table (2, 2): counts; rows are groups, columns outcomes. difference holds the odds ratio, whose null value is 1: the
    conditional maximum likelihood estimate, as R's fisher.test (the sample odds ratio is `odds_ratio`).
    statistic: the odds ratio again. A zero cell gives 0 or inf with a one-sided limit; an empty row or column gives nan
    with a note. Raises ValueError on other shapes and on counts that are no whole numbers >= 0.
    """
    level = check_level(level)
    counts = np.asarray(table)
    if counts.shape != (2, 2) or counts.dtype.kind not in "iuf" or not np.all(np.isfinite(counts)):
        raise ValueError(f"table must hold four counts of shape (2, 2), got {counts.dtype} of shape {counts.shape}")
    if (counts < 0).any() or (counts % 1).any():
        raise ValueError(f"table must hold whole numbers >= 0, got {counts.ravel().tolist()}")
    counts = counts.astype(int)
    method = "Fisher's exact test, conditional odds ratio"
    about: dict[str, Any] = {"level": level, "n": int(counts.sum()), "unit": "case", "method": method}
    if 0 in counts.sum(axis=0) or 0 in counts.sum(axis=1):
        note = "an empty row or column: undefined"
        return comparison(Estimate(math.nan, math.nan, math.nan, **about, note=note), math.nan, math.nan, method)
    found = stats.contingency.odds_ratio(counts, kind="conditional")
    low, high = found.confidence_interval(confidence_level=level)
    note = "a cell of the table is 0: the odds ratio is 0 or inf" if 0 in counts else ""
    value = float(found.statistic)
    estimate = Estimate(value, float(low), float(high), **about, note=note)
    return comparison(estimate, value, stats.fisher_exact(counts).pvalue, method)


def correlation(
    a: ArrayLike, b: ArrayLike, *, kind: Literal["pearson", "spearman", "kendall"] = "pearson", level: float = 0.95
) -> Comparison:
    """Correlation of two variables with its interval; difference holds the coefficient, whose null value is 0.

    a, b (n,): values. kind: "pearson", "spearman" (mean ranks for ties) or "kendall" (tau-b).
    Interval: Fisher's z with variance 1 / (n - 3), (1 + r^2 / 2) / (n - 3) or 0.437 / (n - 4) (Bonett & Wright,
    Psychometrika 2000), written out here; for small samples and heavy ties prefer `bootstrap`. Pearson's assumes
    a normal sample. statistic: the coefficient. p from SciPy: t distribution (Pearson, Spearman), exact for few cases
    without ties, else normal (Kendall).
    A constant variable gives nan, n <= 3 (Kendall 4) or a coefficient of 1 or -1 no usable interval; see `note`.
    Raises ValueError on nan, infinite values, unequal lengths and other kinds.
    """
    level = check_level(level)
    check_choice("kind", kind, ("pearson", "spearman", "kendall"))
    first, second = two_samples(a, b, paired=True)
    n = first.size
    method = {"pearson": "Pearson", "spearman": "Spearman", "kendall": "Kendall tau-b"}[kind]
    about: dict[str, Any] = {"level": level, "n": n, "unit": "case", "method": f"{method}, Fisher z"}
    if n < 2 or any(np.ptp(x) == 0 for x in (first, second)):
        note = "a single case: undefined" if n < 2 else "a variable is constant: undefined"
        return comparison(Estimate(math.nan, math.nan, math.nan, **about, note=note), math.nan, math.nan, method)
    test = {"pearson": stats.pearsonr, "spearman": stats.spearmanr, "kendall": stats.kendalltau}[kind]
    r, p = (float(x) for x in test(first, second))
    low = high = math.nan
    note = ""
    if n <= (4 if kind == "kendall" else 3):
        note = "too few cases: no interval"
    elif abs(r) >= 1 - 1e-15:
        low = high = r = float(np.sign(r))
        note = "perfect correlation: the interval has no width and does not show uncertainty"
    else:
        variance = {"pearson": 1 / (n - 3), "spearman": (1 + r * r / 2) / (n - 3), "kendall": 0.437 / max(n - 4, 1)}[
            kind
        ]
        half = float(ndtri(0.5 + level / 2)) * math.sqrt(variance)
        low, high = math.tanh(math.atanh(r) - half), math.tanh(math.atanh(r) + half)
    return comparison(Estimate(r, low, high, **about, note=note), r, p, method)


def _variance_of_mean(sample: FloatArray, size: float) -> float:
    variance = float(sample.var(ddof=1))
    return variance / sample.size if math.sqrt(variance) > 1e-14 * size else 0.0


def comparison(difference: Estimate, statistic: float, p: float, method: str) -> Comparison:
    """The result of a test whose p value does not underflow; nan stays nan."""
    p = min(float(p), 1.0) if p == p else math.nan
    return Comparison(difference, statistic, p, math.log10(p) if p > 0 else math.nan, method)


def no_effect(value: float, about: dict[str, Any], method: str, note: str) -> Estimate:
    """A value without interval, and why."""
    return Estimate(value, math.nan, math.nan, **about, method=method, note=note)


def _order_interval(
    values: FloatArray, counts: list[int] | None, spread: float, about: dict[str, Any], method: str, note: str
) -> Estimate:
    """Median of values with the interval between two of them.

    counts: how many arrangements give each value of the rank statistic, or None for the normal approximation with
    standard deviation spread. The interval runs from the c-th smallest to the c-th largest, c - 1 being the largest
    statistic whose lower tail does not exceed half of 1 - level.
    """
    ordered = np.sort(values)
    tail = 0.5 - about["level"] / 2
    if counts is not None:
        total, below, c = sum(counts), 0, 0
        while c < len(counts) and below + counts[c] <= tail * total:
            below += counts[c]
            c += 1
    else:
        c = max(round(ordered.size / 2 + float(ndtri(tail)) * spread), 0)
    value = float(np.median(ordered))
    if c < 1:
        return no_effect(
            value, about, method, f"{note}; too few values for this level" if note else "too few values for this level"
        )
    return Estimate(value, float(ordered[c - 1]), float(ordered[-c]), **about, method=method, note=note)


def _signed_rank_counts(n: int) -> list[int]:
    """Number of subsets of the ranks 1 .. n with each sum."""
    counts = [1]
    for rank in range(1, n + 1):
        counts = [x + y for x, y in zip(counts + [0] * rank, [0] * rank + counts, strict=True)]
    return counts


def _rank_sum_counts(m: int, n: int) -> list[int]:
    """Number of arrangements of m and n values with each Mann-Whitney U: coefficients of the Gaussian binomial."""
    counts = [1] + [0] * (m * n)
    for i in range(1, m + 1):
        for u in range(m * n, n + i - 1, -1):  # times 1 - q^(n + i)
            counts[u] -= counts[u - n - i]
        for u in range(i, m * n + 1):  # divided by 1 - q^i
            counts[u] += counts[u - i]
    return counts
