"""Training with differential privacy (DP-SGD, Abadi et al. 2016) over Opacus.

One update: every example is in the batch with probability q, independently (Poisson sampling, so batches differ in
size and may be empty); the gradient of each example is cut to norm C; their sum gets Gaussian noise of standard
deviation sigma C in every coordinate and is divided by the expected batch, q n. sigma is found such that all updates
together spend epsilon at delta. epsilon protects one example; see `group_privacy` for a patient with several.
What is tuned on the private data (learning rate, class weights, when to stop) is not accounted.
"""

from __future__ import annotations

import copy
import math
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from operator import index
from typing import Any

import numpy as np
import pandas as pd
import torch
from opacus import GradSampleModule
from opacus.optimizers import DPOptimizer
from opacus.utils.batch_memory_manager import BatchSplittingSampler
from opacus.utils.uniform_sampler import UniformWithReplacementSampler
from opacus.validators import ModuleValidator
from torch import Tensor, nn

from ..stats.privacy import PrivacyLoss
from .examples import Examples, load_batches
from .multilabel import example_loss
from .privacy_budget import Accountant, find_noise, spent_after
from .secure_noise import SystemPoissonSampler, gaussian_like

SEEDED = "seeded run: whoever knows the seed can take the noise off, so this model carries no guarantee"
SECURE = "noise and sampling from the operating system; nothing of the training was recorded"
_TRACE = ("batch", "loss", "clipped", "norm", "signal")


@dataclass(frozen=True, eq=False)
class PrivateFit:
    """A privately trained model and what it spent.

    epsilon, delta: what was asked for; spent: by two accountants. noise_multiplier: sigma, 0 when epsilon is inf.
    steps: updates at sample_rate. expected_batch: q n. n_weights: trained numbers. most_per_unit: examples of the
    unit that has most, for `group_privacy`. checkpoints: step to weights, where asked for.
    trace: one row an update (batch: examples in it; loss: mean over them; clipped: share above C; norm: median of the
    gradient before clipping; signal: norm of the clipped sum over that of the noise, sigma C sqrt(n_weights)). It is
    made of private data without noise and must not be released; empty after secure training.
    note: whether the model carries a guarantee.
    """

    model: nn.Module = field(repr=False)
    epsilon: float
    delta: float
    spent: PrivacyLoss
    accountant: Accountant
    noise_multiplier: float
    clip: float
    sample_rate: float
    expected_batch: float
    steps: int
    n_weights: int
    most_per_unit: int
    secure: bool
    seconds: float
    note: str
    checkpoints: dict[int, dict[str, Tensor]] = field(default_factory=dict, repr=False)
    trace: pd.DataFrame = field(default_factory=pd.DataFrame, repr=False)

    @property
    def guarantee(self) -> bool:
        """Whether epsilon holds for the released weights: noise was added, and it was not seeded."""
        return self.secure and self.noise_multiplier > 0


