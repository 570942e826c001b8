"""Criteria as data: what an interval must do for a claim to hold."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..stats.results import Estimate
from .errors import InputError, unknown

OPERATORS = ("greater", "less", "within")
HOLDS, FAILS, UNDECIDED = "holds", "fails", "undecided"


@dataclass(frozen=True)
class Criterion:
    """One part of a claim: the interval of `quantity` against `bound`.

    op: greater or less (bound: a number) or within (bound: two numbers, ends included).
    level: confidence level of the interval, already corrected when the claim belongs to a family.
    """

    id: str
    quantity: str
    op: str
    bound: float | tuple[float, float]
    level: float = 0.95

    def __str__(self) -> str:
        interval = f"{100 * self.level:.4g} % interval"
        if isinstance(self.bound, tuple):
            return f"{interval} inside [{self.bound[0]:g}, {self.bound[1]:g}]"
        sign = ">" if self.op == "greater" else "<"
        return f"{interval} {sign} {self.bound:g}"

    @property
    def allowed(self) -> tuple[float | None, float | None]:
        """The values that satisfy it, as an interval; None where it is open."""
        if isinstance(self.bound, tuple):
            return self.bound
        return (self.bound, None) if self.op == "greater" else (None, self.bound)

    def judge(self, estimate: Estimate) -> tuple[str, str]:
        """Status and reason. The whole interval satisfies it: holds; the whole interval violates it: fails."""
        if estimate.undefined:
            return UNDECIDED, "undefined" + (f": {estimate.note}" if estimate.note else "")
        if not math.isclose(estimate.level, self.level, rel_tol=1e-9):
            return UNDECIDED, f"the interval has level {estimate.level:g}, the criterion asks for {self.level:g}"
        if estimate.low == estimate.high:
            return UNDECIDED, "the interval has no width" + (f": {estimate.note}" if estimate.note else "")
        low, high = estimate.low, estimate.high
        if isinstance(self.bound, tuple):
            holds = self.bound[0] <= low and high <= self.bound[1]
            fails = high < self.bound[0] or low > self.bound[1]
        elif self.op == "greater":
            holds, fails = low > self.bound, high <= self.bound
        else:
            holds, fails = high < self.bound, low >= self.bound
        if holds:
            return HOLDS, ""
        if fails:
            return FAILS, ""
        return UNDECIDED, "the interval crosses the bound"


@dataclass(frozen=True)
class Check:
    """A fact without an interval: a parameter count, a definition, an exact property."""

    id: str
    check: str

    @property
    def quantity(self) -> str:
        return self.check

    def __str__(self) -> str:
        return "is true"


def parse_criterion(raw: Any, where: str, *, level: float | None = None) -> tuple[Criterion | Check, ...]:
    """The parts of a card's criterion; InputError says where it is wrong.

    level: overrides the card's levels (a family's correction).
    """
    if not isinstance(raw, Mapping):
        raise InputError(f"{where}: criterion must be a mapping, got {raw!r}")
    if "all" in raw:
        if set(raw) != {"all"} or not isinstance(raw["all"], list) or len(raw["all"]) < 2:
            raise InputError(f"{where}: 'all' must stand alone and list at least two parts")
        ids = [part.get("id") for part in raw["all"] if isinstance(part, Mapping)]
        if len(set(ids)) != len(raw["all"]) or None in ids:
            raise InputError(f"{where}: every part of 'all' needs an id of its own")
        return tuple(_parse_part(part, where, level) for part in raw["all"])
    return (_parse_part(raw, where, level),)


def _parse_part(raw: Mapping[str, Any], where: str, level: float | None) -> Criterion | Check:
    name = str(raw.get("id", ""))
    if "check" in raw:
        if set(raw) - {"id", "check"}:
            raise InputError(f"{where}: a check has no other keys, found {sorted(set(raw) - {'id', 'check'})}")
        return Check(name, str(raw["check"]))
    known = {"id", "quantity", "op", "bound", "level"}
    for key in raw:
        if key not in known:
            raise InputError(f"{where}: {unknown('key of a criterion', str(key), known)}")
    for key in ("quantity", "op", "bound"):
        if key not in raw:
            raise InputError(f"{where}: criterion lacks '{key}'")
    if raw["op"] not in OPERATORS:
        raise InputError(f"{where}: {unknown('op', str(raw['op']), OPERATORS)}")
    bound = _bound(raw["bound"], raw["op"], where)
    own = raw.get("level", 0.95)
    if not _is_number(own) or not 0 < own < 1:
        raise InputError(f"{where}: level must be between 0 and 1, got {own!r}")
    return Criterion(name, str(raw["quantity"]), raw["op"], bound, float(own if level is None else level))


def _bound(raw: Any, op: str, where: str) -> float | tuple[float, float]:
    if op == "within":
        if not (isinstance(raw, list) and len(raw) == 2 and all(map(_is_number, raw)) and raw[0] < raw[1]):
            raise InputError(f"{where}: bound of 'within' must be [low, high] with low < high, got {raw!r}")
        return float(raw[0]), float(raw[1])
    if not _is_number(raw):
        raise InputError(f"{where}: bound must be a finite number, got {raw!r}")
    return float(raw)


def _is_number(x: Any) -> bool:
    return isinstance(x, (int, float)) and not isinstance(x, bool) and math.isfinite(x)
