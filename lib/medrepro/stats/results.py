"""What the statistics layer returns: frozen results that print the way a clinical paper does."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any


def _number(value: float) -> str:
    """Two decimals as clinicians write them; more where two would hide the size of a small number."""
    if math.isnan(value):
        return "nan"
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    if value == 0 or 0.095 <= abs(value) < 1000:
        return f"{value:.2f}"
    if 0.0095 <= abs(value) < 0.095:
        return f"{value:.3f}"
    return f"{value:.2g}" if abs(value) < 1 else f"{value:,.0f}"


@dataclass(frozen=True)
class Estimate:
    """A value with its interval and what the interval means.

    value, low, high: same unit; nan when undefined, and then `note` says why.
    level: confidence level in (0, 1). n: number of independent units; unit: what they are ("patient").
    method: how the interval was made. n_boot, seed: resamples and their seed, None for closed forms.
    n_pos, n_neg: cases per class where there are classes.
    Raises ValueError when level is outside (0, 1), n is negative or low > high.
    """

    value: float
    low: float
    high: float
    level: float = 0.95
    n: int = 0
    unit: str = ""
    method: str = ""
    n_boot: int | None = None
    seed: int | None = None
    note: str = ""
    n_pos: int | None = None
    n_neg: int | None = None

    def __post_init__(self) -> None:
        for name in ("value", "low", "high", "level"):
            object.__setattr__(self, name, float(getattr(self, name)))
        if not 0 < self.level < 1:
            raise ValueError(f"level must be between 0 and 1, got {self.level}")
        if self.n < 0:
            raise ValueError(f"n must be >= 0, got {self.n}")
        if self.low > self.high:
            raise ValueError(f"low must be <= high, got low {self.low} and high {self.high}")

    def __str__(self) -> str:
        unit = f" {self.unit}s" if self.unit else ""
        return f"{_number(self.value)} [{_number(self.low)}, {_number(self.high)}], n = {self.n:,}{unit}"

    @property
    def undefined(self) -> bool:
        """True when the value or a bound is nan."""
        return any(math.isnan(x) for x in (self.value, self.low, self.high))

    def to_dict(self) -> dict[str, Any]:
        """A row of a table or a JSON object; nan becomes None, infinities become "inf" and "-inf"."""
        return {f.name: _to_json(getattr(self, f.name)) for f in fields(self)}

    @classmethod
    def from_dict(cls, row: dict[str, Any]) -> Estimate:
        """Inverse of `to_dict`."""
        floats = {name: _from_json(row[name]) for name in ("value", "low", "high", "level")}
        return cls(**{**row, **floats})


@dataclass(frozen=True)
class Comparison:
    """A difference with its interval and test.

    statistic: z, t or chi-square, as `method` says. p_value: two-sided unless `method` says otherwise; it may
    underflow to 0, so log10_p carries its size.
    """

    difference: Estimate
    statistic: float
    p_value: float
    log10_p: float
    method: str

    def __str__(self) -> str:
        if math.isnan(self.p_value):
            p = "p undefined"
        else:
            p = "p < 0.001" if self.p_value < 0.001 else f"p = {self.p_value:.3f}"
        return f"{self.difference}, {p}"

    def to_dict(self) -> dict[str, Any]:
        """The difference's row, with statistic, p_value and log10_p beside it."""
        own = {name: _to_json(getattr(self, name)) for name in ("statistic", "p_value", "log10_p")}
        return {**self.difference.to_dict(), **own, "method": self.method}


def _to_json(value: Any) -> Any:
    if isinstance(value, float):
        if math.isnan(value):
            return None
        if math.isinf(value):
            return "inf" if value > 0 else "-inf"
    return value


def _from_json(value: Any) -> float:
    return math.nan if value is None else float(value)
