"""What a model costs as a bag grows: counted operations, measured seconds, and the slope on logarithmic axes."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


def count_operations(build: Callable[[], nn.Module], n_tokens: int, in_features: int, *, batch_size: int = 1) -> int:
    """Floating-point operations of one training step, forward and backward, counted without computing.

    build: makes the model. The model lives on the meta device, so any size can be counted in no memory. Matrix
    products, attention and convolutions count two operations per multiply-add, as torch.utils.flop_counter does;
    element-wise work (norms, softmax, dropout) is not counted.
    """
    with torch.device("meta"):
        model = build().train()
        features = torch.empty(batch_size, n_tokens, in_features)
    counter = FlopCounterMode(display=False)
    with counter:
        model(features).sum().backward()
    return counter.get_total_flops()


def measure_seconds(
    build: Callable[[], nn.Module],
    n_tokens: Sequence[int],
    in_features: int,
    *,
    repeats: int = 3,
    device: str = "cpu",
    seed: int,
) -> np.ndarray:
    """Median seconds of a training step, forward and backward, on one random bag of each length: (len(n_tokens),)."""
    devices = [torch.device(device)] if device != "cpu" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        model = build().to(device).train()
        medians = []
        for n in n_tokens:
            features = torch.randn(1, n, in_features, device=device)
            seconds = []
            for _ in range(repeats + 1):  # the first is a warm-up
                _wait(device)
                started = time.perf_counter()
                model(features).sum().backward()
                _wait(device)
                seconds.append(time.perf_counter() - started)
            medians.append(statistics.median(seconds[1:]))
    return np.array(medians)


def local_slopes(n_tokens: Sequence[int], cost: Sequence[float]) -> np.ndarray:
    """Slope of log cost against log length between neighbouring lengths: 1 is linear, 2 quadratic."""
    return np.diff(np.log(np.asarray(cost, dtype=float))) / np.diff(np.log(np.asarray(n_tokens, dtype=float)))


def departure_from_line(n_tokens: Sequence[int], cost: Sequence[float]) -> float:
    """Largest relative distance of `cost` from the line through its first and last point; 0 is exactly linear."""
    n, c = np.asarray(n_tokens, dtype=float), np.asarray(cost, dtype=float)
    line = c[0] + (c[-1] - c[0]) * (n - n[0]) / (n[-1] - n[0])
    return float(np.max(np.abs(c - line) / c))


def _wait(device: str) -> None:
    if device != "cpu":
        torch.cuda.synchronize(device)
