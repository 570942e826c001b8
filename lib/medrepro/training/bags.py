"""Bags of features with one label each: sorted, padded per batch, masked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence


@dataclass(frozen=True, eq=False)
class Bags:
    """n bags, each (N_i, C) features, with labels (n, K).

    features: a sequence that returns bag i when indexed: a list in memory, or an object that reads it from disk.
    labels (n, K) float32, 0 or 1. units (n,): what is resampled (the slide's patient, the group of reports).
    """

    features: Sequence[Any]
    labels: NDArray[np.float32]
    units: NDArray[Any]

    def __post_init__(self) -> None:
        n = len(self.features)
        if self.labels.ndim != 2 or len(self.labels) != n or len(self.units) != n:
            raise ValueError(
                f"labels must be (n, K) and units (n,) for n = {n} bags, got {self.labels.shape} and {self.units.shape}"
            )

    def __len__(self) -> int:
        return len(self.features)

    def subset(self, index: ArrayLike) -> Bags:
        """The bags at these positions."""
        chosen = np.asarray(index, dtype=int)
        return Bags(_Picked(self.features, chosen), self.labels[chosen], self.units[chosen])

    def relabelled(self, labels: ArrayLike) -> Bags:
        """The same bags under other labels."""
        return Bags(self.features, np.asarray(labels, dtype=np.float32).reshape(len(self), -1), self.units)


class _Picked(Sequence[Any]):
    """Some bags of a sequence, in a new order; nothing is read before it is asked for."""

    def __init__(self, features: Sequence[Any], index: NDArray[np.int_]) -> None:
        self.features, self.positions = features, index

    def __len__(self) -> int:
        return len(self.positions)

    def __getitem__(self, position: Any) -> Any:
        return self.features[self.positions[position]]


def collect_bags(
    features: Sequence[ArrayLike],
    labels: ArrayLike,
    *,
    coords: Sequence[ArrayLike] | None = None,
    units: ArrayLike | None = None,
) -> Bags:
    """Bags from arrays (N_i, C); with coords (N_i, 2) the patches are sorted by row, then column.

    labels (n,) or (n, K). units (n,): each bag its own unit when left out.
    Raises ValueError for an empty bag, bags of different width, or coords of another length.
    """
    sorted_features: list[Tensor] = []
    for i, bag in enumerate(features):
        x = torch.as_tensor(np.asarray(bag, dtype=np.float32))
        if x.ndim != 2 or len(x) == 0:
            raise ValueError(f"bag {i} must be (N, C) with at least one patch, got {tuple(x.shape)}")
        if sorted_features and x.shape[1] != sorted_features[0].shape[1]:
            raise ValueError(f"bag {i} has {x.shape[1]} channels, the first one {sorted_features[0].shape[1]}")
        if coords is not None:
            place = np.asarray(coords[i])
            if place.shape != (len(x), 2):
                raise ValueError(f"coords of bag {i} must be ({len(x)}, 2), got {place.shape}")
            x = x[torch.as_tensor(np.lexsort((place[:, 1], place[:, 0])))]
        sorted_features.append(x)
    y = np.asarray(labels, dtype=np.float32).reshape(len(sorted_features), -1)
    return Bags(sorted_features, y, np.arange(len(y)) if units is None else np.asarray(units))


def pad_bags(bags: Sequence[Any]) -> tuple[Tensor, Tensor]:
    """Bags (N_i, C) to features (B, N, C), zeros behind the last patch, and mask (B, N), True for patches."""
    tensors = [torch.as_tensor(bag, dtype=torch.float32) for bag in bags]
    lengths = torch.tensor([len(bag) for bag in tensors])
    mask = torch.arange(int(lengths.max())) < lengths[:, None]
    return pad_sequence(tensors, batch_first=True), mask


def batches(
    bags: Bags, batch_size: int, *, order: ArrayLike | None = None, device: str = "cpu"
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """features (B, N, C), mask (B, N) and labels (B, K), each batch padded to its own longest bag."""
    index = np.arange(len(bags)) if order is None else np.asarray(order)
    for start in range(0, len(index), batch_size):
        chosen = index[start : start + batch_size]
        features, mask = pad_bags([bags.features[i] for i in chosen])
        yield features.to(device), mask.to(device), torch.from_numpy(bags.labels[chosen]).to(device)


def stratified_fraction(labels: NDArray[Any], fraction: float, seed: int) -> NDArray[np.int_]:
    """Positions of a seeded draw of `fraction` of the cases, the same share of every class, at least one of each.

    labels (n, K): rows that are equal form a class. With one seed a smaller draw is contained in a larger one.
    Raises ValueError unless 0 < fraction <= 1.
    """
    if not 0 < fraction <= 1:
        raise ValueError(f"fraction must be in (0, 1], got {fraction}")
    rng = np.random.default_rng(seed)
    _, classes = np.unique(labels, axis=0, return_inverse=True)
    kept = []
    for value in range(int(classes.max()) + 1):
        members = rng.permutation(np.flatnonzero(classes == value))
        kept.append(members[: max(1, round(fraction * len(members)))])
    return np.sort(np.concatenate(kept))


def permuted_labels(labels: NDArray[Any], seed: int) -> NDArray[Any]:
    """Labels of the same cases in an order that carries nothing: every class is spread evenly over the true classes.

    A plain permutation of few labels agrees with the truth by chance, and a good learner makes much of little; here
    the agreement is that of the class shares, up to rounding.
    """
    rng = np.random.default_rng(seed)
    _, classes = np.unique(labels, axis=0, return_inverse=True)
    by_class = np.argsort(classes + rng.random(len(classes)), kind="stable")
    # Cases of one class lie side by side; handing out the sorted labels in steps spreads each over all classes.
    n = len(classes)
    step = rng.permutation(n) if n < 4 else np.argsort(np.arange(n) * 0.6180339887498949 % 1.0, kind="stable")
    result = np.empty_like(labels)
    result[by_class] = labels[by_class][step]
    return result
