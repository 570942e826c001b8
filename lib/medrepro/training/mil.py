"""Training of bag classifiers: one loop, one budget and one rule of choice for every arm."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from ..models.ccan import CCAN, look_back_map, rollout_map
from ..stats import multilabel_auroc
from .bags import Bags, batches


@dataclass(frozen=True, eq=False)
class Fit:
    """A trained model at its best epoch on validation data.

    val_auc: macro AUC there; epoch: counted from 1; losses: mean training loss an epoch.
    """

    model: nn.Module = field(repr=False)
    val_auc: float
    epoch: int
    losses: tuple[float, ...] = field(repr=False)
    seconds: float


def deep_supervision_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Sum over stages of the binary cross-entropy: logits (B, S, K), labels (B, K) 0 or 1."""
    target = labels.unsqueeze(1).expand_as(logits)
    return F.binary_cross_entropy_with_logits(logits, target) * logits.shape[1]


@torch.no_grad()
def stage_logits(model: nn.Module, bags: Bags, *, batch_size: int = 64, device: str = "cpu") -> NDArray[np.float64]:
    """Logits (n, S, K) of every bag, dropout off."""
    model.eval()
    found = [model(features, mask).double().cpu() for features, mask, _ in batches(bags, batch_size, device=device)]
    return torch.cat(found).numpy()


def predict(model: nn.Module, bags: Bags, *, batch_size: int = 64, device: str = "cpu") -> NDArray[np.float64]:
    """Probabilities (n, K): the sigmoid of the mean of the stage logits."""
    return 1.0 / (1.0 + np.exp(-stage_logits(model, bags, batch_size=batch_size, device=device).mean(axis=1)))


def attention_maps(
    model: CCAN,
    bags: Bags,
    kind: Literal["look_back", "rollout"] = "look_back",
    *,
    batch_size: int = 64,
    device: str = "cpu",
) -> list[NDArray[np.float64]]:
    """Heat map (N_i,) of every bag: the authors' map of all stages, or rollout of the last CLS through the cascade."""
    draw = {"look_back": look_back_map, "rollout": rollout_map}[kind]
    maps: list[NDArray[np.float64]] = []
    for features, mask, _ in batches(bags, batch_size, device=device):
        drawn = draw(model.record_attention(features, mask), mask).double().cpu().numpy()
        maps += [row[kept] for row, kept in zip(drawn, mask.cpu().numpy(), strict=True)]
    return maps


def macro_auc(labels: NDArray[np.floating], scores: NDArray[np.floating]) -> float:
    """Mean over the K outputs of the AUC of each against the rest; nan when a class is absent."""
    return float(multilabel_auroc(labels, scores).macro[0])


def train_mil(
    build: Callable[[], nn.Module],
    train: Bags,
    val: Bags,
    *,
    lr: float,
    epochs: int,
    steps_per_epoch: int | None = None,
    batch_size: int = 30,
    weight_decay: float = 0.01,
    lr_min: float = 1e-7,
    device: str = "cpu",
    seed: int,
) -> Fit:
    """Train with AdamW and cosine annealing from `lr` to `lr_min`; keep the epoch that is best on validation.

    build: makes a new model; it is called with the random state set, so that equal seeds give equal models.
    steps_per_epoch: updates between two looks at the validation data; one pass over `train` when left out. Set it to
    give arms with less data the same number of updates. batch_size is cut to the number of bags.
    Validation AUC decides, validation loss among equals. The global random state is left as it was.
    Raises ValueError when epochs < 1 or a class is absent from `val`.
    """
    if epochs < 1:
        raise ValueError(f"epochs must be >= 1, got {epochs}")
    started = time.perf_counter()
    batch_size = min(batch_size, len(train))
    visits = (steps_per_epoch or math.ceil(len(train) / batch_size)) * batch_size
    rng = np.random.default_rng(seed)
    devices = [torch.device(device)] if device != "cpu" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        model = build().to(device)
        # Fused: one kernel for all weights; with many small ones it takes a fifth off a step.
        optimiser = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=weight_decay, fused=True)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, T_max=epochs, eta_min=lr_min)
        best, best_epoch, best_state = (-math.inf, -math.inf), 0, model.state_dict()
        losses = []
        for epoch in range(1, epochs + 1):
            order = _order(len(train), visits, rng)
            losses.append(_one_epoch(model, optimiser, batches(train, batch_size, order=order, device=device)))
            schedule.step()
            reached = _validate(model, val, device)
            if reached > best:
                best, best_epoch, best_state = reached, epoch, copy.deepcopy(model.state_dict())
    model.load_state_dict(best_state)
    model.eval()
    return Fit(model, best[0], best_epoch, tuple(losses), time.perf_counter() - started)


def _one_epoch(
    model: nn.Module, optimiser: torch.optim.Optimizer, seen: Iterable[tuple[Tensor, Tensor, Tensor]]
) -> float:
    """One update a batch; returns the mean loss."""
    model.train()
    losses = []
    for features, mask, labels in seen:
        loss = deep_supervision_loss(model(features, mask), labels)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        losses.append(loss.detach())
    return float(torch.stack(losses).mean())


def _order(n: int, wanted: int, rng: np.random.Generator) -> NDArray[np.int_]:
    """One pass over n cases in random order, or as many passes as `wanted` visits take."""
    if wanted <= n:
        return rng.permutation(n)[:wanted]
    passes = max(1, round(wanted / n))
    return np.concatenate([rng.permutation(n) for _ in range(passes)])


def _validate(model: nn.Module, val: Bags, device: str) -> tuple[float, float]:
    """Macro AUC and minus the loss on validation data."""
    logits = stage_logits(model, val, device=device).mean(axis=1)
    auc = macro_auc(val.labels, logits)
    if math.isnan(auc):
        raise ValueError("val must hold both classes of every output")
    loss = F.binary_cross_entropy_with_logits(torch.from_numpy(logits), torch.from_numpy(val.labels).double())
    return auc, -float(loss)
