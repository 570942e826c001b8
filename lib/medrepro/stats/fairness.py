"""Metrics by subgroup, gaps between subgroups, and what a second model does to a gap.

All intervals come from one set of resamples of cases or clusters, so that groups which share patients, and models
which share cases, are compared as pairs. The largest gap among groups is never negative and is biased upwards: where
groups are truly equal it is still above 0, so name two groups where the question allows it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._inputs import (
    Clusters,
    FloatArray,
    IntArray,
    binary_labels,
    check_length,
    check_level,
    encode,
    is_missing,
    join_notes,
    make_clusters,
)
from .resampling import (
    about_clusters,
    bootstrap_comparison,
    bootstrap_estimate,
    bootstrap_replicates,
    sums_replicates,
)
from .results import Comparison, Estimate

UPWARDS = "largest gap among groups: biased upwards"


def group_metric(
    metric: Callable[..., float],
    *arrays: ArrayLike,
    groups: ArrayLike,
    units: ArrayLike | None = None,
    n_boot: int = 1000,
    level: float = 0.95,
    seed: int,
) -> GroupMetric:
    """A metric on all cases and in each subgroup, with percentile bootstrap intervals.

    metric(*arrays) returns one number, nan where it is undefined; it receives the cases of one group. arrays (n, ...);
    groups (n,): subgroup of each case, no missing values. units (n,): clusters, drawn as a whole, which may have
    cases in several groups. Read the result with `.estimate`, `.compare` and `.gap`.
    Raises ValueError on unequal lengths and missing groups.
    """
    level = check_level(level)
    if not arrays:
        raise ValueError("arrays must hold at least one array for the metric, got none")
    data = [np.asarray(array) for array in arrays]
    names, codes = _groups(groups, "array 0", data[0])
    for position, array in enumerate(data):
        check_length(f"array {position}", array.shape[0] if array.ndim else 0, codes.size, "groups")

    def values(drawn: IntArray, *resampled: NDArray[Any]) -> FloatArray:
        return np.array([float(metric(*resampled)), *_by_group(metric, drawn, len(names), resampled)])

    replicates = bootstrap_replicates(values, codes, *data, units=units, n_boot=n_boot, seed=seed)
    clusters = make_clusters(codes.size, units)
    sizes = [np.unique(clusters.codes[codes == code]).size for code in range(len(names))]
    return GroupMetric(
        names=tuple(names),
        values=values(codes, *data),
        replicates=replicates,
        n=(clusters.count, *sizes),
        unit=clusters.unit,
        level=level,
        seed=seed,
    )


@dataclass(frozen=True, eq=False)
class GroupMetric:
    """A metric by subgroup.

    names: groups in sorted order. values (1 + G,), replicates (n_boot, 1 + G) and n: all cases first, then each
    group; n counts units.
    """

    names: tuple[Hashable, ...]
    values: FloatArray
    replicates: FloatArray = field(repr=False)
    n: tuple[int, ...]
    unit: str
    level: float
    seed: int

    def estimate(self, group: Hashable | None = None) -> Estimate:
        """The metric in one group, or on all cases when none is named; ValueError on unknown groups."""
        column = 0 if group is None else self._column("group", group)
        return self._made(self.values[column], self.replicates[:, column], self.n[column])

    def compare(self, group: Hashable, other: Hashable) -> Comparison:
        """The metric in `group` minus that in `other`; ValueError on unknown groups."""
        i, j = self._column("group", group), self._column("other", other)
        drawn = self.replicates[:, i] - self.replicates[:, j]
        return bootstrap_comparison(self._made(self.values[i] - self.values[j], drawn, self.n[0]), drawn)

    def gap(self) -> Estimate:
        """Largest minus smallest value among the groups; nan when a group has none."""
        return self._made(_spread(self.values[1:]), _spread(self.replicates[:, 1:]), self.n[0], UPWARDS)

    def _column(self, name: str, group: Hashable) -> int:
        return 1 + _position(name, group, list(self.names))

    def _made(self, value: float | FloatArray, drawn: FloatArray, n: int, note: str = "") -> Estimate:
        about: dict[str, Any] = {"unit": self.unit, "level": self.level, "seed": self.seed, "note": note}
        return bootstrap_estimate(float(value), drawn, n=n, **about)


def demographic_parity_difference(
    y_pred: ArrayLike,
    groups: ArrayLike,
    *,
    units: ArrayLike | None = None,
    n_boot: int = 1000,
    level: float = 0.95,
    seed: int,
) -> Estimate:
    """Largest minus smallest share of cases called positive among the groups, in [0, 1].

    y_pred (n,): 0 or 1. groups (n,). units (n,): clusters. Interval and bias: see the top of this module.
    Raises ValueError on other predictions, unequal lengths and missing groups.
    """
    predicted = binary_labels("y_pred", y_pred).astype(float)
    names, codes = _groups(groups, "y_pred", predicted)
    member = _membership(codes, len(names))
    totals = np.stack([member, member * predicted])

    def formula(sums: FloatArray) -> FloatArray:
        return _spread(_ratio(sums[..., 1, :], sums[..., 0, :]))

    return _from_sums(totals, formula, make_clusters(codes.size, units), n_boot, level, seed, "")


def equalized_odds_difference(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    groups: ArrayLike,
    *,
    units: ArrayLike | None = None,
    n_boot: int = 1000,
    level: float = 0.95,
    seed: int,
) -> Estimate:
    """The larger of two gaps among the groups, in [0, 1]: of the sensitivity and of the false positive rate.

    The worst case of both, as in Fairlearn (Agarwal et al. 2018 bound both). y_true, y_pred (n,): 0 or 1.
    nan with a note when a group has no positive or no negative case. groups, units and errors as in
    `demographic_parity_difference`.
    """
    truth = binary_labels("y_true", y_true)
    predicted = binary_labels("y_pred", y_pred).astype(float)
    check_length("y_pred", predicted.size, truth.size, "y_true")
    names, codes = _groups(groups, "y_true", predicted)
    member = _membership(codes, len(names))
    totals = np.stack([member * truth, member * truth * predicted, member * ~truth, member * ~truth * predicted])

    def formula(sums: FloatArray) -> FloatArray:
        sensitivity = _ratio(sums[..., 1, :], sums[..., 0, :])
        false_positives = _ratio(sums[..., 3, :], sums[..., 2, :])
        return np.maximum(_spread(sensitivity), _spread(false_positives))

    lacking = [
        f"no {kind} case in group {name}"
        for kind, row in (("positive", 0), ("negative", 2))
        for name, count in zip(names, totals[row].sum(axis=1), strict=True)
        if count == 0
    ]
    clusters = make_clusters(codes.size, units)
    return _from_sums(totals, formula, clusters, n_boot, level, seed, join_notes(*lacking))


def gap_amplification(
    metric: Callable[..., float],
    y_true: ArrayLike,
    scores_before: ArrayLike,
    scores_after: ArrayLike,
    groups: ArrayLike,
    *,
    between: tuple[Hashable, Hashable] | None = None,
    units: ArrayLike | None = None,
    n_boot: int = 1000,
    level: float = 0.95,
    seed: int,
) -> Comparison:
    """Change of a subgroup gap from one model to another on the same cases: gap after minus gap before.

    metric(y_true, scores) returns one number, nan where undefined. between=(g, h): the gap is the metric in g minus
    that in h, with its sign; a gap that turns over therefore counts as falling. None: largest minus smallest group.
    Positive: the second model widens the gap. Both models and all groups are resampled together (paired).
    y_true, scores_before, scores_after (n, ...); groups (n,); units (n,): clusters.
    Raises ValueError on unequal lengths, missing groups, fewer than two groups, and unknown groups in `between`.
    """
    level = check_level(level)
    truth, before, after = (np.asarray(values) for values in (y_true, scores_before, scores_after))
    names, codes = _groups(groups, "y_true", truth)
    for name, values in (("scores_before", before), ("scores_after", after)):
        check_length(name, values.shape[0] if values.ndim else 0, truth.shape[0], "y_true")
    if len(names) < 2:
        raise ValueError(f"groups must hold at least two groups to have a gap, got {names}")
    pair = None
    if between is not None:
        if not isinstance(between, tuple) or len(between) != 2 or between[0] == between[1]:
            raise ValueError(f"between must be two different groups, got {between!r}")
        pair = [_position("between", group, names) for group in between]

    def gap(drawn: IntArray, labels: NDArray[Any], scores: NDArray[Any]) -> float:
        found = _by_group(metric, drawn, len(names), (labels, scores))
        return float(_spread(found)) if pair is None else float(found[pair[0]] - found[pair[1]])

    def change(drawn: IntArray, labels: NDArray[Any], first: NDArray[Any], second: NDArray[Any]) -> float:
        return gap(drawn, labels, second) - gap(drawn, labels, first)

    replicates = bootstrap_replicates(change, codes, truth, before, after, units=units, n_boot=n_boot, seed=seed)
    about = about_clusters(make_clusters(codes.size, units))
    value, note = change(codes, truth, before, after), "" if pair else "gap: largest minus smallest group"
    return bootstrap_comparison(
        bootstrap_estimate(value, replicates, level=level, seed=seed, note=note, **about), replicates
    )


def _by_group(
    metric: Callable[..., float], codes: IntArray, count: int, arrays: tuple[NDArray[Any], ...]
) -> FloatArray:
    """The metric in each group (count,); nan where no case of the group is there."""
    found = np.full(count, math.nan)
    for code in range(count):
        rows = np.flatnonzero(codes == code)
        if rows.size:
            found[code] = metric(*(array[rows] for array in arrays))
    return found


def _spread(values: FloatArray) -> FloatArray:
    """Largest minus smallest along the last axis; nan as soon as one is nan."""
    return values.max(axis=-1) - values.min(axis=-1)


def _ratio(part: FloatArray, whole: FloatArray) -> FloatArray:
    return np.divide(part, whole, out=np.full(np.shape(whole), math.nan), where=whole > 0)


def _membership(codes: IntArray, count: int) -> FloatArray:
    """1 where a case belongs to a group: (count, n)."""
    return (np.arange(count)[:, None] == codes).astype(float)


def _from_sums(
    totals: FloatArray,
    formula: Callable[[FloatArray], FloatArray],
    clusters: Clusters,
    n_boot: int,
    level: float,
    seed: int,
    note: str,
) -> Estimate:
    """Bootstrap of formula(totals), totals (p, G, n) being summed over cases."""
    shape = totals.shape[:2]
    sums = clusters.sums(totals.reshape(-1, totals.shape[-1])).T

    def shaped(flat: FloatArray) -> FloatArray:
        return formula(flat.reshape(*flat.shape[:-1], *shape))

    replicates = sums_replicates(sums, shaped, clusters, n_boot=n_boot, seed=seed)
    value, note = float(shaped(sums.sum(axis=0))), join_notes(note, UPWARDS)
    return bootstrap_estimate(value, replicates, level=level, seed=seed, note=note, **about_clusters(clusters))


def _groups(groups: ArrayLike, reference: str, cases: NDArray[Any]) -> tuple[list[Any], IntArray]:
    """Names of the groups, and the group of each case (n,)."""
    given = np.asarray(groups)
    if given.ndim != 1 or given.size == 0:
        raise ValueError(f"groups must have shape (n,) with n >= 1, got shape {given.shape}")
    check_length("groups", given.size, cases.shape[0] if cases.ndim else 0, reference)
    missing = int(is_missing(given).sum())
    if missing:
        raise ValueError(f"groups must not have missing values, got {missing} of {given.size}: name them or drop them")
    return encode(given)


def _position(name: str, group: Hashable, names: list[Any]) -> int:
    if group not in names:
        raise ValueError(f"{name} must be one of the groups {', '.join(map(repr, names))}, got {group!r}")
    return names.index(group)
