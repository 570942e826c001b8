"""What privacy costs, and whom: AUROC or accuracy of several arms in subgroups, their gaps, and how gaps change.

A gap says how much worse a group is than the others; amplification is the gap under one arm minus that under another.
A model that is worse for everybody has no amplification. All numbers of an audit come from one set of resamples of the
units, so that arms, groups and labels are compared as pairs; over one set of groups they equal
`stats.gap_amplification`, and cost a fraction of it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..stats import Comparison, Estimate, bootstrap_estimate, bootstrap_multilabel_auroc, bootstrap_replicates
from ..stats.resampling import bootstrap_comparison

Floats = NDArray[np.float64]
Part = tuple[str, str]  # an attribute and one of its groups, such as ("sex", "female")
ALL: Part = ("", "")
UPWARDS = "largest minus smallest group: biased upwards"


@dataclass(frozen=True, eq=False)
class Audit:
    """A metric of A arms in P parts of the cases (all of them first) for K labels, on the data and on resamples.

    metric: "AUROC" or "accuracy". values (A, P, K), replicates (n_boot, A, P, K): means over the training runs of an
    arm. n: units of each part. Arms are named by whatever the caller named them, such as their epsilon.
    """

    metric: str
    arms: tuple[Hashable, ...]
    parts: tuple[Part, ...]
    values: Floats
    replicates: Floats = field(repr=False)
    n: tuple[int, ...]
    unit: str
    level: float
    seed: int

    def groups(self, attribute: str) -> tuple[str, ...]:
        """Groups of an attribute, in sorted order; ValueError when there is no such attribute."""
        found = tuple(group for name, group in self.parts if name == attribute and name)
        if not found:
            known = sorted({name for name, _ in self.parts if name})
            raise ValueError(f"attribute must be one of {', '.join(known) or '(none given)'}, got {attribute!r}")
        return found

    def at_level(self, level: float) -> Audit:
        """The same audit with intervals of another level, such as 1 - 0.05 / 5 for five groups looked at together."""
        return replace(self, level=level)

    def score(self, arm: Hashable, part: Part = ALL, label: int | None = None) -> Estimate:
        """The metric of one arm in one part: mean over the labels, or of one label."""
        pick = self._score(arm, part, label)
        return self._estimate(pick, self.n[self._part(part)])

    def difference(self, arm: Hashable, reference: Hashable, part: Part = ALL, label: int | None = None) -> Comparison:
        """Paired difference, arm minus reference, in one part."""
        one, two = self._score(arm, part, label), self._score(reference, part, label)
        return self._comparison(lambda a: one(a) - two(a), self.n[self._part(part)])

    def gap(self, arm: Hashable, attribute: str, group: str, other: str | None = None) -> Estimate:
        """How far `group` lies behind: the metric in `other` minus that in `group`; negative where it is ahead.

        other: None is the mean of all other groups of the attribute, weighted by their units.
        """
        return self._estimate(self._gap(arm, attribute, group, other), self._sum(attribute))

    def amplification(
        self, arm: Hashable, reference: Hashable, attribute: str, group: str, other: str | None = None
    ) -> Comparison:
        """Gap under `arm` minus gap under `reference`: positive where `group` falls further behind."""
        one, two = (self._gap(name, attribute, group, other) for name in (arm, reference))
        return self._comparison(lambda a: one(a) - two(a), self._sum(attribute))

    def spread(self, arm: Hashable, attribute: str) -> Estimate:
        """Largest minus smallest value among the groups of an attribute; never negative, biased upwards."""
        return self._estimate(self._spread(arm, attribute), self._sum(attribute), UPWARDS)

    def spread_amplification(self, arm: Hashable, reference: Hashable, attribute: str) -> Comparison:
        """Spread under `arm` minus spread under `reference`."""
        one, two = self._spread(arm, attribute), self._spread(reference, attribute)
        return self._comparison(lambda a: one(a) - two(a), self._sum(attribute), UPWARDS)

    def correlation(
        self, x: Mapping[Hashable, float], attribute: str, group: str, other: str | None = None
    ) -> Estimate:
        """Pearson's r of x (arm to number, such as epsilon) with the group's gap over these arms, resampled over units.

        The paper's r has the opposite sign: it takes the group's lead. Two arms always have |r| = 1.
        """
        if len(x) < 3:
            raise ValueError(f"x must name at least 3 arms, got {len(x)}")
        gaps = [self._gap(arm, attribute, group, other) for arm in x]
        at = np.array(list(x.values()), dtype=float)
        if not np.isfinite(at).all():
            raise ValueError(f"x must be finite (leave the arm without noise out), got {at.tolist()}")
        at = (at - at.mean()) / np.linalg.norm(at - at.mean())

        def pearson(a: Floats) -> Floats:
            y = np.stack([gap(a) for gap in gaps], axis=-1)
            y = y - y.mean(axis=-1, keepdims=True)
            with np.errstate(invalid="ignore"):
                return (y @ at) / np.linalg.norm(y, axis=-1)

        return self._estimate(pearson, self._sum(attribute))

    def spread_of_resamples(self, arm: Hashable) -> tuple[float, float]:
        """Standard deviation of the mean over labels among the resamples, and the published one, which pools resamples
        and labels and so mostly shows how labels differ."""
        drawn = self.replicates[:, self._arm(arm), 0]
        return float(np.nanstd(drawn.mean(axis=1), ddof=1)), float(np.nanstd(drawn, ddof=1))

    def _arm(self, arm: Hashable) -> int:
        if arm not in self.arms:
            raise ValueError(f"arm must be one of {', '.join(map(str, self.arms))}, got {arm!r}")
        return self.arms.index(arm)

    def _part(self, part: Part) -> int:
        if part not in self.parts:
            raise ValueError(f"part must be one of {self.parts}, got {part!r}")
        return self.parts.index(part)

    def _sum(self, attribute: str) -> int:
        return sum(self.n[self._part((attribute, group))] for group in self.groups(attribute))

    def _score(self, arm: Hashable, part: Part, label: int | None) -> Callable[[Floats], Floats]:
        i, j = self._arm(arm), self._part(part)
        if label is None:
            return lambda a: a[..., i, j, :].mean(axis=-1)
        if not 0 <= label < self.values.shape[-1]:
            raise ValueError(f"label must lie in 0 to {self.values.shape[-1] - 1}, got {label}")
        return lambda a: a[..., i, j, label]

    def _gap(self, arm: Hashable, attribute: str, group: str, other: str | None) -> Callable[[Floats], Floats]:
        names = self.groups(attribute)
        for name in (group, other):
            if name is not None and name not in names:
                raise ValueError(f"group must be one of {', '.join(names)}, got {name!r}")
        rest = [name for name in names if name != group] if other is None else [other]
        if not rest or group in rest:
            raise ValueError(f"group must have another one to be compared with, got {group!r} alone")
        weights = np.array([self.n[self._part((attribute, name))] for name in rest], dtype=float)
        mine = self._score(arm, (attribute, group), None)
        theirs = [self._score(arm, (attribute, name), None) for name in rest]
        return lambda a: np.stack([one(a) for one in theirs], axis=-1) @ (weights / weights.sum()) - mine(a)

    def _spread(self, arm: Hashable, attribute: str) -> Callable[[Floats], Floats]:
        scores = [self._score(arm, (attribute, group), None) for group in self.groups(attribute)]

        def spread(a: Floats) -> Floats:
            found = np.stack([one(a) for one in scores], axis=-1)
            return found.max(axis=-1) - found.min(axis=-1)

        return spread

    def _estimate(self, quantity: Callable[[Floats], Floats], n: int, note: str = "") -> Estimate:
        value, drawn = float(quantity(self.values)), quantity(self.replicates)
        return bootstrap_estimate(value, drawn, n=n, unit=self.unit, level=self.level, seed=self.seed, note=note)

    def _comparison(self, quantity: Callable[[Floats], Floats], n: int, note: str = "") -> Comparison:
        return bootstrap_comparison(self._estimate(quantity, n, note), quantity(self.replicates))


def audit_auroc(
    labels: ArrayLike,
    scores: Mapping[Hashable, ArrayLike],
    *,
    groups: Mapping[str, ArrayLike] | None = None,
    units: ArrayLike,
    unit: str,
    n_boot: int,
    level: float = 0.95,
    seed: int,
) -> Audit:
    """AUROC of every arm, part and label from one set of resamples.

    labels (n, K): 0, 1, or nan where unknown. scores: arm to (n, K), or to (S, n, K) for S training runs of the arm.
    groups: attribute to the subgroup of each case (n,), "" where unknown (then in no group). units (n,): what is drawn;
    unit: its name. An AUROC of a group that lacks a class of a label is nan, and so is the group's mean over labels.
    """
    y, stacked, runs, parts, member = _arguments(labels, scores, groups)
    n, k = y.shape
    masked = np.where(member[:, :, None], y[None], np.nan)  # (P, n, K): outside its part a case has no label
    wide = masked.transpose(1, 0, 2).reshape(n, -1)
    result = bootstrap_multilabel_auroc(
        wide, np.tile(stacked, (1, 1, len(parts))), units=units, n_boot=n_boot, level=level, seed=seed
    )
    shape = (len(stacked), len(parts), k)
    return _audit(
        "AUROC", scores, runs, parts, member, result.aucs.reshape(shape), result.replicates.reshape(-1, *shape),
        units=units, unit=unit, level=level, seed=seed,
    )  # fmt: skip


def audit_accuracy(
    labels: ArrayLike,
    calls: Mapping[Hashable, ArrayLike],
    *,
    groups: Mapping[str, ArrayLike] | None = None,
    units: ArrayLike,
    unit: str,
    n_boot: int,
    level: float = 0.95,
    seed: int,
) -> Audit:
    """Share of right calls of every arm, part and label. calls: arm to (n, K) or (S, n, K), 0 or 1; others as above.

    The paper's "statistical parity difference" is a gap of this accuracy, not of the share of positive calls.
    """
    y, stacked, runs, parts, member = _arguments(labels, calls, groups)
    if not np.isin(stacked, (0, 1)).all():
        raise ValueError("calls must be 0 or 1: put scores over a threshold first")
    known = (~np.isnan(y)).astype(float)
    right = (stacked == y).astype(float)  # (A, n, K), False where unknown
    shape = (len(stacked), len(parts), y.shape[1])

    def accuracy(rows: NDArray[np.int_]) -> Floats:
        inside = member[:, rows].astype(float)  # (P, n)
        total = inside @ known[rows]  # (P, K)
        with np.errstate(invalid="ignore"):
            return ((inside @ right[:, rows]) / np.where(total > 0, total, np.nan)).ravel()

    everyone = np.arange(len(y))
    drawn = bootstrap_replicates(accuracy, everyone, units=units, n_boot=n_boot, seed=seed)
    return _audit(
        "accuracy", calls, runs, parts, member, accuracy(everyone).reshape(shape), drawn.reshape(-1, *shape),
        units=units, unit=unit, level=level, seed=seed,
    )  # fmt: skip


def _arguments(
    labels: ArrayLike, scores: Mapping[Hashable, ArrayLike], groups: Mapping[str, ArrayLike] | None
) -> tuple[Floats, Floats, list[int], tuple[Part, ...], NDArray[np.bool_]]:
    """Labels (n, K), the scores of all runs (A', n, K), runs of each arm, the parts, and who is in them (P, n)."""
    y = np.asarray(labels, dtype=float)
    if y.ndim != 2:
        raise ValueError(f"labels must have shape (n, K), got {y.shape}")
    if not scores:
        raise ValueError("scores must hold at least one arm, got none")
    arrays = []
    for name, given in scores.items():
        array = np.asarray(given, dtype=float)
        array = array[None] if array.ndim == 2 else array
        if array.ndim != 3 or array.shape[1:] != y.shape or len(array) == 0:
            raise ValueError(
                f"scores of {name!r} must be (n, K) or (S, n, K) with (n, K) = {y.shape}, got {array.shape}"
            )
        arrays.append(array)
    parts, member = [ALL], [np.ones(len(y), dtype=bool)]
    for attribute, given in (groups or {}).items():
        values = np.asarray(given, dtype=str)
        if values.shape != (len(y),) or not attribute:
            raise ValueError(f"groups['{attribute}'] must have a name and shape ({len(y)},), got {values.shape}")
        for group in sorted(set(values.tolist()) - {""}):
            parts.append((attribute, group))
            member.append(values == group)
    return y, np.concatenate(arrays), [len(a) for a in arrays], tuple(parts), np.stack(member)


def _audit(
    metric: str,
    scores: Mapping[Hashable, ArrayLike],
    runs: Sequence[int],
    parts: tuple[Part, ...],
    member: NDArray[np.bool_],
    values: Floats,
    replicates: Floats,
    *,
    units: ArrayLike,
    **about: Any,
) -> Audit:
    ends = np.cumsum(runs)
    spans = list(zip(ends - np.array(runs), ends, strict=True))
    ids = np.asarray(units)
    return Audit(
        metric=metric,
        arms=tuple(scores),
        parts=parts,
        values=np.stack([values[a:b].mean(axis=0) for a, b in spans]),
        replicates=np.stack([replicates[:, a:b].mean(axis=1) for a, b in spans], axis=1),
        n=tuple(len(np.unique(ids[rows])) for rows in member),
        **about,
    )
