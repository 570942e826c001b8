"""A small picture of one interval against its bound, as inline SVG that follows the page's colours."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ..stats.results import Estimate

_WIDTH, _HEIGHT, _MARGIN = 200.0, 20.0, 8.0
_BLEED = 0.18  # room beyond the outermost number, as a share of the range


def allowed_range(part: Mapping[str, Any]) -> tuple[float, float] | None:
    """The values that a verdict's part allows, infinite where it is open; None for a check."""
    if part.get("allowed") is None:
        return None
    low, high = part["allowed"]
    return -math.inf if low is None else low, math.inf if high is None else high


def interval_picture(part: Mapping[str, Any], *, labels: bool = False) -> str:
    """SVG of a verdict part: allowed values shaded, bound dashed, interval as a bar with its estimate as a dot.

    part: a row of `Verdict.parts`. labels: write the numbers at bound and interval. Empty text when nothing can be
    drawn (a check, an undefined interval). The picture repeats the text beside it and is hidden from screen readers.
    """
    allowed = allowed_range(part)
    if allowed is None or part.get("estimate") is None:
        return ""
    estimate = Estimate.from_dict(part["estimate"])
    marks = [x for x in (estimate.value, estimate.low, estimate.high, *allowed) if math.isfinite(x)]
    if estimate.undefined or max(marks) == min(marks):
        return ""
    bleed = _BLEED * (max(marks) - min(marks))
    first, last = min(marks) - bleed, max(marks) + bleed

    def x(value: float) -> float:
        inside = min(max(value, first), last)
        return round(_MARGIN + (_WIDTH - 2 * _MARGIN) * (inside - first) / (last - first), 1)

    top = 16.0 if labels else 0.0
    middle, bottom = top + _HEIGHT / 2, top + _HEIGHT
    left, width = x(allowed[0]), x(allowed[1]) - x(allowed[0])
    shade = f'<rect class="mr-allowed" x="{left}" y="{top}" width="{width:.1f}" height="{_HEIGHT:g}"/>'
    bounds = "".join(f'<path class="mr-bound" d="M{x(b)} {top}V{bottom}"/>' for b in allowed if math.isfinite(b))
    bar = f'<path class="mr-bar" d="M{x(estimate.low)} {middle}H{x(estimate.high)}"/>'
    dot = (
        f'<circle class="mr-dot" cx="{x(estimate.value)}" cy="{middle}" r="3.5"/>'
        if math.isfinite(estimate.value)
        else ""
    )
    words = ""
    if labels:
        words = "".join(
            f'<text class="mr-bound-label" x="{x(b)}" y="11" text-anchor="middle">{b:g}</text>'
            for b in allowed
            if math.isfinite(b)
        )
    classes = f"mr-interval mr-{part['status'].replace(' ', '-')}"
    return (
        f'<svg class="{classes}" viewBox="0 0 {_WIDTH:g} {bottom:g}" aria-hidden="true" focusable="false">'
        f"{shade}{bounds}{bar}{dot}{words}</svg>"
    )


def in_words(part: Mapping[str, Any]) -> str:
    """How the interval lies to what is allowed, as a clause: 'the whole interval lies above 0'."""
    allowed = allowed_range(part)
    if allowed is None or part.get("estimate") is None:
        return ""
    low, high = (f"{bound:g}" for bound in allowed)
    inner = [bound for bound in allowed if math.isfinite(bound)]
    if part["status"] == "undecided":
        return f"the interval crosses {' or '.join(f'{bound:g}' for bound in inner)}"
    held = part["status"] == "holds"
    if len(inner) == 2:
        return f"the whole interval lies {'between' if held else 'outside'} {low} and {high}"
    above = (allowed[0] == inner[0]) == held
    return f"the whole interval lies {'above' if above else 'below'} {inner[0]:g}"
