"""Shapes of five regions of the body in three planes, and how four kinds of image show their tissues."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatImages = NDArray[np.floating[Any]]
Scalar = float | FloatImages

TISSUES = ("soft", "organ", "bone", "air", "fluid")
# Brightness of (outside, soft, organ, bone, air, fluid) in CT, MR, and how much each adds to the path of a radiograph.
_BRIGHTNESS = {
    "ct": (0.02, 0.40, 0.52, 0.92, 0.03, 0.33),
    "mr": (0.02, 0.70, 0.45, 0.12, 0.03, 0.90),
    "path": (0.0, 0.55, 0.25, 0.85, -0.60, 0.10),
}

# (tissue, centre x, centre y, half width, half height); y points down, later shapes lie over earlier ones.
Shape = tuple[str, float, float, float, float]
_SHAPES: dict[tuple[str, str], list[Shape]] = {
    ("head", "axial"): [
        ("soft", 0, 0, 0.74, 0.88), ("bone", 0, 0, 0.68, 0.82), ("organ", 0, 0, 0.60, 0.74),
        ("fluid", -0.13, -0.05, 0.07, 0.24), ("fluid", 0.13, -0.05, 0.07, 0.24),
    ],
    ("head", "coronal"): [
        ("soft", 0, 0.55, 0.34, 0.60), ("soft", 0, -0.15, 0.70, 0.78), ("bone", 0, -0.17, 0.63, 0.70),
        ("organ", 0, -0.18, 0.55, 0.61), ("bone", 0, 0.42, 0.36, 0.16), ("air", 0, 0.42, 0.10, 0.10),
        ("fluid", 0, -0.20, 0.24, 0.07),
    ],
    ("head", "sagittal"): [
        ("soft", 0.10, 0.60, 0.34, 0.55), ("soft", -0.52, 0.18, 0.24, 0.22), ("soft", 0, -0.12, 0.84, 0.74),
        ("bone", 0, -0.14, 0.77, 0.66), ("organ", 0, -0.15, 0.69, 0.57), ("fluid", 0.05, -0.12, 0.32, 0.06),
        ("bone", 0.22, 0.75, 0.10, 0.30),
    ],
    ("chest", "axial"): [
        ("soft", 0, 0, 0.93, 0.66), ("air", -0.44, -0.02, 0.34, 0.46), ("air", 0.44, -0.02, 0.34, 0.46),
        ("organ", 0.09, -0.12, 0.24, 0.26), ("bone", 0, 0.42, 0.13, 0.13), ("bone", 0, -0.58, 0.12, 0.05),
    ],
    ("chest", "coronal"): [
        ("soft", 0, 0.15, 0.92, 1.05), ("bone", -0.45, -0.68, 0.42, 0.06), ("bone", 0.45, -0.68, 0.42, 0.06),
        ("air", -0.42, 0, 0.33, 0.70), ("air", 0.42, 0, 0.33, 0.70), ("bone", 0, 0, 0.10, 1.20),
        ("organ", 0.12, 0.28, 0.28, 0.34), ("organ", -0.42, 0.86, 0.46, 0.30),
    ],
    ("chest", "sagittal"): [
        ("soft", 0, 0.10, 0.66, 1.10), ("air", 0.02, -0.02, 0.46, 0.74), ("organ", -0.18, 0.30, 0.24, 0.30),
        ("bone", 0.52, 0, 0.11, 1.20), ("bone", -0.58, -0.15, 0.05, 0.50), ("organ", 0, 0.88, 0.50, 0.28),
    ],
    ("abdomen", "axial"): [
        ("soft", 0, 0, 0.92, 0.70), ("organ", -0.40, -0.10, 0.40, 0.42), ("organ", 0.55, 0.05, 0.22, 0.26),
        ("air", 0.28, -0.32, 0.20, 0.14), ("fluid", -0.28, 0.05, 0.10, 0.08), ("bone", 0, 0.40, 0.14, 0.14),
        ("organ", -0.40, 0.40, 0.15, 0.16), ("organ", 0.42, 0.40, 0.15, 0.16),
    ],
    ("abdomen", "coronal"): [
        ("soft", 0, 0, 0.86, 1.20), ("organ", -0.42, -0.45, 0.40, 0.36), ("organ", 0.48, -0.50, 0.24, 0.28),
        ("air", 0.20, -0.30, 0.22, 0.14), ("organ", -0.42, 0.22, 0.15, 0.26), ("organ", 0.42, 0.18, 0.15, 0.26),
        ("bone", 0, 0.10, 0.11, 1.20), ("air", -0.55, 0.65, 0.11, 0.24), ("air", 0.55, 0.62, 0.11, 0.26),
    ],
    ("abdomen", "sagittal"): [
        ("soft", 0, 0, 0.64, 1.20), ("organ", -0.12, -0.48, 0.40, 0.34), ("air", -0.30, 0.05, 0.18, 0.14),
        ("organ", 0.20, 0.15, 0.14, 0.28), ("bone", 0.46, 0, 0.12, 1.20), ("air", -0.28, 0.55, 0.20, 0.12),
    ],
    ("pelvis", "axial"): [
        ("soft", 0, 0, 0.95, 0.62), ("bone", -0.58, 0.05, 0.20, 0.26), ("bone", 0.58, 0.05, 0.20, 0.26),
        ("fluid", 0, -0.18, 0.24, 0.20), ("organ", 0, 0.14, 0.18, 0.13), ("bone", 0, 0.44, 0.16, 0.08),
    ],
    ("pelvis", "coronal"): [
        ("soft", 0, 0, 0.92, 1.20), ("bone", -0.52, -0.35, 0.34, 0.42), ("bone", 0.52, -0.35, 0.34, 0.42),
        ("soft", 0, -0.02, 0.40, 0.46), ("fluid", 0, 0.12, 0.26, 0.22), ("bone", -0.62, 0.45, 0.15, 0.18),
        ("bone", 0.62, 0.45, 0.15, 0.18), ("bone", -0.66, 0.95, 0.09, 0.40), ("bone", 0.66, 0.95, 0.09, 0.40),
        ("bone", 0, -0.75, 0.14, 0.35),
    ],
    ("pelvis", "sagittal"): [
        ("soft", 0, 0, 0.68, 1.20), ("bone", 0.44, -0.20, 0.12, 0.62), ("fluid", -0.24, 0.12, 0.24, 0.20),
        ("organ", 0.10, 0.10, 0.12, 0.26), ("bone", -0.50, 0.28, 0.10, 0.16), ("air", 0.26, 0.45, 0.10, 0.22),
    ],
    ("spine", "axial"): [
        ("soft", 0, 0.10, 0.90, 0.72), ("organ", -0.36, 0.30, 0.26, 0.24), ("organ", 0.36, 0.30, 0.26, 0.24),
        ("bone", 0, -0.06, 0.32, 0.26), ("bone", 0, 0.42, 0.06, 0.26), ("bone", 0, 0.28, 0.32, 0.07),
        ("fluid", 0, 0.26, 0.13, 0.10),
    ],
    ("spine", "coronal"): [
        ("soft", 0, 0, 0.60, 1.30), *[("bone", 0, y, 0.24, 0.13) for y in (-0.85, -0.50, -0.15, 0.20, 0.55, 0.90)],
        *[("fluid", 0, y, 0.22, 0.04) for y in (-0.675, -0.325, 0.025, 0.375, 0.725)],
    ],
    ("spine", "sagittal"): [
        ("soft", 0.10, 0, 0.70, 1.30), ("fluid", 0.30, 0, 0.08, 1.25),
        *[("bone", 0, y, 0.22, 0.13) for y in (-0.85, -0.50, -0.15, 0.20, 0.55, 0.90)],
        *[("bone", 0.55, y, 0.13, 0.05) for y in (-0.78, -0.43, -0.08, 0.27, 0.62)],
        *[("fluid", 0, y, 0.19, 0.04) for y in (-0.675, -0.325, 0.025, 0.375, 0.725)],
    ],
}  # fmt: skip


def draw_tissues(organ: str, plane: str, x: FloatImages, y: FloatImages, edge: float) -> dict[str, FloatImages]:
    """How CT, MR and the path of a radiograph show one region of the body.

    x, y: (N, H, W) body coordinates of every pixel, from -1 to 1 and down. edge: width of a soft edge in the same unit.
    Returns {"ct", "mr"}: brightness in [0, 1], and {"path"}: attenuation along a ray, each (N, H, W).
    """
    images = {look: np.full(x.shape, values[0], np.float32) for look, values in _BRIGHTNESS.items()}
    for tissue, cx, cy, rx, ry in _SHAPES[organ, plane]:
        inside = ellipse(x, y, cx, cy, rx, ry, edge)
        at = 1 + TISSUES.index(tissue)
        for look, values in _BRIGHTNESS.items():
            if look == "path":
                images[look] += values[at] * inside
            else:
                images[look] += inside * (values[at] - images[look])
    return images


def body(organ: str, plane: str, x: FloatImages, y: FloatImages, edge: float) -> FloatImages:
    """Share of each pixel that lies inside the body, (N, H, W) in [0, 1]."""
    soft = [shape[1:] for shape in _SHAPES[organ, plane] if shape[0] == "soft"]
    return np.max([ellipse(x, y, *shape, edge) for shape in soft], axis=0)


def ellipse(
    x: FloatImages, y: FloatImages, cx: Scalar, cy: Scalar, rx: Scalar, ry: Scalar, edge: Scalar
) -> FloatImages:
    """Share of each pixel inside an ellipse with a soft edge of that width; numbers, or one per image as (N, 1, 1)."""
    distance = np.sqrt(((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2)
    return np.clip(0.5 + (1 - distance) * np.minimum(rx, ry) / edge, 0, 1).astype(np.float32)


def segment(
    x: FloatImages, y: FloatImages, start: Sequence[Scalar], end: Sequence[Scalar]
) -> tuple[FloatImages, FloatImages]:
    """Distance of every pixel to a straight segment, and the place along it (0 to 1) that is nearest."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    along = np.clip(((x - start[0]) * dx + (y - start[1]) * dy) / (dx**2 + dy**2), 0, 1)
    distance = np.hypot(x - start[0] - along * dx, y - start[1] - along * dy)
    return distance.astype(np.float32), along.astype(np.float32)
