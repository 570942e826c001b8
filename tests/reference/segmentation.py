"""Overlap and surface distance of made masks, from MedPy, MONAI and torchmetrics, without any code of medrepro.

Run in an environment with medpy, monai, torchmetrics and scipy: python segmentation.py   (writes segmentation.json)
Masks are stored as packed bits, so that the tests need neither these packages nor the generator.
"""

import json
from datetime import date
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from medpy.metric import binary
from monai.metrics import compute_average_surface_distance, compute_dice, compute_hausdorff_distance, compute_iou
from scipy import ndimage
from torchmetrics.functional.classification import binary_f1_score, binary_jaccard_index

rng = np.random.default_rng(20240707)
directed = vars(binary)["__surface_distances"]  # what MedPy's means and percentiles are taken of


def blobs(shape, smooth=2.0, cut=0.02):
    base, other = (ndimage.gaussian_filter(rng.normal(size=shape), smooth) for _ in range(2))
    return base > cut, base + 0.5 * other > cut


def box(shape, *slices):
    mask = np.zeros(shape, dtype=bool)
    mask[slices] = True
    return mask


def ball(shape, radius, centre=None):
    grid = np.indices(shape).astype(float)
    centre = [(n - 1) / 2 for n in shape] if centre is None else centre
    return sum((g - c) ** 2 for g, c in zip(grid, centre, strict=True)) <= radius**2


s, wide = slice(2, 6), (12, 14, 13)
one = blobs((16, 20))
CASES = {
    "smooth noise, 2-D": (*blobs((24, 30)), (0.7, 0.7)),
    "smooth noise, 2-D, pixels not square": (*blobs((30, 24)), (1.5, 0.5)),
    "smooth noise, 3-D": (*blobs((12, 20, 18)), (1.0, 1.0, 1.0)),
    "smooth noise, 3-D, thick slices": (*blobs((12, 20, 18)), (5.0, 0.7, 0.7)),
    "smooth noise, 3-D, thin slices": (*blobs((12, 20, 18)), (0.5, 0.8, 0.8)),
    "rough noise in many parts": (*blobs((10, 12, 11), smooth=0.7, cut=0.1), (2.5, 0.8, 0.7)),
    "identical masks": (one[0], one[0], (0.5, 2.0)),
    "one voxel each, the same": (box((5, 5, 5), 2, 2, 2), box((5, 5, 5), 2, 2, 2), (2.0, 0.5, 0.5)),
    "one voxel each, apart": (box((5, 6, 7), 0, 1, 2), box((5, 6, 7), 4, 5, 6), (3.0, 0.5, 0.25)),
    "one voxel against a ball": (box(wide, 6, 7, 6), ball(wide, 4.2), (2.5, 0.7, 0.7)),
    "disjoint boxes": (box((9, 20), s, slice(1, 4)), box((9, 20), s, slice(12, 18)), (1.0, 1.0)),
    "boxes that touch": (box((9, 20), s, slice(1, 4)), box((9, 20), s, slice(4, 8)), (1.0, 0.3)),
    "nested balls": (ball(wide, 3.0), ball(wide, 5.2), (1.25, 0.6, 0.6)),
    "a ball moved by one slice": (ball(wide, 4), ball(wide, 4, (6.5, 6.5, 6.0)), (2.5, 0.7, 0.7)),
    "a shell against its ball": (ball(wide, 5) & ~ball(wide, 3), ball(wide, 5), (1.25, 0.6, 0.6)),
    "the whole image against half of it": (np.ones((6, 8)), box((6, 8), slice(0, 3)), (2.0, 1.0)),
    "up to the border of the image": (box((7, 7), slice(0, 4)), box((7, 7), slice(3, 7)), (1.0, 1.0)),
    "a single slice": (*(m[None] for m in blobs((18, 22))), (5.0, 0.7, 0.7)),
    "a line against a plane": (box((7, 8, 9), slice(1, 6), 4, 4), box((7, 8, 9), 3), (3.0, 1.0, 1.0)),
}


def measures(a, b, spacing):
    a_to_b, b_to_a = directed(a, b, list(spacing)), directed(b, a, list(spacing))
    ta, tb = (torch.from_numpy(m)[None, None] for m in (a, b))
    flat = [torch.from_numpy(m.astype(int).ravel()) for m in (a, b)]
    keys = {"spacing": spacing, "include_background": True}
    return {
        "medpy": {
            "dc": binary.dc(a, b),
            "jc": binary.jc(a, b),
            "asd a to b": binary.asd(a, b, list(spacing)),
            "asd b to a": binary.asd(b, a, list(spacing)),
            "surface voxels": [a_to_b.size, b_to_a.size],
            "hd": binary.hd(a, b, list(spacing)),
            "assd": binary.assd(a, b, list(spacing)),
            # MedPy takes one percentile of both directions pooled; the line below is MONAI's definition of it.
            "hd95, pooled": binary.hd95(a, b, list(spacing)),
            "hd95, larger of two": max(np.percentile(a_to_b, 95), np.percentile(b_to_a, 95)),
        },
        "monai": {
            "dice": compute_dice(ta, tb).item(),
            "iou": compute_iou(ta, tb).item(),
            "assd": compute_average_surface_distance(ta, tb, symmetric=True, **keys).item(),
            "hd95": compute_hausdorff_distance(ta, tb, percentile=95, **keys).item(),
        },
        "torchmetrics": {"f1": binary_f1_score(*flat).item(), "jaccard": binary_jaccard_index(*flat).item()},
    }


def rule_for_empty(a, b):
    """What each program says of empty masks; "error" where it refuses."""
    ta, tb = (torch.from_numpy(m)[None, None] for m in (a, b))
    flat = [torch.from_numpy(m.astype(int).ravel()) for m in (a, b)]
    said = {
        "medpy dc": lambda: binary.dc(a, b),
        "medpy hd95": lambda: binary.hd95(a, b),
        "monai dice": lambda: compute_dice(ta, tb).item(),
        "monai dice, ignore_empty=False": lambda: compute_dice(ta, tb, ignore_empty=False).item(),
        "monai hd95": lambda: compute_hausdorff_distance(ta, tb, percentile=95, include_background=True).item(),
        "torchmetrics f1": lambda: binary_f1_score(*flat).item(),
        "torchmetrics f1, zero_division=1": lambda: binary_f1_score(*flat, zero_division=1).item(),
    }
    found = {}
    for name, call in said.items():
        try:
            found[name] = repr(float(call()))
        except (RuntimeError, ValueError):
            found[name] = "error"
    return found


def packed(mask):
    return np.packbits(np.asarray(mask, dtype=bool).ravel()).tobytes().hex()


empty, full = np.zeros((4, 5), dtype=bool), box((4, 5), slice(1, 3), slice(1, 4))
out = {
    "made_by": "tests/reference/segmentation.py",
    "date": date.today().isoformat(),
    "versions": {p: version(p) for p in ("medpy", "monai", "torchmetrics", "scipy", "numpy")},
    "cases": [
        {
            "name": name,
            "shape": np.shape(a),
            "a": packed(a),
            "b": packed(b),
            "spacing": spacing,
            **measures(np.asarray(a, dtype=bool), np.asarray(b, dtype=bool), spacing),
        }
        for name, (a, b, spacing) in CASES.items()
    ],
    "empty": {
        "both": rule_for_empty(empty, empty),
        "first": rule_for_empty(empty, full),
        "second": rule_for_empty(full, empty),
    },
}
Path(__file__).with_suffix(".json").write_text(json.dumps(out, indent=1) + "\n", encoding="utf-8")