def train_private(
    model: nn.Module,
    data: Examples,
    *,
    epsilon: float,
    delta: float,
    clip: float,
    sample_rate: float,
    epochs: float | None = None,
    steps: int | None = None,
    lr: float,
    optimiser: Callable[..., torch.optim.Optimizer] = torch.optim.NAdam,
    weight_decay: float = 0.0,
    pos_weight: Tensor | None = None,
    accountant: Accountant = "rdp",
    sampling: str = "poisson",
    physical_batch: int = 256,
    keep_at: Sequence[int] = (),
    workers: int = 0,
    device: str = "cpu",
    seed: int | None = None,
    secure: bool = False,
) -> PrivateFit:
    """Train a copy of `model` with DP-SGD; all its weights that require a gradient are private.

    epsilon: inf adds no noise and keeps sampling and clipping, so that only the noise differs between arms.
    delta < 1 / n. clip: C > 0. sample_rate: q in (0, 1]. epochs (of 1 / q updates) or steps: exactly one of them.
    lr, optimiser, weight_decay: optimiser(weights, lr=, weight_decay=). pos_weight: see `class_weights`.
    physical_batch: larger batches are worked off in pieces of at most this many examples, in one update.
    keep_at: steps after which the weights are kept; what they spent is `spent_after(sigma, q, step, delta)`.
    workers: processes that read lazy inputs. seed: required, except with secure=True, which takes noise and sampling
    from the operating system, records nothing of the training, and refuses a seed.
    The global random state is left as it was. Raises ValueError for a setting under which epsilon would be wrong,
    among them a model with batch norm and batches that are not Poisson samples.
    """
    started = time.perf_counter()
    n_steps = _check(model, data, delta, clip, sample_rate, epochs, steps, sampling, physical_batch, seed, secure)
    sigma = find_noise(float(epsilon), float(delta), float(sample_rate), n_steps, accountant)
    draws = np.random.SeedSequence(seed).generate_state(3) if seed is not None else np.zeros(3)
    # One generator each, so that arms with and without noise see the same batches.
    batches_rng = torch.Generator().manual_seed(int(draws[0]))
    noise_rng = torch.Generator(device).manual_seed(int(draws[1]))
    devices = [torch.device(device)] if device != "cpu" else []
    trained = copy.deepcopy(model).to(device).train()
    module = GradSampleModule(trained, loss_reduction="sum")
    weights = [p for p in trained.parameters() if p.requires_grad]
    private = _PrivateOptimiser(
        optimiser(weights, lr=lr, weight_decay=weight_decay),
        noise_multiplier=sigma,
        max_grad_norm=float(clip),
        expected_batch_size=sample_rate * len(data),
        generator=noise_rng,
        secure=secure,
    )
    class_weight = None if pos_weight is None else pos_weight.to(device)
    n = len(data)
    sampler: Any = (
        SystemPoissonSampler(n, sample_rate, n_steps)
        if secure
        else UniformWithReplacementSampler(num_samples=n, sample_rate=sample_rate, generator=batches_rng, steps=n_steps)
    )
    pieces = BatchSplittingSampler(sampler=sampler, max_batch_size=physical_batch, optimizer=private)
    trace: list[tuple[float, ...]] = []
    checkpoints: dict[int, dict[str, Tensor]] = {}
    with torch.random.fork_rng(devices=devices), warnings.catch_warnings():
        # Opacus' hooks see the first layer, whose inputs need no gradient; PyTorch warns of that.
        warnings.filterwarnings("ignore", message="Full backward hook is firing")
        if seed is not None:
            torch.manual_seed(int(draws[2]))  # for dropout
        done, losses = 0, []
        for inputs, labels in load_batches(data, pieces, workers):
            private.zero_grad()
            if len(labels):
                loss = example_loss(module(inputs.to(device)), labels.to(device), class_weight)
                loss.sum().backward()
                losses.append(loss.detach())
            else:
                for weight in weights:  # an empty batch still gets its noise: the accountant counts it
                    weight.grad_sample = weight.new_zeros((0, *weight.shape))  # type: ignore[attr-defined]
            private.step()
            if private.in_the_middle:
                continue
            done += 1
            if not secure:
                trace.append(_trace(torch.cat(losses) if losses else torch.zeros(0), private))
            losses = []
            if done in keep_at:
                checkpoints[done] = {k: v.detach().cpu().clone() for k, v in trained.state_dict().items()}
    module.to_standard_module()
    trained.eval()
    if done != n_steps:
        raise RuntimeError(f"{done} updates were made where {n_steps} were accounted")
    return PrivateFit(
        model=trained,
        epsilon=float(epsilon),
        delta=float(delta),
        spent=spent_after(sigma, float(sample_rate), n_steps, float(delta)),
        accountant=accountant,
        noise_multiplier=sigma,
        clip=float(clip),
        sample_rate=float(sample_rate),
        expected_batch=sample_rate * n,
        steps=n_steps,
        n_weights=sum(w.numel() for w in weights),
        most_per_unit=int(np.unique(data.units, return_counts=True)[1].max()),
        secure=secure,
        seconds=time.perf_counter() - started,
        note="no noise: no guarantee" if sigma == 0 else SECURE if secure else SEEDED,
        checkpoints=checkpoints,
        trace=pd.DataFrame(trace, columns=list(_TRACE)),
    )


