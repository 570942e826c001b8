"""Marginal means of a factor, and comparisons of its levels, as rows that multiply the fixed effects.

A marginal mean is the prediction for one level, averaged with equal weights over the levels of the other factors of the
formula, other predictors held at their mean, random effects at 0 (Searle, Speed & Milliken, The American Statistician
1980; the convention of emmeans in R). Unlike raw means it does not change when some cells hold more cases than others.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from patsy import build_design_matrices
from scipy.special import ndtri, stdtrit
from scipy.stats import studentized_range

from ._inputs import FloatArray
from .mixed_design import MixedDesign
from .proportions import adjust_p

ADJUST = ("holm", "bonferroni", "fdr_bh", "tukey", "none")
ADJUST_NAMES = {"holm": "Holm", "bonferroni": "Bonferroni", "fdr_bh": "Benjamini-Hochberg", "tukey": "Tukey"}


def mean_rows(design: MixedDesign, factor: str, by: str | None) -> dict[tuple[Any, Any], FloatArray]:
    """(level of by, level of factor) to the row (p,) whose product with the fixed effects is the marginal mean.

    The level of by is None where by is. Raises ValueError when factor or by is no factor of the formula.
    """
    for name, value in (("factor", factor), ("by", by)):
        if value not in design.levels and not (name == "by" and value is None):
            known = ", ".join(design.levels) or "none"
            raise ValueError(f"{name} must be a factor of the formula ({known}), got {value!r}")
    if by == factor:
        raise ValueError(f"by must be another factor than {factor!r}, got the same")
    cells = [dict(zip(design.levels, cell, strict=True)) for cell in itertools.product(*design.levels.values())]
    frame = pd.DataFrame([{**cell, **design.numeric} for cell in cells])
    for name, levels in design.levels.items():
        if not all(isinstance(level, int | float) for level in levels):
            frame[name] = pd.Categorical(frame[name], categories=levels)
    grid = np.asarray(build_design_matrices([design.info], frame)[0])
    rows: dict[tuple[Any, Any], FloatArray] = {}
    for outer in design.levels[by] if by is not None else [None]:
        for inner in design.levels[factor]:
            chosen = [c[factor] == inner and (by is None or c[by] == outer) for c in cells]
            rows[outer, inner] = grid[np.array(chosen)].mean(axis=0)
    return rows


def pairs(levels: Sequence[Any], against: Any | None) -> list[tuple[Any, Any]]:
    """(later, earlier) levels to compare: all pairs, or every other level with `against`."""
    if len(levels) < 2:
        raise ValueError(f"factor must have at least two levels, got {levels[0]!r} only")
    if against is None:
        return [(b, a) for a, b in itertools.combinations(levels, 2)]
    if against not in levels:
        raise ValueError(f"against must be one of {', '.join(map(str, levels))}, got {against!r}")
    return [(level, against) for level in levels if level != against]


def adjusted(p: FloatArray, statistics: FloatArray, df: FloatArray, n_levels: int, adjust: str) -> FloatArray:
    """p values (m,) of one family of contrasts, adjusted; Tukey from statistics (m,), df (m,) and n_levels means."""
    if adjust == "none":
        return p
    if adjust == "tukey":
        return np.array([
            math.nan if math.isnan(t) else float(studentized_range.sf(math.sqrt(2) * abs(t), n_levels, d))
            for t, d in zip(statistics, df, strict=True)
        ])  # fmt: skip
    return adjust_p(p, adjust)


def critical_value(level: float, df: float, n_contrasts: int, n_levels: int, adjust: str) -> float:
    """Standard errors on each side of an interval.

    Bonferroni and Tukey: all intervals of the family cover together with probability `level`. Holm and
    Benjamini-Hochberg are procedures for p values and have no such intervals: each interval stands alone.
    """
    if adjust == "tukey":
        return float(studentized_range.ppf(level, n_levels, df)) / math.sqrt(2)
    tail = (1 - level) / (2 * n_contrasts) if adjust == "bonferroni" else (1 - level) / 2
    return float(-ndtri(tail)) if math.isinf(df) else float(-stdtrit(df, tail))
