"""Independent numbers for the handbook page on generated images.

Run in an environment with torch-fidelity, prdc, monai and scikit-learn: python generative_page.py
Writes generative_page.json beside this file. The sets of pictures are those of the page: its cells that make them are
executed from the notebook, and hold NumPy, SciPy and scikit-learn only. Everything that is measured on them comes from
the packages above.
"""

import contextlib
import io
import json
from datetime import date
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from monai.metrics import MultiScaleSSIMMetric
from prdc import compute_prdc
from scipy import ndimage
from sklearn.covariance import LedoitWolf
from sklearn.datasets import load_digits
from sklearn.neighbors import NearestNeighbors
from torch_fidelity.metric_fid import fid_statistics_to_metric
from torch_fidelity.metric_kid import kernel_mmd

ROOT = Path(__file__).resolve().parents[2]
notebook = json.loads((ROOT / "book" / "statistics" / "generative.ipynb").read_text(encoding="utf-8"))
cells = {cell["id"]: "".join(cell["source"]) for cell in notebook["cells"]}
page = {"np": np, "ndimage": ndimage, "LedoitWolf": LedoitWolf, "load_digits": load_digits, "SEED": 0}
for name in ("data", "generators", "makers"):
    exec(cells[name], page)
features, images, makers, test, train, spare = (
    page[name] for name in ("features", "images", "makers", "test", "train", "spare")
)


def frechet(a, b):
    moments = [{"mu": x.mean(axis=0), "sigma": np.cov(x, rowvar=False)} for x in (a, b)]
    return fid_statistics_to_metric(*moments, verbose=False)["frechet_inception_distance"]


both_real = np.concatenate([test, spare])
by_number = {}
for n in (25, 50, 100, 200, 500):
    row = {}
    for name in ("real, spare", "fair", "blurred"):
        pairs = []
        for seed in range(50):
            mixed = np.random.default_rng(seed).permutation(both_real)
            other = images[mixed[n : 2 * n]] if name == "real, spare" else makers[name](n, seed)
            pairs.append((features(images[mixed[:n]]), features(other)))
        row[f"Fréchet, {name}"] = float(np.mean([frechet(a, b) for a, b in pairs]))
        row[f"KID, {name}"] = float(np.mean([kernel_mmd(a, b) for a, b in pairs]))
    by_number[n] = row

metric = MultiScaleSSIMMetric(2, data_range=1.0, kernel_size=11, kernel_sigma=1.5, weights=(0.5, 0.5))
reference, learnt = features(images[test]), features(images[train])
judged = {}
for name, make in makers.items():
    pictures = make(500, 0)
    x = features(pictures)
    with contextlib.redirect_stdout(io.StringIO()):
        of_three, of_five = (compute_prdc(reference, x, nearest_k=k) for k in (3, 5))
    large = torch.from_numpy(np.kron(pictures, np.ones((1, 4, 4))))[:, None]
    to_learnt, to_unseen = (
        NearestNeighbors(n_neighbors=1).fit(real).kneighbors(x)[0][:, 0] for real in (learnt, reference)
    )
    judged[name] = {
        "Fréchet": frechet(reference, x),
        "KID [95 %]": float(kernel_mmd(reference, x)),
        "precision": float(of_three["precision"]),
        "recall": float(of_three["recall"]),
        "density": float(of_five["density"]),
        "coverage": float(of_five["coverage"]),
        "MS-SSIM within [95 %]": float(metric(large[::2], large[1::2]).mean()),
        "nearer to the training set [95 %]": float(np.mean(to_learnt < to_unseen)),
        "distance to training / to unseen": float(np.median(to_learnt) / np.median(to_unseen)),
    }

trap = {}
for name, maker, n in (
    ("paper A: fair, 50 images", "fair", 50),
    ("paper B: no 7, 8, 9, 500 images", "no 7, 8, 9", 500),
    ("A again, 500 images", "fair", 500),
):
    draws = [np.random.default_rng(seed).permutation(both_real) for seed in range(20)]
    distance = [frechet(features(images[d[:n]]), features(makers[maker](n, seed))) for seed, d in enumerate(draws)]
    floor = [frechet(features(images[d[:n]]), features(images[d[n : 2 * n]])) for d in draws]
    trap[name] = [float(np.mean(distance)), float(np.mean(floor))]

# The expected smallest of k values drawn from those of 600 equal checkpoints, from order statistics: no drawing.
checkpoints = np.sort(
    [
        frechet(
            features(images[np.random.default_rng(seed).permutation(both_real)[:200]]),
            features(makers["fair"](200, seed)),
        )
        for seed in range(600)
    ]
)
rank = np.arange(601) / 600
smallest = {k: float(checkpoints @ -np.diff((1 - rank) ** k)) for k in (1, 5, 20, 100)}

out = {
    "made_by": "tests/reference/generative_page.py",
    "date": date.today().isoformat(),
    "versions": {p: version(p) for p in ("torch-fidelity", "prdc", "monai", "scikit-learn", "numpy")},
    "by number": by_number,
    "judged": judged,
    "trap": trap,
    "smallest of k": smallest,
    "spread of equal checkpoints": float(checkpoints.std()),
}
Path(__file__).with_suffix(".json").write_text(json.dumps(out, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
