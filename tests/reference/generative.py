"""Distances between sets of features and MS-SSIM, from other software, without any code of medrepro.

Run in an environment with torch-fidelity, torchmetrics, prdc, monai, pytorch-msssim, scikit-image and mpmath:
    python generative.py      (writes generative.json beside this file)
Features are rounded and stored; pictures are made of few numbers, which are stored as well.
"""

import contextlib
import io
import json
from datetime import date
from importlib.metadata import version
from pathlib import Path

import mpmath as mp
import numpy as np
import torch
from monai.metrics import MultiScaleSSIMMetric
from prdc import compute_prdc
from prdc.prdc import compute_nearest_neighbour_distances, compute_pairwise_distance
from pytorch_msssim import ms_ssim
from skimage.measure import block_reduce
from skimage.metrics import structural_similarity
from torch_fidelity.metric_fid import fid_statistics_to_metric
from torch_fidelity.metric_kid import kernel_mmd
from torchmetrics.functional.image import multiscale_structural_similarity_index_measure
from torchmetrics.image.fid import _compute_fid
from torchmetrics.image.kid import poly_mmd

rng = np.random.default_rng(20250309)
mp.mp.dps = 60


def normal(n, d, shift=0.0, scale=1.0):
    mix = np.eye(d) + 0.3 * rng.normal(size=(d, d)) if d <= 60 else np.eye(d)
    return np.round(scale * rng.normal(size=(n, d)) @ mix + shift, 3)


def with_constant(x, column):
    x = x.copy()
    x[:, column] = 1.5
    return x


base = normal(40, 5)
SETS = {
    "two normal sets": (base, normal(30, 5, 0.5)),
    "other spread": (normal(50, 4), normal(50, 4, 0.0, 2.5)),
    "one feature": (rng.normal(size=(25, 1)), rng.normal(1, 1, (20, 1))),
    "a constant feature in both": (with_constant(base, 2), with_constant(normal(30, 5, 0.5), 2)),
    "a constant feature in one": (with_constant(base, 2), normal(30, 5)),
    "the same set twice": (base, base),
    "the same set, moved": (base, base + 2.0),
    "fewer rows than features, both": (normal(6, 14), normal(7, 14, 0.4)),
    "fewer rows than features, one": (normal(6, 14), normal(60, 14, 0.4)),
    "far from the origin": (normal(40, 3, 1000.0), normal(35, 3, 1000.5)),
    "copies among the rows": (np.repeat(normal(12, 3), 3, axis=0), normal(30, 3)),
    "more features": (normal(200, 32), normal(150, 32, 0.2)),
}


def exact_frechet(a, b):
    """60 digits: the eigenvalues of root(S_a) S_b root(S_a) through the symmetric root of S_a."""
    a, b = (mp.matrix(x.tolist()) for x in (a, b))

    def moments(x):
        mean = mp.matrix([[mp.fsum(x[i, j] for i in range(x.rows)) / x.rows for j in range(x.cols)]])
        centred = mp.matrix(x.rows, x.cols)
        for i in range(x.rows):
            for j in range(x.cols):
                centred[i, j] = x[i, j] - mean[0, j]
        return mean, centred.T * centred / (x.rows - 1)

    def positive(values):
        return [v if v > 0 else mp.mpf(0) for v in values]

    (mean_a, cov_a), (mean_b, cov_b) = moments(a), moments(b)
    values, vectors = mp.eigsy(cov_a)
    root = vectors * mp.diag([mp.sqrt(v) for v in positive(values)]) * vectors.T
    overlap = mp.fsum(mp.sqrt(v) for v in positive(mp.eigsy(root * cov_b * root, eigvals_only=True)))
    trace = mp.fsum(cov_a[i, i] + cov_b[i, i] for i in range(cov_a.rows))
    return float(mp.fsum((x - y) ** 2 for x, y in zip(mean_a, mean_b, strict=True)) + trace - 2 * overlap)


def distances(a, b):
    stats = [{"mu": x.mean(axis=0), "sigma": np.atleast_2d(np.cov(x, rowvar=False))} for x in (a, b)]
    tensors = [torch.from_numpy(stat[key]) for stat in stats for key in ("mu", "sigma")]
    found = {
        "frechet": {
            "torch-fidelity": fid_statistics_to_metric(*stats, verbose=False)["frechet_inception_distance"],
            "torchmetrics": _compute_fid(*tensors).item(),
        }
    }
    if a.shape[1] <= 14:
        found["frechet"]["mpmath"] = exact_frechet(a, b)
    size = min(len(a), len(b))  # both programs expect sets of equal size
    first, second = (torch.from_numpy(x[:size]) for x in (a, b))
    found["mmd"] = {
        "n": size,
        "torch-fidelity": float(kernel_mmd(a[:size], b[:size])),
        "torchmetrics": poly_mmd(first, second, degree=3, gamma=None, coef=1.0).item(),
    }
    found["manifold"] = {}
    for k in (1, 3, 5):
        if k + 1 < size:  # prdc counts the row itself and needs one row more
            with contextlib.redirect_stdout(io.StringIO()):
                found["manifold"][k] = {name: float(v) for name, v in compute_prdc(a, b, nearest_k=k).items()}
            # Rows exactly on the boundary of a ball: inside in the papers, outside in prdc.
            between = compute_pairwise_distance(a, b)
            reach = compute_nearest_neighbour_distances(a, k)[:, None], compute_nearest_neighbour_distances(b, k)
            found["manifold"][k]["boundary"] = int(sum(np.isclose(between, r, rtol=1e-9, atol=0).sum() for r in reach))
    return found


