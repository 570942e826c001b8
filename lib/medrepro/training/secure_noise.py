"""Noise and sampling for a model that is released: from the operating system, and nobody can draw them again.

A seeded generator makes a run repeatable, and whoever knows or guesses its seed takes the noise off the gradients.
Generators of numerical libraries can moreover be predicted from their output. Here every bit comes from the operating
system's cryptographic source. A Gaussian in floating point also shows in its last bits which sum it was added to
(Mironov 2012); as Holohan & Braghin 2021 (arXiv 2107.10138, section 5.1) recommend, and as Opacus does it, four draws
are added and halved. That makes the attack hard; a proof would need noise on a grid.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_DRAWS = 4


def uniform(n: int) -> NDArray[np.float64]:
    """n numbers in (0, 1], of 53 random bits each, from the operating system."""
    bits = np.frombuffer(os.urandom(8 * n), dtype=np.uint64) >> np.uint64(11)
    return (bits + np.uint64(1)).astype(np.float64) * 2.0**-53


def gaussian(n: int) -> NDArray[np.float64]:
    """n standard normal numbers: Box & Muller on `uniform`, four draws added and halved.

    A single draw ends at 8.6 standard deviations, where 53 bits do.
    """
    half = (n + 1) // 2
    total = np.zeros(2 * half)
    for _ in range(_DRAWS):
        radius, angle = np.sqrt(-2 * np.log(uniform(half))), 2 * math.pi * uniform(half)
        total += np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])
    return total[:n] / math.sqrt(_DRAWS)


def gaussian_like(reference: Tensor, std: float) -> Tensor:
    """Noise of standard deviation `std` in the shape, type and on the device of a tensor."""
    noise = torch.from_numpy(std * gaussian(reference.numel())).reshape(reference.shape)
    return noise.to(dtype=reference.dtype, device=reference.device)


class SystemPoissonSampler:
    """`steps` batches of row numbers; every one of n rows is in a batch with probability sample_rate."""

    def __init__(self, n: int, sample_rate: float, steps: int) -> None:
        self.n, self.sample_rate, self.steps = n, sample_rate, steps

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[list[int]]:
        for _ in range(self.steps):
            yield np.flatnonzero(uniform(self.n) <= self.sample_rate).tolist()
