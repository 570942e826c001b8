"""Tests of several treatments on the same blocks (models on data sets, readers on cases): any difference, and a trend.

Only ranks within a block count; blocks are taken as independent.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats
from scipy.special import log_ndtr

from ._inputs import FloatArray, real_array
from .hypothesis_tests import comparison, no_effect
from .results import Comparison

NO_INTERVAL = "no interval is made for this effect"
ALL_EQUAL = "all values of every block are equal: test undefined"


def friedman(values: ArrayLike) -> Comparison:
    """Friedman's test of k treatments over n blocks (several models, each evaluated on the same data sets).

    values (n, k): one row a block; only ranks within a row count, ties take mean ranks. Chi-square approximation with
    k - 1 degrees of freedom. difference holds Kendall's W in [0, 1] without interval; statistic: chi-square.
    nan with a note when all values of every block are equal.
    Raises ValueError on nan, infinite values, n < 2 and k < 3.
    """
    blocks = _blocks(values)
    n, k = blocks.shape
    method = "Friedman, Kendall's W"
    about: dict[str, Any] = {"level": 0.95, "n": n, "unit": "block"}
    if np.all(blocks == blocks[:, :1]):
        nothing = no_effect(math.nan, about, method, ALL_EQUAL)
        return comparison(nothing, math.nan, math.nan, method)
    chi_square, _ = stats.friedmanchisquare(*blocks.T)
    log_p = float(stats.chi2.logsf(chi_square, k - 1))
    effect = no_effect(float(chi_square) / (n * (k - 1)), about, method, NO_INTERVAL)
    return Comparison(effect, float(chi_square), math.exp(log_p), log_p / math.log(10), method)


def page_trend(values: ArrayLike) -> Comparison:
    """Page's test that k treatments are ordered as their columns, lowest first (Page, JASA 1963). One-sided.

    values (n, k): one row a block; ties take mean ranks. Exact for small tables without ties (SciPy's choice), else
    normal, written out here with the variance of the ranks as they are: SciPy's takes every rank as untied, which with
    ties makes p too large.
    difference holds the mean rank correlation of a row with the predicted order, in [-1, 1], without interval;
    statistic: Page's L. nan with a note when all values of every block are equal. Raises ValueError on nan, infinite
    values, n < 2 and k < 3.
    """
    blocks = _blocks(values)
    n, k = blocks.shape
    about: dict[str, Any] = {"level": 0.95, "n": n, "unit": "block"}
    name = "Page's trend test, one-sided, {}, mean rank correlation"
    if np.all(blocks == blocks[:, :1]):
        nothing = no_effect(math.nan, about, name.format("normal"), ALL_EQUAL)
        return comparison(nothing, math.nan, math.nan, nothing.method)
    ranks, order = stats.rankdata(blocks, axis=1), np.arange(k) - (k - 1) / 2
    moment = float((ranks @ order).sum())  # L minus its expectation
    page = moment + n * k * (k + 1) ** 2 / 4
    correlation = 12 * moment / (n * k * (k * k - 1))  # Spearman's formula for untied ranks, averaged over rows
    if np.array_equal(np.sort(ranks, axis=1), np.tile(np.arange(1.0, k + 1), (n, 1))):
        test = stats.page_trend_test(blocks)
        if test.method == "exact":
            effect = no_effect(correlation, about, name.format("exact"), NO_INTERVAL)
            return comparison(effect, page, test.pvalue, effect.method)
    effect = no_effect(correlation, about, name.format("normal"), NO_INTERVAL)
    # Permutations within rows: each row adds its rank variance times the spread of the order.
    variance = float(((ranks - (k + 1) / 2) ** 2).sum()) * float(order @ order) / (k - 1)
    log_p = float(log_ndtr(-moment / math.sqrt(variance)))
    return Comparison(effect, page, math.exp(log_p), log_p / math.log(10), effect.method)


def _blocks(values: ArrayLike) -> FloatArray:
    blocks = real_array("values", values, ndim=(2,)).astype(float)
    if np.isinf(blocks).any():
        raise ValueError(f"values must be finite, got {int(np.isinf(blocks).sum())} infinite values")
    if blocks.shape[0] < 2 or blocks.shape[1] < 3:
        raise ValueError(f"values must have shape (n, k) with n >= 2 blocks and k >= 3 treatments, got {blocks.shape}")
    return blocks
