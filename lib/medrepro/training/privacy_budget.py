"""The noise a privacy budget asks for, what a run has spent, and what that means for a patient with many images."""

from __future__ import annotations

import math
import warnings
from functools import lru_cache
from typing import Literal

from opacus.accountants.utils import get_noise_multiplier

from ..stats import privacy
from ..stats.privacy import PrivacyLoss

Accountant = Literal["rdp", "prv"]


@lru_cache(maxsize=256)
def find_noise(epsilon: float, delta: float, sample_rate: float, steps: int, accountant: Accountant = "rdp") -> float:
    """Smallest noise multiplier, to within 1 % of epsilon, whose loss after `steps` updates is at most epsilon.

    0 for an infinite epsilon. By Opacus' accountants: "rdp" (safe, a little too much noise) or "prv" (tight).
    Raises ValueError when epsilon is not above 0 or cannot be reached.
    """
    if not epsilon > 0:
        raise ValueError(f"epsilon must be > 0, or inf for no noise, got {epsilon!r}")
    if accountant not in ("rdp", "prv"):
        raise ValueError(f"accountant must be 'rdp' or 'prv', got {accountant!r}")
    if math.isinf(epsilon):
        return 0.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the best order at the edge while the search is still far away
        try:
            sigma = get_noise_multiplier(
                target_epsilon=epsilon,
                target_delta=delta,
                sample_rate=sample_rate,
                steps=steps,
                accountant=accountant,
                epsilon_tolerance=epsilon / 100,
            )
        except ValueError:
            raise ValueError(f"epsilon {epsilon:g} cannot be reached at delta {delta:g} in {steps} updates") from None
    return max(float(sigma), privacy.LEAST_NOISE)


@lru_cache(maxsize=256)
def spent_after(noise_multiplier: float, sample_rate: float, steps: int, delta: float) -> PrivacyLoss:
    """`stats.privacy.epsilon`, kept for arms that share their settings."""
    return privacy.epsilon(noise_multiplier, sample_rate, steps, delta)


def group_privacy(epsilon: float, delta: float, m: int) -> tuple[float, float]:
    """epsilon and delta for somebody with m examples: m epsilon, and delta (e^(m epsilon) - 1) / (e^epsilon - 1).

    From (epsilon, delta) for one example (Vadhan 2017, lemma 2.2). A delta of 1 or more promises nothing.
    """
    if m < 1:
        raise ValueError(f"m must be >= 1, got {m}")
    if math.isinf(epsilon):
        return math.inf, delta
    factor = math.expm1(m * epsilon) / math.expm1(epsilon) if m * epsilon < 700 else math.inf
    return m * epsilon, min(1.0, delta * factor)
