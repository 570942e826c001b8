"""AUCs of several labels and their mean, with one covariance over all models and labels."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ._inputs import FloatArray, binary_labels, check_level, join_notes, make_clusters, real_array
from .results import Comparison, Estimate
from .roc import CONSTANT, PERFECT, check_index, components, wald, z_comparison


def multilabel_auroc(
    y_true: ArrayLike, scores: ArrayLike, *, units: ArrayLike | None = None, level: float = 0.95
) -> MultilabelAUROC:
    """AUC of every label and their unweighted mean (macro), with one covariance over all models and labels.

    y_true (n, L): 0, 1, or nan where a label is unknown (that case is left out for that label only).
    scores (n, L) for one model or (K, n, L). units (n,): clusters.
    Labels share cases, so their AUCs are correlated: the covariance is built from the same placement sums as
    `delong`; its diagonal is DeLong's (or Obuchowski's) variance, and between labels the small-sample factors of both
    labels are combined such that the matrix stays positive semidefinite.
    A label without both classes is nan, and so is the macro mean: leave that label out to get one.
    Raises ValueError on other labels, nan scores and shapes that do not match.
    """
    level = check_level(level)
    truth = real_array("y_true", y_true, ndim=(2,), allow_nan=True)
    n, n_labels = truth.shape
    stacked = real_array("scores", scores, ndim=(2, 3))
    stacked = stacked[None] if stacked.ndim == 2 else stacked
    if n == 0 or n_labels == 0 or stacked.shape[1:] != truth.shape:
        raise ValueError(f"scores must have shape (n, L) or (K, n, L) with (n, L) = {truth.shape}, got {stacked.shape}")
    clusters = make_clusters(n, units)
    models = stacked.shape[0]
    aucs = np.empty((models, n_labels))
    roots = np.empty((models, n_labels, 3 * clusters.count))
    notes: list[str] = []
    for label in range(n_labels):
        known = ~np.isnan(truth[:, label]) if truth.dtype.kind == "f" else np.ones(n, dtype=bool)
        if not known.any():
            aucs[:, label], roots[:, label], note = math.nan, math.nan, "no case with a known label"
        else:
            positive = binary_labels(f"y_true[:, {label}]", truth[known, label])
            aucs[:, label], roots[:, label], note = components(
                positive, stacked[:, known, label], clusters, known=known, split=True
            )
        notes.append(join_notes(note, f"{int((~known).sum())} cases with unknown label left out" * (not known.all())))
    flat = roots.reshape(models * n_labels, -1)
    return MultilabelAUROC(
        aucs=aucs,
        macro=aucs.mean(axis=1),
        covariance=flat @ flat.T,
        level=level,
        n=clusters.count,
        unit=clusters.unit,
        n_pos=tuple(int((truth[:, label] == 1).sum()) for label in range(n_labels)),
        n_neg=tuple(int((truth[:, label] == 0).sum()) for label in range(n_labels)),
        method="DeLong" if units is None else "DeLong, clustered (Obuchowski 1997)",
        notes=tuple(notes),
        roots=roots,
    )


@dataclass(frozen=True, eq=False)
class MultilabelAUROC:
    """AUCs of K models for L labels on the same cases.

    aucs (K, L); macro (K,): means over labels; covariance (K * L, K * L) in the order of aucs.ravel().
    n_pos, n_neg, notes: one entry a label. roots (K, L, m): covariance = roots @ roots.T over flattened models
    and labels.
    """

    aucs: FloatArray
    macro: FloatArray
    covariance: FloatArray
    level: float
    n: int
    unit: str
    n_pos: tuple[int, ...]
    n_neg: tuple[int, ...]
    method: str
    notes: tuple[str, ...]
    roots: FloatArray = field(repr=False)

    def estimate(self, i: int = 0, label: int | None = None) -> Estimate:
        """AUC of model i for one label, or its macro mean when no label is named."""
        i = check_index("i", i, len(self.aucs))
        value, root, about = self._part(i, label)
        variance = float(root @ root)
        if variance == 0:
            about["note"] = join_notes(about["note"], PERFECT if value in (0.0, 1.0) else CONSTANT)
        return wald(value, variance, about, bounds=(0.0, 1.0))

    def compare(self, i: int, j: int, label: int | None = None) -> Comparison:
        """Paired difference of models i and j (i minus j) for one label, or of their macro means."""
        i, j = check_index("i", i, len(self.aucs)), check_index("j", j, len(self.aucs))
        value_i, root_i, about = self._part(i, label)
        value_j, root_j, _ = self._part(j, label)
        root = root_i - root_j
        return z_comparison(value_i - value_j, float(root @ root), about)

    def _part(self, i: int, label: int | None) -> tuple[float, FloatArray, dict[str, Any]]:
        about: dict[str, Any] = {"level": self.level, "n": self.n, "unit": self.unit}
        if label is None:
            named = (f"label {k}: {note}" for k, note in enumerate(self.notes) if note)
            about |= {"method": f"macro mean over {len(self.notes)} labels, {self.method}", "note": join_notes(*named)}
            return float(self.macro[i]), self.roots[i].mean(axis=0), about
        label = check_index("label", label, len(self.notes))
        about |= {"method": self.method, "note": self.notes[label]}
        about |= {"n_pos": self.n_pos[label], "n_neg": self.n_neg[label]}
        return float(self.aucs[i, label]), self.roots[i, label], about