class _PrivateOptimiser(DPOptimizer):
    """Opacus' optimiser; keeps the gradient norms of an update, and can take its noise from the operating system."""

    def __init__(self, optimizer: torch.optim.Optimizer, *, secure: bool, **options: Any) -> None:
        super().__init__(optimizer, **options)
        self.from_system = secure
        self.norms: list[Tensor] = []
        self.clipped_sum = 0.0

    @property
    def in_the_middle(self) -> bool:
        """Whether further pieces of the same batch follow."""
        return self._is_last_step_skipped

    def clip_and_accumulate(self) -> None:
        if not self.from_system:
            parts = [g.detach().flatten(1).norm(dim=1) for g in self.grad_samples if len(g)]
            self.norms += [torch.stack(parts).norm(dim=0)] if parts else []
        super().clip_and_accumulate()

    def add_noise(self) -> None:
        if not self.from_system:
            self.clipped_sum = float(torch.stack([p.summed_grad.norm() for p in self.params]).norm())
            super().add_noise()
            return
        for p in self.params:
            noise = gaussian_like(p.summed_grad, self.noise_multiplier * self.max_grad_norm)
            p.grad = (p.summed_grad + noise).view_as(p)


def _trace(losses: Tensor, optimiser: _PrivateOptimiser) -> tuple[float, ...]:
    """One row of the trace; empties the optimiser's list of norms."""
    norms = torch.cat(optimiser.norms) if optimiser.norms else torch.zeros(0)
    optimiser.norms = []
    n_weights = sum(p.numel() for p in optimiser.params)
    noise = optimiser.noise_multiplier * optimiser.max_grad_norm * math.sqrt(n_weights)
    signal = optimiser.clipped_sum / noise if noise else math.inf
    if not len(norms):
        return 0, math.nan, math.nan, math.nan, signal
    clipped = float((norms > optimiser.max_grad_norm).float().mean())
    return len(norms), float(losses.mean()), clipped, float(norms.median()), signal


def _check(
    model: nn.Module,
    data: Examples,
    delta: float,
    clip: float,
    sample_rate: float,
    epochs: float | None,
    steps: int | None,
    sampling: str,
    physical_batch: int,
    seed: int | None,
    secure: bool,
) -> int:
    """Number of updates, after every argument has been looked at."""
    n = len(data)
    if sampling != "poisson":
        raise ValueError(f"sampling must be 'poisson', got {sampling!r}: for other batches epsilon is not what it says")
    if not 0 < delta < 1 / n:
        raise ValueError(f"delta must be above 0 and below 1 / n = {1 / n:.2g}, got {delta!r}")
    if not 0 < clip < math.inf:
        raise ValueError(f"clip must be a finite number > 0, got {clip!r}")
    if not 0 < sample_rate <= 1:
        raise ValueError(f"sample_rate must be in (0, 1], got {sample_rate!r}")
    if (epochs is None) == (steps is None):
        raise ValueError(f"exactly one of epochs and steps must be given, got epochs {epochs} and steps {steps}")
    n_steps = round(epochs / sample_rate) if epochs is not None else index(steps or 0)
    if n_steps < 1:
        raise ValueError(f"epochs or steps must make at least one update, got {steps if epochs is None else epochs}")
    if physical_batch < 1:
        raise ValueError(f"physical_batch must be >= 1, got {physical_batch}")
    if secure and seed is not None:
        raise ValueError(f"secure=True must not have a seed, got {seed}: seeded noise can be taken off again")
    if not secure and seed is None:
        raise ValueError("seed must be given, or secure=True for a model that is to be released")
    trained = copy.deepcopy(model).train()  # a model in evaluation mode would pass with its batch norm
    errors = ModuleValidator.validate(trained, strict=False)
    if errors:
        first = str(errors[0]).split(".")[0].splitlines()[0]
        raise ValueError(f"model has {len(errors)} layers that cannot be trained privately, such as: {first}")
    if not any(p.requires_grad for p in model.parameters()):
        raise ValueError("model must have weights that require a gradient, got none")
    return n_steps
