"""Races on agreement, generated images and masks."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import io
import sys
import types
import warnings
from functools import partial
from typing import Any
from unittest.mock import MagicMock

import numpy as np
import scipy.linalg
import torch
from medpy.metric import binary
from memory import measured
from monai.metrics import compute_average_surface_distance, compute_hausdorff_distance
from prdc import compute_prdc
from race import Race, Rival, largest
from scipy.ndimage import distance_transform_edt
from statsmodels.stats import inter_rater

from medrepro import stats
from medrepro.stats.generative import frechet_distance, improved_precision_recall
from medrepro.stats.segmentation import assd, hd95

SEED, N_BOOT = 0, 1000


def fleiss_bootstrap(quick: bool) -> Race:
    n, raters = (500 if quick else 10_000), 4
    rng = np.random.default_rng(SEED)
    table = rng.multinomial(raters, rng.dirichlet(np.ones(5), size=n))

    def ours() -> Any:
        return stats.fleiss_kappa(table, n_boot=N_BOOT, seed=SEED)

    def loop() -> Any:
        draws = np.random.default_rng(SEED)
        drawn = [inter_rater.fleiss_kappa(table[draws.integers(0, n, size=n)]) for _ in range(N_BOOT)]
        return inter_rater.fleiss_kappa(table), *np.quantile(drawn, [0.025, 0.975])

    def difference(a: Any, b: Any, _: str) -> float:
        # Kappa agrees to rounding. Resamples are others of the same distribution, and a 2.5 % quantile of 1,000 has a
        # Monte-Carlo error of 2 % of the width: two bounds of two bootstraps stay within four times 3 %.
        if abs(a.value - b[0]) > 1e-12:
            return float("inf")
        return largest((a.low, b[1]), (a.high, b[2])) / (b[2] - b[1])

    kinds = len(np.unique(table, axis=0))

    def limit() -> None:
        _, how_many = np.unique(table @ 10 ** np.arange(5), return_counts=True)
        np.random.default_rng(SEED).multinomial(n, how_many / n, size=N_BOOT)

    return Race(
        "fleiss_bootstrap",
        f"Bootstrap of Fleiss' kappa, {n:,} subjects, {raters} raters, 5 categories, {N_BOOT:,} resamples",
        ours,
        [Rival("loop over statsmodels", loop, 50)],
        difference,
        0.12,
        "kappas are equal to 1e-12; bounds, in widths of the interval,",
        f"drawing how many subjects there are of each of {kinds} kinds, {N_BOOT:,} times",
        limit,
    )


def frechet(quick: bool) -> Race:
    n, d = (100, 200) if quick else (1000, 2048)
    rng = np.random.default_rng(SEED)
    a, b = rng.normal(size=(n, d)), 1.1 * rng.normal(size=(n, d)) + 0.1
    fid = torch_fidelity_fid()

    def scipy_sqrtm() -> float:
        s_a, s_b = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
        shift = a.mean(axis=0) - b.mean(axis=0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the product of two singular matrices is named as such
            root = scipy.linalg.sqrtm(s_a @ s_b)
        return float(shift @ shift + np.trace(s_a) + np.trace(s_b) - 2 * np.trace(root.real))

    def torch_fidelity() -> float:
        of_a, of_b = (fid.fid_features_to_statistics(torch.as_tensor(x)) for x in (a, b))
        return float(fid.fid_statistics_to_metric(of_a, of_b, False)[fid.KEY_METRIC_FID])

    def limit() -> None:
        np.linalg.svd(a @ b.T, compute_uv=False)

    note = "its functions on features; torchvision, which its image networks need, is replaced by a dummy"
    return Race(
        "frechet",
        f"Frechet distance of two sets of features, d = {d:,}, n = {n:,}",
        partial(frechet_distance, a, b),
        [Rival("torch-fidelity", torch_fidelity, 10, note=note), Rival("scipy.linalg.sqrtm", scipy_sqrtm, 100)],
        # Roots of singular matrices lose half the digits in the rivals.
        lambda ours, theirs, _: abs(ours - theirs) / ours,
        1e-4,
        "distances, relatively,",
        f"one {n:,} x {d:,} x {n:,} product and the singular values of the result",
        limit,
    )


def torch_fidelity_fid() -> Any:
    """The module torch_fidelity.metric_fid without the package around it."""
    spec = importlib.util.find_spec("torch_fidelity")
    assert spec is not None
    package = types.ModuleType("torch_fidelity")
    package.__path__ = list(spec.submodule_search_locations or [])
    sys.modules |= {"torch_fidelity": package, "torch_fidelity.utils": MagicMock()}
    return importlib.import_module("torch_fidelity.metric_fid")


def precision_recall(quick: bool) -> Race:
    n, d = (300, 64) if quick else (5000, 2048)
    rng = np.random.default_rng(SEED)
    real, generated = rng.normal(size=(n, d)), 1.02 * rng.normal(size=(n, d))
    single = [x.astype(np.float32) for x in (real, generated)]

    def ours() -> Any:
        found = improved_precision_recall(real, generated, k=3)
        return found.precision, found.recall

    def prdc() -> Any:
        with contextlib.redirect_stdout(io.StringIO()):
            found = compute_prdc(real, generated, 3)
        return found["precision"], found["recall"]

    def limit() -> None:
        a, b = single
        a @ a.T
        b @ b.T
        a @ b.T

    def memory() -> list[dict[str, Any]]:
        given = 2 * n * d * 8
        return [
            {"what": name, "mib": measured(what, n, d) / 2**20, "arguments_mib": given / 2**20, "limit": None}
            for name, what in (("ours", "neighbours ours"), ("prdc", "neighbours prdc"))
        ]

    note = "computes density and coverage too, which takes it less than 3 % of the time"
    return Race(
        "precision_recall",
        f"Improved precision and recall, {n:,} real and {n:,} generated images, d = {d:,}, k = 3",
        ours,
        [Rival("prdc", prdc, 3, note=note)],
        lambda a, b, _: largest(*zip(a, b, strict=True)),
        0.0,
        "precision and recall",
        "three matrix products in single precision, two of them symmetric",
        limit,
        memory,
    )


def masks(quick: bool) -> tuple[Any, Any, tuple[float, float, float]]:
    """Two overlapping ellipsoids with dented surfaces, and the voxel size in mm."""
    side = 32 if quick else 128
    z, y, x = (np.linspace(-1, 1, side)[tuple(slice(None) if a == b else None for b in range(3))] for a in range(3))
    angle = np.arctan2(y, x)
    dents = 1 + 0.08 * np.sin(5 * angle) * np.cos(4 * z)
    first = (z / 0.7) ** 2 + (y / 0.6) ** 2 + (x / 0.65) ** 2 < dents
    second = ((z - 0.06) / 0.65) ** 2 + ((y + 0.05) / 0.6) ** 2 + (x / 0.7) ** 2 < dents[:, ::-1]
    return first, second, (2.0, 1.0, 1.0)


def boxed_transforms(a: Any, b: Any, spacing: Any) -> None:
    """Distance transforms of both masks in the box that holds them."""
    where = [np.flatnonzero((a | b).any(axis=tuple(o for o in range(3) if o != axis))) for axis in range(3)]
    box = tuple(slice(w[0], w[-1] + 1) for w in where)
    for mask in (a, b):
        distance_transform_edt(mask[box], sampling=spacing)


def average_surface_distance(quick: bool) -> Race:
    a, b, spacing = masks(quick)
    tensors = [torch.as_tensor(mask)[None, None] for mask in (a, b)]

    def monai() -> float:
        how: dict[str, Any] = {"include_background": True, "symmetric": True, "spacing": spacing}
        return float(compute_average_surface_distance(*tensors, **how))

    return Race(
        "average_surface_distance",
        f"Average symmetric surface distance of two masks of {a.shape[0]} x {a.shape[1]} x {a.shape[2]} voxels",
        partial(assd, a, b, spacing),
        [Rival("MONAI", monai, 2), Rival("MedPy", partial(binary.assd, a, b, spacing), 2)],
        lambda ours, theirs, _: abs(ours - theirs),
        1e-5,  # MONAI answers in single precision
        "distances in mm",
        "two Euclidean distance transforms of the box that holds both masks",
        partial(boxed_transforms, a, b, spacing),
    )


def hausdorff_95(quick: bool) -> Race:
    a, b, spacing = masks(quick)
    tensors = [torch.as_tensor(mask)[None, None] for mask in (a, b)]

    def monai() -> float:
        how: dict[str, Any] = {"include_background": True, "percentile": 95, "spacing": spacing}
        return float(compute_hausdorff_distance(*tensors, **how))

    return Race(
        "hausdorff_95",
        f"95th percentile of the Hausdorff distance of the same masks, {a.shape[0]} x {a.shape[1]} x {a.shape[2]}",
        partial(hd95, a, b, spacing),
        [Rival("MONAI", monai, 2)],
        lambda ours, theirs, _: abs(ours - theirs),
        1e-5,
        "distances in mm",
        "two Euclidean distance transforms of the box that holds both masks",
        partial(boxed_transforms, a, b, spacing),
        skipped={"MedPy": "takes one percentile of both directions pooled: another quantity"},
    )


_ALL = (fleiss_bootstrap, frechet, precision_recall, average_surface_distance, hausdorff_95)
RACES = {race.__name__: race for race in _ALL}
