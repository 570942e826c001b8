"""Colours that colour-blind readers can tell apart, each with a marker and a line style as second cue."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

# Okabe & Ito (2008), without the yellow that vanishes on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
LINES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 1)))


def cues(names: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Colour, marker and line style of each name, by its place; the eighth repeats the first."""
    return {
        name: {"color": COLOURS[i % 7], "marker": MARKERS[i % 7], "linestyle": LINES[i % 7]}
        for i, name in enumerate(dict.fromkeys(names))
    }
