"""Multi-label classifiers trained as usual: loss with gaps, class weights, training without privacy, prediction."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from .examples import Examples, load_batches


@dataclass(frozen=True, eq=False)
class OrdinaryFit:
    """A model trained on shuffled batches, without clipping and noise. losses: mean over each epoch."""

    model: nn.Module = field(repr=False)
    steps: int
    losses: tuple[float, ...] = field(repr=False)
    seconds: float


def seeded_model(build: Callable[[], nn.Module], seed: int) -> nn.Module:
    """A new model whose first weights come from `seed`; the global random state is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build()


def class_weights(labels: ArrayLike) -> Tensor:
    """Weight of the positives of each label, negatives over positives: (K,); nan labels are left out.

    The paper's pos_weight. It counts the training labels without noise, a leak that epsilon does not cover.
    Raises ValueError when a label has no positive or no negative case.
    """
    y = np.asarray(labels, dtype=float)
    positive, negative = (y == 1).sum(axis=0), (y == 0).sum(axis=0)
    if (positive == 0).any() or (negative == 0).any():
        raise ValueError(f"labels must have both classes in every column, got {positive} positives, {negative} others")
    return torch.tensor(negative / positive, dtype=torch.float32)


def example_loss(logits: Tensor, labels: Tensor, pos_weight: Tensor | None = None) -> Tensor:
    """Binary cross-entropy of each example, mean over its K labels: (B,).

    logits, labels (B, K); an unknown label (nan) counts as a loss of 0, so that a label weighs the same in all
    examples. pos_weight (K,): weight of the positives.
    """
    known = ~labels.isnan()
    target = torch.where(known, labels, 0.0)
    loss = F.binary_cross_entropy_with_logits(logits, target, pos_weight=pos_weight, reduction="none")
    return (loss * known).mean(dim=1)


def train_ordinary(
    model: nn.Module,
    data: Examples,
    *,
    epochs: int,
    batch_size: int,
    lr: float,
    optimiser: Callable[..., torch.optim.Optimizer] = torch.optim.NAdam,
    weight_decay: float = 0.0,
    pos_weight: Tensor | None = None,
    workers: int = 0,
    device: str = "cpu",
    seed: int,
) -> OrdinaryFit:
    """Train a copy of `model` as usual: shuffled batches of one size, no clipping, no noise, the same loss.

    Arguments as in `train_private`. Raises ValueError when epochs or batch_size is below 1.
    """
    if epochs < 1 or batch_size < 1:
        raise ValueError(f"epochs and batch_size must be >= 1, got {epochs} and {batch_size}")
    started = time.perf_counter()
    rng = np.random.default_rng(seed)
    trained = copy.deepcopy(model).to(device).train()
    weights = [p for p in trained.parameters() if p.requires_grad]
    stepping = optimiser(weights, lr=lr, weight_decay=weight_decay)
    class_weight = None if pos_weight is None else pos_weight.to(device)
    means, done = [], 0
    with torch.random.fork_rng(devices=[torch.device(device)] if device != "cpu" else []):
        torch.manual_seed(seed)
        for _ in range(epochs):
            order = np.array_split(rng.permutation(len(data)), math.ceil(len(data) / batch_size))
            losses = []
            for inputs, labels in load_batches(data, [rows.tolist() for rows in order], workers):
                loss = example_loss(trained(inputs.to(device)), labels.to(device), class_weight)
                stepping.zero_grad(set_to_none=True)
                loss.mean().backward()
                stepping.step()
                losses.append(loss.detach())
                done += 1
            means.append(float(torch.cat(losses).mean()))
    trained.eval()
    return OrdinaryFit(trained, done, tuple(means), time.perf_counter() - started)


@torch.no_grad()
def predict_logits(
    model: nn.Module, data: Examples, *, batch_size: int = 256, workers: int = 0, device: str = "cpu"
) -> NDArray[np.float64]:
    """Logits (n, K) of every example, dropout off."""
    model.to(device).eval()
    rows = np.array_split(np.arange(len(data)), math.ceil(len(data) / batch_size))
    found = [model(x.to(device)).double().cpu() for x, _ in load_batches(data, [r.tolist() for r in rows], workers)]
    return torch.cat(found).numpy()
