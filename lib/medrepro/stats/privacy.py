"""Privacy loss of DP-SGD by two accountants side by side: Renyi divergence, and the privacy loss distribution.

Every step adds Gaussian noise to a sum of gradients, each clipped to norm C, over a batch that holds every record
with probability `sample_rate` independently (Poisson sampling). Two data sets are neighbours when one has one record
more. Batches cut from a shuffled list are not Poisson samples: these epsilons are then not a guarantee.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.special import erfcx, gammaln, log_ndtr, logsumexp

from ._inputs import FloatArray, join_notes

# Fractional orders for large epsilon, widely spaced ones for small epsilon.
ORDERS = tuple(
    [1 + i / 10 for i in range(1, 100)] + [float(i) for i in range(11, 64)] + [72, 96, 128, 192, 256, 512, 1024]
)

LEAST_NOISE = 0.03  # one step with less has an epsilon of hundreds, and its integrals need ever more points
PRV_ERROR = 0.01  # of epsilon
PRV_POINTS = 1e7  # about 6 seconds


@dataclass(frozen=True)
class PrivacyLoss:
    """epsilon of one DP-SGD run at `delta`, by several accountants.

    rdp: upper bound by Renyi differential privacy, reached at `order`. prv: upper bound from the privacy loss
    distribution composed numerically, at most about 0.02 above the truth, nan where it could not be had (see note).
    gdp: central limit approximation, no bound: it may be below the truth unless sample_rate is 1, where it is exact.
    """

    rdp: float
    order: float
    prv: float
    gdp: float
    delta: float
    note: str = ""

    def __str__(self) -> str:
        values = zip((self.rdp, self.prv, self.gdp), ("RDP", "PRV", "GDP"), strict=True)
        return f"epsilon {', '.join(f'{_printed(v)} ({name})' for v, name in values)} at delta = {self.delta:g}"


def _printed(value: float) -> str:
    return "not computed" if math.isnan(value) else f"{value:.2f}" if value < 1000 else f"{value:.1e}"


def epsilon(noise_multiplier: float, sample_rate: float, steps: int, delta: float) -> PrivacyLoss:
    """epsilon of DP-SGD at `delta` by accountants of different kinds; see `PrivacyLoss`.

    noise_multiplier: standard deviation of the noise over the clipping norm, 0 (epsilon is inf) or >= 0.03.
    sample_rate: probability in [0, 1] that a record is in a batch. steps: number of updates, >= 0. delta in (0, 1).
    RDP as in `renyi_divergence`, converted by Canonne, Kamath & Steinke 2020 (arXiv 2004.00010v4, proposition 12). PRV:
    Gopi, Lee & Wutschitz 2021 as in Opacus, where Opacus is installed. GDP: Bu et al. 2020, mu = q sqrt(T (exp(1 / s^2)
    - 1)), and sqrt(T) / s at q = 1 (Dong, Roth & Su 2022), where it is exact and stands for the PRV bound too.
    Raises ValueError on other numbers.
    """
    noise, rate, count = _mechanism(noise_multiplier, sample_rate, steps)
    if isinstance(delta, bool) or not isinstance(delta, int | float) or not 0 < delta < 1:
        raise ValueError(f"delta must be a number between 0 and 1, got {delta!r}")
    if count == 0 or rate == 0:
        return PrivacyLoss(0.0, math.nan, 0.0, 0.0, delta, "nothing was released")
    if noise == 0:
        return PrivacyLoss(math.inf, math.nan, math.inf, math.inf, delta, "no noise: no guarantee")
    divergence = count * np.array([renyi_divergence(order, noise, rate) for order in ORDERS])
    rdp, order, edge = _from_renyi(divergence, np.array(ORDERS), delta)
    mu = _mu(noise, rate, count)
    gdp = gaussian_epsilon(mu, delta) if math.isfinite(mu) else math.inf
    prv, trouble = (gdp, "") if rate == 1 else _prv(noise, rate, count, delta, rdp)
    return PrivacyLoss(rdp, order, prv, gdp, delta, join_notes(edge, trouble))


def renyi_divergence(order: float, noise_multiplier: float, sample_rate: float) -> float:
    """Renyi divergence of one step of the sampled Gaussian mechanism at one order > 1, in nats.

    log(A) / (order - 1) with A = E[((1 - q) + q exp((2 z - 1) / (2 s^2)))^order], z ~ N(0, s^2): A_alpha of Mironov,
    Talwar & Zhang 2019 (arXiv 1908.10530), the larger of both directions. Whole orders: their binomial sum (section
    3.3). Others: the trapezoidal rule, which for this smooth integrand over the whole line is exact to rounding.
    inf without noise, 0 at rate 0, order / (2 s^2) at rate 1. Raises ValueError on other numbers.
    """
    noise, rate, _ = _mechanism(noise_multiplier, sample_rate, 1)
    if isinstance(order, bool) or not isinstance(order, int | float) or not 1 < order < math.inf:
        raise ValueError(f"order must be a number above 1, got {order!r}")
    if rate == 0:
        return 0.0
    if noise == 0:
        return math.inf
    if rate == 1:
        return order / (2 * noise**2)
    moment = _by_binomial(int(order), noise, rate) if float(order).is_integer() else _by_integral(order, noise, rate)
    return max(0.0, moment) / (order - 1)


def _by_binomial(order: int, noise: float, rate: float) -> float:
    k = np.arange(order + 1)
    choose = gammaln(order + 1) - gammaln(k + 1) - gammaln(order - k + 1)
    terms = choose + (order - k) * math.log1p(-rate) + k * math.log(rate) + k * (k - 1) / (2 * noise**2)
    return float(logsumexp(terms))


def _by_integral(order: float, noise: float, rate: float) -> float:
    # The mass lies between the two means, 0 and `order`. The nearest pole of the integrand is pi s^2 from the real
    # line, which with this step leaves an error of exp(-20 pi^2); the Gaussian's own error is smaller still.
    step = min(noise, noise**2) / 10
    z = np.arange(-14 * noise, order + 14 * noise, step)
    ratio = np.logaddexp(math.log1p(-rate), math.log(rate) + (2 * z - 1) / (2 * noise**2))
    log_density = -(z**2) / (2 * noise**2) - math.log(noise * math.sqrt(2 * math.pi))
    return float(logsumexp(order * ratio + log_density)) + math.log(step)


def _from_renyi(divergence: FloatArray, orders: FloatArray, delta: float) -> tuple[float, float, str]:
    """Smallest epsilon over the orders, that order, and a warning when it is the first or the last of them."""
    bounds = divergence + np.log1p(-1 / orders) - (math.log(delta) + np.log(orders)) / (orders - 1)
    best = int(np.argmin(bounds))
    note = f"the best order, {orders[best]:g}, is at the edge of those tried" if best in (0, len(orders) - 1) else ""
    return max(0.0, float(bounds[best])), float(orders[best]), note


def gaussian_epsilon(mu: float, delta: float) -> float:
    """epsilon at `delta` of a mechanism that is mu-Gaussian differentially private.

    The root of Phi(-e / mu + mu / 2) - exp(e) Phi(-e / mu - mu / 2) = delta, 0 where already e = 0 stays below delta
    (the dual of mu-GDP, Dong, Roth & Su 2022).
    For the Gaussian mechanism mu is sensitivity over standard deviation and epsilon is exact (Balle & Wang 2018).
    Raises ValueError unless mu is finite and >= 0 and 0 < delta < 1.
    """
    for name, number, most in (("mu", mu, math.inf), ("delta", delta, 1.0)):
        if isinstance(number, bool) or not isinstance(number, int | float) or not 0 <= number < most:
            raise ValueError(f"{name} must be a number from 0 to below {most}, got {number!r}")
    if delta == 0:
        raise ValueError("delta must be above 0, got 0")
    if mu == 0:
        return 0.0

    def log_excess(t: float) -> float:
        """log of delta(e) over delta at e = mu^2 / 2 + t mu; with Mills' ratio for the second term nothing cancels."""
        first, second = log_ndtr(-t), -t * t / 2 - math.log(2) + np.log(erfcx((t + mu) / math.sqrt(2)))
        return float(first + np.log(max(-np.expm1(second - first), 1e-300))) - math.log(delta)

    lowest = max(-mu / 2, -40.0)  # e = 0, or so far down that delta(e) is 1
    if log_excess(lowest) <= 0:
        return 0.0
    highest = math.sqrt(2 * math.log(1 / delta)) + 1  # the first term alone is below delta here
    t = float(brentq(log_excess, lowest, highest, xtol=1e-13, rtol=1e-13))
    return mu * mu / 2 + t * mu


