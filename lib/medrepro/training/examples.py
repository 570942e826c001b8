"""Examples to train on: inputs, labels with gaps, the unit that is resampled, and the subgroups that are compared."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor
from torch.utils.data import DataLoader


@dataclass(frozen=True, eq=False)
class Examples:
    """n examples.

    inputs: tensor (n, ...), or a sequence that reads example i (...) when indexed, such as files on disk.
    labels (n, K) float32: 0, 1, or nan where unknown. units (n,): what is resampled, such as the patient.
    groups: attribute ("sex", "age") to the subgroup of each example (n,), as text, "" where it is not known.
    Raises ValueError when the parts do not fit each other or a label is something else.
    """

    inputs: Tensor | Sequence[Any]
    labels: NDArray[np.float32]
    units: NDArray[Any]
    groups: Mapping[str, NDArray[np.str_]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        n = len(self.inputs)
        object.__setattr__(self, "labels", np.asarray(self.labels, dtype=np.float32))
        object.__setattr__(self, "units", np.asarray(self.units))
        object.__setattr__(self, "groups", {k: np.asarray(v, dtype=str) for k, v in self.groups.items()})
        if n == 0 or self.labels.ndim != 2 or len(self.labels) != n or self.units.shape != (n,):
            raise ValueError(
                f"labels must be (n, K) and units (n,) for n = {n} >= 1 inputs, "
                f"got {self.labels.shape} and {self.units.shape}"
            )
        if not (np.isnan(self.labels) | np.isin(self.labels, (0, 1))).all():
            raise ValueError("labels must be 0, 1, or nan where unknown")
        for name, values in self.groups.items():
            if values.shape != (n,):
                raise ValueError(f"groups['{name}'] must have shape ({n},), got {values.shape}")

    def __len__(self) -> int:
        return len(self.labels)

    def subset(self, rows: ArrayLike) -> Examples:
        """The examples at these positions, or of a mask (n,)."""
        chosen = np.asarray(rows)
        chosen = np.flatnonzero(chosen) if chosen.dtype == bool else chosen.astype(int)
        inputs = self.inputs[torch.from_numpy(chosen)] if isinstance(self.inputs, Tensor) else Some(self.inputs, chosen)
        groups = {name: values[chosen] for name, values in self.groups.items()}
        return Examples(inputs, self.labels[chosen], self.units[chosen], groups)

    def relabelled(self, labels: ArrayLike) -> Examples:
        """The same examples under other labels (n, K)."""
        return Examples(self.inputs, np.asarray(labels, dtype=np.float32), self.units, self.groups)

    # One call a batch: PyTorch's loader prefers this to a call an example.
    def __getitems__(self, rows: Sequence[int]) -> tuple[Tensor, Tensor]:
        """inputs (B, ...) and labels (B, K) of some rows, which may be none."""
        labels = torch.from_numpy(self.labels[np.asarray(rows, dtype=int)])
        if isinstance(self.inputs, Tensor):
            return self.inputs[torch.as_tensor(rows, dtype=torch.long)], labels
        read = [torch.as_tensor(self.inputs[row]) for row in rows]
        return torch.stack(read) if read else torch.as_tensor(self.inputs[0]).new_empty((0,)), labels


class Some(Sequence[Any]):
    """Some entries of a sequence, in a new order; nothing is read before it is asked for."""

    def __init__(self, entries: Sequence[Any], rows: NDArray[np.int_]) -> None:
        self.entries, self.rows = entries, rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, position: Any) -> Any:
        return self.entries[self.rows[position]]


def age_bands(age: ArrayLike, edges: Sequence[float]) -> NDArray[np.str_]:
    """Name of the band of each age in years, "00-29" for edges (0, 30, ...); "" for missing ages and those outside.

    A band holds its lower edge and not its upper one; the last edge may be inf ("45+"). Names sort by age.
    Raises ValueError unless the edges rise.
    """
    years = np.asarray(age, dtype=float)
    bounds = np.asarray(edges, dtype=float)
    if bounds.ndim != 1 or len(bounds) < 2 or not (np.diff(bounds) > 0).all():
        raise ValueError(f"edges must be at least two rising numbers, got {list(edges)}")
    width = max((len(f"{edge - 1:.0f}") for edge in bounds[1:] if math.isfinite(edge)), default=1)
    upper = ["+" if math.isinf(b) else f"-{b - 1:0{width}.0f}" for b in bounds[1:]]
    names = [f"{a:0{width}.0f}{b}" for a, b in zip(bounds, upper, strict=False)]
    place = np.digitize(np.nan_to_num(years, nan=-np.inf), bounds) - 1
    return np.array(["", *names, ""])[np.clip(place, -1, len(names)) + 1]


def load_batches(data: Examples, batches: Iterable[list[int]], workers: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches of row numbers as tensors, inputs (B, ...) and labels (B, K); `workers` processes read lazy inputs."""
    loader: Any = DataLoader(data, batch_sampler=batches, collate_fn=_as_it_is, num_workers=workers)  # type: ignore
    return iter(loader)


def _as_it_is(batch: Any) -> Any:
    return batch
