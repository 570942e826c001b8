"""Training of graders: one loop and one budget for every network and encoding; the last epoch counts.

The loss is the mean squared error of the raw outputs for every encoding, without sigmoid or softmax: an activation for
one of them only would be compared along with it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from .ordinal import decode, encode, target_table
from .ordinal_scores import kappa_values

Loss = Literal["mse", "binary_cross_entropy", "cross_entropy"]
Precision = Literal["float32", "bfloat16"]
Augment = Callable[[Tensor, torch.Generator], Tensor]


@dataclass(frozen=True, eq=False)
class GradedImages:
    """n images with F grades each.

    images: (n, C, H, W) or (n, C, D, H, W) float32, or a sequence that reads image i when it is indexed.
    grades (n, F): whole numbers from 0. units (n,): what is resampled and never split, such as the patient.
    Raises ValueError when they do not fit each other.
    """

    images: Any
    grades: NDArray[np.int64]
    units: NDArray[Any]

    def __post_init__(self) -> None:
        n = len(self.images)
        if self.grades.ndim != 2 or len(self.grades) != n or len(self.units) != n:
            shapes = f"{self.grades.shape} and {np.shape(self.units)}"
            raise ValueError(f"grades must be (n, F) and units (n,) for n = {n} images, got {shapes}")

    def __len__(self) -> int:
        return len(self.images)

    def subset(self, index: ArrayLike) -> GradedImages:
        """The images at these positions."""
        chosen = np.asarray(index, dtype=int)
        return GradedImages(self.batch(chosen), self.grades[chosen], np.asarray(self.units)[chosen])

    def batch(self, index: NDArray[np.int_]) -> NDArray[np.float32]:
        """Some images as one array (B, C, ...)."""
        if isinstance(self.images, np.ndarray):
            return self.images[index]
        return np.stack([np.asarray(self.images[i], dtype=np.float32) for i in index.tolist()])


@dataclass(frozen=True, eq=False)
class OrdinalFit:
    """A trained grader; losses: mean training loss of each epoch."""

    model: nn.Module = field(repr=False)
    encoding: str
    n_grades: int
    loss: Loss
    lr: float
    losses: tuple[float, ...] = field(repr=False)
    seconds: float

    def outputs(self, data: GradedImages, *, batch_size: int = 256, device: str = "cpu") -> NDArray[np.float64]:
        """Output vectors (n, F, L), the activation of the loss applied where it has one."""
        length = target_table(self.encoding, self.n_grades).shape[1]
        raw = raw_outputs(self.model, data, batch_size=batch_size, device=device)
        split = torch.from_numpy(raw.reshape(len(data), -1, length))
        if self.loss == "binary_cross_entropy":
            split = split.sigmoid()
        elif self.loss == "cross_entropy":
            split = split.softmax(dim=-1)
        return split.numpy()

    def grade(
        self, data: GradedImages, class_function: str = "l1_distance", *, batch_size: int = 256, device: str = "cpu"
    ) -> NDArray[np.int64]:
        """Grades (n, F)."""
        outputs = self.outputs(data, batch_size=batch_size, device=device)
        return decode(outputs, self.encoding, class_function, self.n_grades)


def ordinal_loss(outputs: Tensor, targets: Tensor, loss: Loss = "mse") -> Tensor:
    """Loss of raw outputs (B, F, L) against target vectors of that shape, mean over everything.

    mse: of the outputs as they are. binary_cross_entropy: of each output's sigmoid; the targets must lie in 0 to 1.
    cross_entropy: of the softmax over L, mean over images and findings; the targets must sum to 1, as one-hot does.
    Raises ValueError for targets that a loss cannot take.
    """
    if loss == "mse":
        return F.mse_loss(outputs, targets)
    if loss == "binary_cross_entropy":
        if bool(((targets < 0) | (targets > 1)).any()):
            raise ValueError("targets must lie in 0 to 1 for loss 'binary_cross_entropy'")
        return F.binary_cross_entropy_with_logits(outputs, targets)
    if loss == "cross_entropy":
        if not torch.allclose(targets.sum(dim=-1), targets.new_ones(())):
            raise ValueError("targets must sum to 1 for loss 'cross_entropy': use it with one_hot")
        return F.cross_entropy(outputs.flatten(0, 1), targets.flatten(0, 1))
    raise ValueError(f"loss must be one of {', '.join(get_args(Loss))}, got {loss!r}")


@torch.no_grad()
def raw_outputs(
    model: nn.Module, data: GradedImages, *, batch_size: int = 256, device: str = "cpu"
) -> NDArray[np.float64]:
    """Raw outputs (n, F * L), dropout and batch statistics off."""
    model.eval()
    parts = []
    for start in range(0, len(data), batch_size):
        index = np.arange(start, min(start + batch_size, len(data)))
        parts.append(model(_to_device(data.batch(index), device)).double().cpu())
    return torch.cat(parts).numpy()


def train_ordinal(
    build: Callable[[int], nn.Module],
    train: GradedImages,
    encoding: str,
    *,
    n_grades: int = 5,
    loss: Loss = "mse",
    lr: float,
    epochs: int,
    batch_size: int = 64,
    weight_decay: float = 0.01,
    augment: Augment | None = None,
    precision: Precision = "float32",
    device: str = "cpu",
    seed: int,
) -> OrdinalFit:
    """Train with AdamW and cosine annealing, by epoch, from `lr` to 0, and keep the last epoch, as the authors do.

    build: makes a model with so many outputs, F * L; it is called with the random state set, so that equal seeds give
    equal models and see the images in the same order whatever the encoding. augment: changes a batch (B, C, ...) with
    a generator on the device. bfloat16: the forward pass in mixed precision; weights stay in float32.
    With one thread of a CPU two runs agree to the last bit; on a GPU the deterministic kernels of cuDNN are asked for.
    The global random state is left as it was.
    Raises ValueError when epochs < 1, for unknown names, and for grades outside 0 to n_grades - 1.
    """
    if epochs < 1:
        raise ValueError(f"epochs must be >= 1, got {epochs}")
    if precision not in get_args(Precision):
        raise ValueError(f"precision must be one of {', '.join(get_args(Precision))}, got {precision!r}")
    started = time.perf_counter()
    targets = torch.from_numpy(encode(train.grades, encoding, n_grades)).float()  # (n, F, L)
    rng = np.random.default_rng(seed)
    generator = torch.Generator(device).manual_seed(seed)
    devices = [torch.device(device)] if device != "cpu" else []
    losses = []
    # oneDNN's weight gradient of a small convolution corrupts memory with two threads (torch 2.13.0): it is left out.
    exact = torch.backends.cudnn.flags(deterministic=True, benchmark=False)
    with torch.random.fork_rng(devices=devices), exact, torch.backends.mkldnn.flags(enabled=False):
        torch.manual_seed(seed)
        model = build(targets[0].numel()).to(device)
        model.train()
        optimiser = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=weight_decay, fused=True)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, T_max=epochs)
        for _ in range(epochs):
            seen = []
            for index in _batches(rng.permutation(len(train)), batch_size):
                images = _to_device(train.batch(index), device)
                images = augment(images, generator) if augment else images
                with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=precision == "bfloat16"):
                    outputs = model(images)
                wanted = targets[index].to(device)
                value = ordinal_loss(outputs.float().view_as(wanted), wanted, loss)
                optimiser.zero_grad(set_to_none=True)
                value.backward()
                optimiser.step()
                seen.append(value.detach())
            schedule.step()
            losses.append(float(torch.stack(seen).mean()))
    model.eval()
    return OrdinalFit(model, encoding, n_grades, loss, lr, tuple(losses), time.perf_counter() - started)


@dataclass(frozen=True, eq=False)
class RateChoice:
    """The learning rate that is best on validation data.

    scores: of each rate, the mean kappa over findings and the three weightings by L1 distance, the one classification
    function that undoes every encoding; no weighting is favoured by the choice. fits: the training of each rate.
    """

    lr: float
    scores: dict[float, float]
    fits: dict[float, OrdinalFit] = field(repr=False)

    @property
    def fit(self) -> OrdinalFit:
        return self.fits[self.lr]


def choose_rate(
    build: Callable[[int], nn.Module],
    train: GradedImages,
    val: GradedImages,
    encoding: str,
    *,
    rates: Sequence[float],
    n_grades: int = 5,
    device: str = "cpu",
    seed: int,
    **options: Any,
) -> RateChoice:
    """Train once with each rate and choose on `val`; give every encoding and network the same rates.

    options: as in `train_ordinal`. Equal scores: the smaller rate. A rate whose training ends in outputs that are not
    finite, or in one grade only (kappa undefined or 0), can only be chosen when no other does better.
    Raises ValueError when rates are none or repeated.
    """
    if not rates or len(set(rates)) != len(rates):
        raise ValueError(f"rates must be distinct and at least one, got {list(rates)}")
    fits, scores = {}, {}
    for lr in sorted(rates):
        fits[lr] = train_ordinal(build, train, encoding, n_grades=n_grades, lr=lr, device=device, seed=seed, **options)
        scores[lr] = _validation_score(fits[lr], val, device)
    return RateChoice(max(scores, key=lambda lr: scores[lr]), scores, fits)


def _validation_score(fit: OrdinalFit, val: GradedImages, device: str) -> float:
    outputs = fit.outputs(val, device=device)
    if not np.isfinite(outputs).all():
        return -1.0
    graded = decode(outputs, fit.encoding, "l1_distance", fit.n_grades)
    return float(np.nan_to_num(kappa_values(val.grades, graded, n_grades=fit.n_grades)).mean())


def _batches(order: NDArray[np.int_], batch_size: int) -> list[NDArray[np.int_]]:
    """Consecutive pieces; a single leftover joins the piece before it, for a batch norm cannot learn from one case."""
    pieces = [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
    if len(pieces) > 1 and len(pieces[-1]) == 1:
        pieces[-2:] = [np.concatenate(pieces[-2:])]
    return pieces


def _to_device(images: NDArray[np.float32], device: str) -> Tensor:
    moved = torch.from_numpy(np.ascontiguousarray(images, dtype=np.float32)).to(device)
    # Channels last: a quarter faster in small convolutions on a CPU, and what tensor cores want.
    return moved.to(memory_format=torch.channels_last) if moved.ndim == 4 else moved