def _mu(noise: float, rate: float, steps: int) -> float:
    if rate == 1:
        return math.sqrt(steps) / noise
    exponent = 1 / noise**2
    return rate * math.sqrt(steps) * math.sqrt(math.expm1(exponent)) if exponent < 700 else math.inf


def _prv(noise: float, rate: float, steps: int, delta: float, rdp: float) -> tuple[float, str]:
    """epsilon by Opacus' privacy loss accountant, or nan and the reason."""
    points = 2 * rdp / PRV_ERROR * math.sqrt(steps * math.log(12_000 / delta) / 2)  # Gopi et al., with delta / 1000
    if points > PRV_POINTS:
        return math.nan, "PRV: left out, an epsilon as large over as many steps takes minutes to compose"
    try:
        from opacus.accountants import PRVAccountant  # slow to import, and absent from small environments
    except ImportError:
        return math.nan, "PRV: Opacus is not installed"
    accountant = PRVAccountant()
    accountant.history = [(noise, rate, steps)]
    try:
        with warnings.catch_warnings():
            # Opacus warns of the orders by which it finds a range for the loss; `rdp` has its own note on orders.
            warnings.simplefilter("ignore")
            found = float(accountant.get_epsilon(delta, eps_error=PRV_ERROR, delta_error=delta / 1000))
    except (ArithmeticError, MemoryError, RuntimeError, ValueError) as problem:
        return math.nan, f"PRV: Opacus could not compose these steps ({problem or type(problem).__name__})"
    return (found, "") if math.isfinite(found) else (math.nan, "PRV: Opacus gave no finite epsilon")


def _mechanism(noise_multiplier: float, sample_rate: float, steps: int) -> tuple[float, float, int]:
    for name, number, most in (("noise_multiplier", noise_multiplier, math.inf), ("sample_rate", sample_rate, 1.0)):
        real = isinstance(number, int | float | np.integer | np.floating) and not isinstance(number, bool)
        if not real or not 0 <= number <= most or math.isinf(number):
            wanted = ">= 0" if most == math.inf else "from 0 to 1"
            raise ValueError(f"{name} must be a finite number {wanted}, got {number!r}")
    if isinstance(steps, bool) or not isinstance(steps, int | np.integer) or steps < 0:
        raise ValueError(f"steps must be a whole number >= 0, got {steps!r}")
    if 0 < noise_multiplier < LEAST_NOISE:
        raise ValueError(f"noise_multiplier must be 0 or at least {LEAST_NOISE}, got {noise_multiplier!r}")
    return float(noise_multiplier), float(sample_rate), int(steps)