# Pictures from a formula, so that a few numbers stand for them: waves and a reproducible grain.
def picture(shape, phase, grain):
    grid = np.meshgrid(*[np.arange(n, dtype=float) for n in shape], indexing="ij")
    wave = sum(np.sin(g * (0.11 + 0.07 * i) + phase * (i + 1)) for i, g in enumerate(grid)) / len(shape)
    hash_ = np.sin(sum(g * (12.9898 + 65.2 * i) for i, g in enumerate(grid)) + phase) * 43758.5453
    return 0.5 + 0.4 * wave + grain * (hash_ - np.floor(hash_) - 0.5)


PICTURES = [
    # name, shape, phases, grains, weights
    ("five scales", (176, 192), (0.0, 0.2), (0.0, 0.1), (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)),
    ("five scales, a large difference", (176, 176), (0.0, 0.6), (0.05, 0.4), (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)),
    ("three scales, odd sides", (61, 53), (0.3, 0.4), (0.0, 0.2), (0.4, 0.3, 0.3)),
    ("two scales", (32, 32), (0.0, 0.1), (0.1, 0.1), (0.5, 0.5)),
    ("one scale, which is SSIM", (24, 40), (0.0, 0.1), (0.0, 0.05), (1.0,)),
    ("equal pictures", (48, 48), (0.7, 0.7), (0.1, 0.1), (0.5, 0.5)),
    ("volume, two scales", (26, 24, 28), (0.0, 0.2), (0.0, 0.1), (0.5, 0.5)),
    ("volume, three scales", (46, 44, 45), (0.0, 0.3), (0.05, 0.1), (0.3, 0.3, 0.4)),
    ("volume, one scale", (12, 16, 14), (0.0, 0.2), (0.0, 0.3), (1.0,)),
    ("opposite pictures", (32, 32), (0.0, 3.1), (0.3, 0.3), (0.5, 0.5)),
]


def in_double_precision(a, b, weights):
    """MS-SSIM out of scikit-image's SSIM, whose luminance part is 1 when its constant is made very large."""
    settings = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 1.0}
    value = 1.0
    for scale, weight in enumerate(weights, start=1):
        luminance = {} if scale == len(weights) else {"K1": 1e9}
        value *= max(0.0, structural_similarity(a, b, **settings, **luminance)) ** weight
        a, b = (x[tuple(slice(n // 2 * 2) for n in x.shape)] for x in (a, b))
        a, b = (block_reduce(x, (2,) * x.ndim, np.mean) for x in (a, b))
    return float(value)


def similarity(shape, phases, grains, weights):
    a, b = (torch.from_numpy(picture(shape, p, g))[None, None] for p, g in zip(phases, grains, strict=True))
    metric = MultiScaleSSIMMetric(len(shape), data_range=1.0, kernel_size=11, kernel_sigma=1.5, weights=weights)
    found = {"monai": metric(a, b).item()}
    if min(shape) > 160 and all(n % 8 == 0 for n in shape):  # it takes no smaller pictures and pads odd sides
        found["pytorch-msssim"] = ms_ssim(a, b, data_range=1.0, weights=list(weights), win_size=11).item()
    found["scikit-image"] = in_double_precision(a[0, 0].numpy(), b[0, 0].numpy(), weights)
    # Another convention: SSIM of the coarsest scale also about pixels near the border, mirrored there.
    found["torchmetrics, mirrored border"] = multiscale_structural_similarity_index_measure(
        a, b, gaussian_kernel=True, kernel_size=11, sigma=1.5, data_range=1.0, betas=weights, normalize="relu"
    ).item()
    return found


out = {
    "made_by": "tests/reference/generative.py",
    "date": date.today().isoformat(),
    "versions": {
        p: version(p)
        for p in (
            "torch-fidelity",
            "torchmetrics",
            "prdc",
            "monai",
            "pytorch-msssim",
            "scikit-image",
            "mpmath",
            "numpy",
        )
    },
    "sets": [{"name": name, "a": a.tolist(), "b": b.tolist(), **distances(a, b)} for name, (a, b) in SETS.items()],
    "pictures": [
        {"name": name, "shape": s, "phases": p, "grains": g, "weights": w, "ms-ssim": similarity(s, p, g, w)}
        for name, s, p, g, w in PICTURES
    ],
}
Path(__file__).with_suffix(".json").write_text(json.dumps(out) + "\n", encoding="utf-8")
