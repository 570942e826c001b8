"""An AUROC interval made on the logit scale, where it cannot leave (0, 1) and where the estimate is less skewed."""

from __future__ import annotations

import math
from dataclasses import replace

from scipy.special import expit, logit, ndtri

from ._inputs import join_notes
from .results import Estimate
from .roc import DeLong

AT_THE_EDGE = "at 0 or 1 the logit is infinite: no interval on this scale"


def auroc_on_logit_scale(fit: DeLong, i: int = 0) -> Estimate:
    """AUROC of model i of `delong` with logit(A) +- z * SE / (A (1 - A)), mapped back (Pepe 2003, section 5.2).

    Same value and variance as `DeLong.estimate`; the two intervals part where A is near 1 and cases are few, where
    the plain one covers too rarely (the coverage table of the handbook shows by how much).
    No interval, with a note, for perfect separation and where `estimate` has none; no width where it has none.
    """
    plain = fit.estimate(i)
    value, variance = plain.value, float(fit.covariance[i, i])
    method = f"{plain.method}, logit scale"
    if math.isnan(value) or math.isnan(variance):
        return replace(plain, method=method)
    if value in (0.0, 1.0):
        note = join_notes(fit.note, AT_THE_EDGE)
        return replace(plain, low=math.nan, high=math.nan, method=method, note=note)
    low, high = logit_bounds(value, float(ndtri(0.5 + fit.level / 2)) * math.sqrt(variance))
    return replace(plain, low=low, high=high, method=method)


def logit_bounds(value: float, half: float) -> tuple[float, float]:
    """value +- half, 0 < value < 1, with the half-width carried to the logit scale (delta method) and mapped back."""
    centre, half = float(logit(value)), half / (value * (1 - value))
    return float(expit(centre - half)), float(expit(centre + half))
