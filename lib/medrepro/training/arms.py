"""The aggregators of the whole-slide chapter by name, at one common size."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from ..models.abmil import ABMIL
from ..models.ccan import CCAN
from ..models.full_attention import FullAttentionMIL
from ..models.perceiver import Perceiver
from ..models.pooling import PooledMIL
from ..models.transmil import TransMIL

ARMS = {
    "ccan": "CCAN",
    "abmil": "attention MIL",
    "perceiver": "Perceiver",
    "transmil": "TransMIL",
    "mean": "mean pooling",
    "max": "max pooling",
}
RIVALS = ("abmil", "perceiver", "transmil")  # attention-based, as the claim of parity says
ABLATIONS: dict[str, dict[str, Any]] = {
    "no deep supervision": {"deep_supervision": False},
    "no look-back": {"look_back": False},
    "no token dropout": {"token_dropout": 0.0},
    "single stage": {"n_stages": 1},
}


@dataclass(frozen=True)
class Size:
    """Widths that all arms share; names as in `CCAN`. The published sizes are in the card's `paper` column."""

    latent_dim: int
    n_stages: int
    n_latents: int
    compression: int = 2
    cross_heads: int = 3
    cross_dim_head: int = 64
    latent_heads: int = 4
    latent_dim_head: int = 32
    self_per_cross: int = 2
    token_dropout: float = 0.9


def rates_of(models: Sequence[str], lr: Sequence[float]) -> dict[str, float]:
    """The learning rate of each arm: one for all, or one each in the same order; ValueError for another number."""
    if len(lr) not in (1, len(models)):
        raise ValueError(f"lr must hold one rate, or one for each of models {list(models)}, got {list(lr)}")
    return dict(zip(models, lr if len(lr) > 1 else [*lr] * len(models), strict=True))


def make_arm(name: str, in_features: int, n_outputs: int, size: Size, **changes: Any) -> Callable[[], nn.Module]:
    """A function that builds arm `name`; changes: constructor arguments of `CCAN` to replace (ablations, switches).

    The Perceiver gets CCAN's widths, latents, reads of the patches and token dropout, so that only the cascade is
    missing. Attention MIL, TransMIL and pooling share the width and keep their own published form.
    "full" is the plain transformer of the cost curves. Raises ValueError for an unknown name.
    """
    d, heads = size.latent_dim, {k: getattr(size, k) for k in ("cross_heads", "cross_dim_head", "latent_heads")}
    heads |= {"latent_dim_head": size.latent_dim_head, "self_per_cross": size.self_per_cross}
    io = (in_features, n_outputs)
    wide = max(2, d // 64)  # heads of the transformers that attend at full width
    builders: dict[str, Callable[[], nn.Module]] = {
        "ccan": lambda: CCAN(
            *io,
            **{
                "latent_dim": d,
                "n_stages": size.n_stages,
                "n_latents": size.n_latents,
                "compression": size.compression,
                "token_dropout": size.token_dropout,
                **heads,
                **changes,
            },
        ),
        "perceiver": lambda: Perceiver(
            *io, latent_dim=d, depth=size.n_stages, n_latents=size.n_latents, token_dropout=size.token_dropout, **heads
        ),
        "abmil": lambda: ABMIL(*io, dim=d, attention_dim=max(16, d // 4)),
        "transmil": lambda: TransMIL(*io, dim=d, heads=wide, n_landmarks=max(16, d // 2)),
        "mean": lambda: PooledMIL(*io, dim=d, pool="mean"),
        "max": lambda: PooledMIL(*io, dim=d, pool="max"),
        "full": lambda: FullAttentionMIL(*io, dim=d, heads=wide, dim_head=d // wide),
    }
    if name not in builders:
        raise ValueError(f"arm must be one of {', '.join(builders)}, got {name!r}")
    return builders[name]
