"""Several seeds of one study pooled into one estimate per claim, with the seeds resampled above the patients."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ..stats.results import Estimate
from .card import Card, Claim, Control
from .criteria import Criterion


def pool(estimates: Sequence[Estimate], *, vary: Sequence[str], level: float) -> Estimate:
    """Mean over seeds with a t interval that carries the spread of training and that of patients.

    vary: what a seed changes. With "data" every seed draws its own patients, so the spread between seeds holds both
    sources and var = s^2 / S. With "training" only, all seeds are tested on the same patients, whose sampling error
    does not shrink with more seeds: var = s^2 / S + mean within-seed variance. t with S - 1 degrees of freedom.
    Undefined (nan with a note) for fewer than two seeds or when a seed is undefined.
    """
    import numpy as np  # here, and not for every command that only reads verdicts
    from scipy import stats

    first = estimates[0]
    values = np.array([estimate.value for estimate in estimates])
    n_seeds = len(values)
    if n_seeds < 2 or any(estimate.undefined for estimate in estimates):
        note = "fewer than two seeds" if n_seeds < 2 else "undefined in at least one seed"
        return Estimate(math.nan, math.nan, math.nan, level=level, n=first.n, unit=first.unit, note=note)
    variance = values.var(ddof=1) / n_seeds
    method = f"mean of {n_seeds} seeds, t interval over seeds"
    shared = "data" not in vary
    if shared:
        half_widths = np.array([(estimate.high - estimate.low) / 2 for estimate in estimates])
        quantiles = np.array([stats.norm.ppf((1 + estimate.level) / 2) for estimate in estimates])
        variance += np.mean((half_widths / quantiles) ** 2)
        method += " plus the patients' variance (the same patients in every seed)"
    half = stats.t.ppf((1 + level) / 2, n_seeds - 1) * math.sqrt(variance)
    n = first.n if shared else sum(estimate.n for estimate in estimates)
    mean = float(values.mean())
    return Estimate(mean, mean - half, mean + half, level=level, n=n, unit=first.unit, method=method)


def pool_bundles(card: Card, bundles: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One ledger bundle for all seeds: intervals pooled, a check passed only when it passed in every seed."""
    pooled = {key: bundles[0][key] for key in ("format", "study", "preset")}
    vary = card.seeds_vary[pooled["preset"]]
    for group, items in (("claims", card.claims), ("controls", card.controls)):
        pooled[group] = {item.id: _pool_item(item, vary, [b[group].get(item.id) for b in bundles]) for item in items}
        pooled[group] = {name: rows for name, rows in pooled[group].items() if rows}
    pooled["notes"] = {}
    return pooled


def _pool_item(item: Claim | Control, vary: Sequence[str], found: Sequence[Mapping[str, Any] | None]) -> dict[str, Any]:
    rows: dict[str, Any] = {}
    for part in item.parts:
        measured = [rows_of_seed[part.id] for rows_of_seed in found if rows_of_seed and part.id in rows_of_seed]
        if len(measured) < len(found) or len({row["quantity"] for row in measured}) > 1:
            continue
        quantity = measured[0]["quantity"]
        if isinstance(part, Criterion) and all(row.get("estimate") for row in measured):
            estimates = [Estimate.from_dict(row["estimate"]) for row in measured]
            estimate = pool(estimates, vary=vary, level=part.level)
            rows[part.id] = {"quantity": quantity, "estimate": estimate.to_dict()}
        elif all("passed" in row for row in measured):
            passed = [row["passed"] for row in measured]
            evidence = f"in {sum(passed)} of {len(passed)} seeds; first: {measured[0]['evidence']}"
            rows[part.id] = {"quantity": quantity, "passed": all(passed), "evidence": evidence}
    return rows
