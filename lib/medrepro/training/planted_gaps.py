"""Positive controls of a fairness audit: a group that training must treat worse, and scores that must look worse.

An audit that finds no amplification says something only if it would have found one. `plant_minority` renders a few
images differently: without privacy a network learns both renderings, under noise it loses the rare one. `flip_labels`
and `under_represent` take from what a model can learn of a group that is there. `weaken_group` spoils the scores of a
finished model, and so asks of the audit alone whether its groups are large enough.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from .examples import Examples


def plant_minority(data: Examples, share: float, *, seed: int) -> Examples:
    """The examples with a `share` of the units shown as negatives and mirrored, whatever their label.

    Images (n, C, ..., W) in [0, 1]. groups gains "rendering": "minority" or "majority". Give training a small share
    and the test part a half, which says nothing about training and makes the minority's interval narrow.
    Raises ValueError for a share outside [0, 1] or inputs that are not such a tensor.
    """
    images = data.inputs
    if not isinstance(images, Tensor) or images.ndim < 4 or not 0 <= float(images.min()) <= float(images.max()) <= 1:
        raise ValueError("data must hold images (n, C, ..., W) from 0 to 1 as a tensor")
    units = np.unique(data.units)
    chosen = units[np.random.default_rng(seed).random(len(units)) < _share("share", share)]
    inside = np.isin(data.units, chosen)
    shown = images.clone()
    shown[inside] = 1 - images[inside].flip(-1)
    groups = {**data.groups, "rendering": np.where(inside, "minority", "majority")}
    return Examples(shown, data.labels, data.units, groups)


def flip_labels(data: Examples, attribute: str, group: str, share: float, *, seed: int) -> Examples:
    """The examples with `share` of the known labels of one group turned over, drawn cell by cell.

    Raises ValueError for an unknown attribute or group, or a share outside [0, 1].
    """
    rng = np.random.default_rng(seed)
    hit = _members(data, attribute, group)[:, None] & (rng.random(data.labels.shape) < _share("share", share))
    return data.relabelled(np.where(hit, 1 - data.labels, data.labels))  # nan stays nan


def under_represent(data: Examples, attribute: str, group: str, keep: float, *, seed: int) -> Examples:
    """The examples with only `keep` of one group's units left, at least one; errors as in `flip_labels`."""
    inside = _members(data, attribute, group)
    units = np.unique(data.units[inside])
    kept = np.random.default_rng(seed).permutation(units)[: max(1, round(_share("keep", keep) * len(units)))]
    return data.subset(~inside | np.isin(data.units, kept))


def weaken_group(scores: ArrayLike, members: ArrayLike, share: float, *, seed: int) -> NDArray[np.float64]:
    """Scores (n, K) in which a `share` of the members (n,) bool hand theirs on in a circle, so that none keeps its own.

    On average the AUROC of the group falls from A to (1 - share) A + share / 2, less for small groups.
    """
    weak = np.array(scores, dtype=float)
    rows = np.random.default_rng(seed).permutation(np.flatnonzero(members))
    drawn = rows[: round(_share("share", share) * len(rows))]
    weak[drawn] = weak[np.roll(drawn, 1)]
    return weak


def _members(data: Examples, attribute: str, group: str) -> NDArray[np.bool_]:
    if attribute not in data.groups:
        raise ValueError(f"attribute must be one of {', '.join(data.groups) or '(none)'}, got {attribute!r}")
    inside = data.groups[attribute] == group
    if not inside.any():
        known = sorted(set(data.groups[attribute].tolist()) - {""})
        raise ValueError(f"group must be one of {', '.join(known)}, got {group!r}")
    return inside


def _share(name: str, value: float) -> float:
    if not 0 <= value <= 1:
        raise ValueError(f"{name} must be from 0 to 1, got {value!r}")
    return float(value)
