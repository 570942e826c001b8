"""Forms of twelve abnormalities: what each adds to an image, and a vessel tree that can be narrow or bulge."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import numpy as np

from .radiology_anatomy import FloatImages, Scalar, ellipse, segment
from .radiology_cases import ALLOWED, RadiologyCases
from .radiology_terms import ABNORMALITIES, MODALITIES


def draw_change(cases: RadiologyCases, x: FloatImages, y: FloatImages, edge: float) -> FloatImages:
    """What the abnormality adds to each pixel; vessels have theirs in `draw_vessels`."""
    change = np.zeros_like(x)
    for kind, name in enumerate(ABNORMALITIES):
        contrast = np.array([ALLOWED[name][1].get(m, 0.0) for m in MODALITIES], dtype=np.float32)
        chosen = np.flatnonzero((cases.abnormality == kind) & (cases.modality != MODALITIES.index("angiogram")))
        if len(chosen):
            part = cases[chosen]
            strength = (contrast[part.modality] * part.visibility).astype(np.float32)[:, None, None]
            change[chosen] = strength * _form(name, part, x[chosen], y[chosen], edge)
    return change


def _form(name: str, cases: RadiologyCases, x: FloatImages, y: FloatImages, edge: float) -> FloatImages:
    """Shape of an abnormality, (n, H, W) in about [0, 1], around its place and turned by its angle."""
    size = cases.size[:, None, None].astype(np.float32)
    cos, sin = (f(cases.angle)[:, None, None].astype(np.float32) for f in (np.cos, np.sin))
    dx, dy = (
        x - cases.place[:, 0, None, None].astype(np.float32),
        y - cases.place[:, 1, None, None].astype(np.float32),
    )
    u, v = dx * cos + dy * sin, dy * cos - dx * sin
    if name == "mass":
        radius = size * (1 + 0.25 * np.cos(5 * np.arctan2(v, u)))
        return ellipse(u, v, 0, 0, radius, radius, 3 * edge)
    if name == "effusion":
        level = cases.place[:, 1, None, None].astype(np.float32) * 0.3 + 0.25
        return np.clip(0.5 + (y - level - 0.12 * x**2) / (2 * edge), 0, 1)
    if name == "fracture":
        line = np.abs(v + 0.05 * np.sign(np.sin(14 * u)))
        return np.clip(1.2 - line / (0.5 * edge + 0.02), 0, 1) * (np.abs(u) < 2.2 * size)
    if name == "cyst":
        return ellipse(u, v, 0, 0, size, size, edge)
    if name == "calcification":
        spots = [(-0.5, -0.3), (0.45, -0.5), (0.1, 0.5), (0.6, 0.4)]
        return _union(ellipse(u, v, a * size, b * size, 0.25 * size, 0.25 * size, edge) for a, b in spots)
    if name == "oedema":
        return np.exp(-(u**2 / (1.9 * size) ** 2 + v**2 / (1.4 * size) ** 2))
    if name == "haemorrhage":
        whole = ellipse(u, v, 0, 0, 1.5 * size, 1.5 * size, edge)
        return whole * (1 - ellipse(u, v, 0.55 * size, 0, 1.35 * size, 1.35 * size, edge))
    if name == "abscess":
        return ellipse(u, v, 0, 0, size, size, edge) - ellipse(u, v, 0, 0, 0.6 * size, 0.6 * size, edge)
    if name == "device":
        return np.clip(1.2 - np.abs(v) / (0.5 * edge + 0.02), 0, 1) * (np.abs(u) < 2.4 * size)
    if name == "pneumatosis":
        spots = [(-0.6, 0.1), (0.3, -0.5), (0.5, 0.5)]
        return _union(ellipse(u, v, a * size, b * size, 0.42 * size, 0.42 * size, edge) for a, b in spots)
    return np.zeros_like(x)


def draw_vessels(cases: RadiologyCases, x: FloatImages, y: FloatImages, edge: float, abnormal: bool) -> FloatImages:
    """A vessel tree of contrast medium, (n, H, W) in [0, 1], narrowed or widened where the case says so."""
    tree = np.zeros_like(x)
    chosen = np.flatnonzero(cases.modality == MODALITIES.index("angiogram"))
    if not len(chosen):
        return tree
    part, x, y = cases[chosen], x[chosen], y[chosen]
    bend = (0.25 * np.cos(part.angle))[:, None, None].astype(np.float32)
    knots: list[tuple[Scalar, float]] = [(-0.1 + 0 * bend, 1.1), (bend * 0.6, 0.35), (bend, -0.2), (0.3 * bend, -0.75)]
    width = 0.085
    narrowed = np.zeros_like(bend)
    if abnormal:
        is_stenosis = part.abnormality == ABNORMALITIES.index("stenosis")
        narrowed = (0.75 * part.visibility * is_stenosis)[:, None, None].astype(np.float32)
    filled = []
    for number, (start, end) in enumerate(itertools.pairwise(knots)):
        distance, along = segment(x, y, start, end)
        here = narrowed * np.exp(-(((along - 0.5) / 0.18) ** 2)) if number == 1 else 0
        filled.append(np.clip(0.5 + (width * (1 - 0.15 * number) * (1 - here) - distance) / edge, 0, 1))
    for start, end in ((knots[1], (-0.7, -0.25)), (knots[2], (0.75, -0.55)), (knots[1], (0.7, 0.3)),
                       (knots[3], (-0.45, -1.0)), ((-0.35, 0.05), (-0.75, 0.35)), (knots[3], (0.5, -1.0))):  # fmt: skip
        distance, along = segment(x, y, start, end)
        filled.append(np.clip(0.5 + (0.045 * (1 - 0.5 * along) - distance) / edge, 0, 1))
    if abnormal:
        bulge = (0.20 * part.visibility * (part.abnormality == ABNORMALITIES.index("aneurysm")))[:, None, None]
        middle = 0.5 * (knots[1][0] + knots[2][0])
        round_ = ellipse(x, y, middle + 0.14, 0.08, np.maximum(bulge, 1e-3), np.maximum(bulge, 1e-3), edge)
        filled.append(np.where(bulge > 0, round_, 0).astype(np.float32))
    tree[chosen] = _union(filled)
    return tree


def _union(parts: Iterable[FloatImages]) -> FloatImages:
    """The largest of several shapes at every pixel."""
    return np.maximum.reduce(list(parts))
