"""Rankings of arms: where each stands, how sure that is, and whether two rankings differ by more than their noise.

Two rankings of arms that are nearly equal disagree by chance. So the agreement between two conditions (two weightings
of kappa, two networks) is set against the agreement of two halves of the trainings within one condition, and both
halves are treated alike: a ranking is always compared with one that rests on other trainings.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

from ..stats import Estimate, bootstrap_estimate

FloatArray = NDArray[np.float64]
MOST_TRAININGS = 10  # 252 ways to halve them


def rank_estimates(
    names: tuple[str, ...], values: ArrayLike, replicates: ArrayLike, *, n: int, unit: str = "", level: float = 0.95
) -> dict[str, Estimate]:
    """Rank of each arm, 1 = largest value, with the interval over resamples; ties share the mean of their ranks.

    values (E,), replicates (n_boot, E). The interval says how the ranks of these arms move with the cases; ranks of
    arms that are equal in truth move over all places. Raises ValueError when the shapes do not fit.
    """
    value, drawn = np.asarray(values, dtype=float), np.asarray(replicates, dtype=float)
    if value.shape != (len(names),) or drawn.ndim != 2 or drawn.shape[1] != len(names):
        raise ValueError(f"values must be ({len(names)},) with replicates (n_boot, {len(names)}), got {value.shape}")
    places, drawn_places = rankdata(-value), rankdata(-drawn, axis=1)
    return {
        name: bootstrap_estimate(float(places[k]), drawn_places[:, k], n=n, unit=unit, level=level)
        for k, name in enumerate(names)
    }


def kendall_tau(a: ArrayLike, b: ArrayLike) -> FloatArray:
    """Kendall's tau-a of two sets of E values, over the last axis: pairs in the same order minus pairs in the other,
    over all pairs; a tie counts 0. (..., E) twice gives (...)."""
    first, second = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    if first.shape[-1] != second.shape[-1] or first.shape[-1] < 2:
        raise ValueError(f"a and b must hold the same arms, at least 2, got {first.shape[-1]} and {second.shape[-1]}")
    i, j = np.triu_indices(first.shape[-1], k=1)
    return (np.sign(first[..., i] - first[..., j]) * np.sign(second[..., i] - second[..., j])).mean(axis=-1)


@dataclass(frozen=True)
class RankAgreement:
    """Kendall's tau between two conditions, within one condition, and the difference across - within."""

    across: Estimate
    within: Estimate
    difference: Estimate


def rank_agreement(
    first: tuple[FloatArray, FloatArray],
    second: tuple[FloatArray, FloatArray],
    *,
    n: int,
    unit: str = "",
    level: float = 0.95,
) -> RankAgreement:
    """Do two conditions rank the arms differently, beyond what another training of the same condition would?

    first, second: values (S, E) of E arms by S trainings, and their resamples (n_boot, S, E), as `GradeScores.means`
    gives them, one for each condition. For all disjoint halves g, h of the trainings (S // 2 each), with means over a
    half: across is the mean of tau(first in g, second in h), within the mean of tau(first in g, first in h) and
    tau(second in g, second in h). A negative difference means that the condition changes the ranking.
    The interval is over cases, for these trainings. Taus of resamples are lower than the truth, for a resample adds
    noise to the ranks; across and within suffer alike, so read the difference.
    Raises ValueError for fewer than 2 or more than 10 trainings, or shapes that differ.
    """
    trainings = np.shape(first[0])[0]
    if not 2 <= trainings <= MOST_TRAININGS:
        raise ValueError(f"first must hold 2 to {MOST_TRAININGS} trainings, got {trainings}")
    if np.shape(first[0]) != np.shape(second[0]) or np.shape(first[1]) != np.shape(second[1]):
        raise ValueError(f"second must have the shapes of first, {np.shape(first[0])}, got {np.shape(second[0])}")
    halves = _halves(trainings)
    point = _taus(np.asarray(first[0]), np.asarray(second[0]), halves)
    drawn = _taus(np.asarray(first[1]), np.asarray(second[1]), halves)
    about: dict[str, Any] = {"n": n, "unit": unit, "level": level}
    across, within = (bootstrap_estimate(float(p), d, **about) for p, d in zip(point, drawn, strict=True))
    return RankAgreement(across, within, bootstrap_estimate(float(point[0] - point[1]), drawn[0] - drawn[1], **about))


def _halves(trainings: int) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """All ordered pairs of disjoint sets of trainings // 2 trainings."""
    size, everyone = trainings // 2, range(trainings)
    return [
        (g, h) for g in combinations(everyone, size) for h in combinations([s for s in everyone if s not in g], size)
    ]


def _taus(
    a: FloatArray, b: FloatArray, halves: list[tuple[tuple[int, ...], tuple[int, ...]]]
) -> tuple[FloatArray, FloatArray]:
    """Taus across and within two conditions (..., S, E), means over the halves."""
    # The mean over trainings of a half is formed once for each half, not for each pair of halves.
    sets = sorted({g for pair in halves for g in pair})
    means = [{g: x[..., list(g), :].mean(axis=-2) for g in sets} for x in (a, b)]
    across = np.mean([kendall_tau(means[0][g], means[1][h]) for g, h in halves], axis=0)
    within = np.mean([(kendall_tau(m[g], m[h])) for m in means for g, h in halves], axis=0)
    return across, within
