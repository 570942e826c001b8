"""Curves, operating points and calibration from scikit-learn and torchmetrics, without any code of medrepro.

Run in an environment with scikit-learn and torchmetrics: python classification.py     (writes classification.json)
"""

import json
import math
import warnings
from datetime import date
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score
from torchmetrics.functional import classification as tm

warnings.simplefilter("ignore")
rng = np.random.default_rng(20250811)


def cohort(n, prevalence, digits=6, strength=1.3):
    y = (rng.random(n) < prevalence).astype(int)
    return y, np.round(1 / (1 + np.exp(-(rng.normal(size=n) + strength * y - 0.8))), digits)


few = cohort(12, 0.5)
CASES = {
    "balanced": cohort(150, 0.5),
    "rare positives": cohort(400, 0.05),
    "ties": cohort(120, 0.4, digits=1),
    "one positive": (np.eye(1, 30, 11, dtype=int)[0], cohort(30, 0.5)[1]),
    "one negative": (1 - np.eye(1, 30, 4, dtype=int)[0], cohort(30, 0.5)[1]),
    "separated": (np.repeat([0, 1], 10), np.round(np.linspace(0.03, 0.97, 20), 4)),
    "reversed": (np.repeat([1, 0], 10), np.round(np.linspace(0.03, 0.97, 20), 4)),
    "all scores equal": (few[0], np.full(12, 0.35)),
    "two scores": (few[0], np.where(np.arange(12) % 3, 0.25, 0.75)),
    "no signal": cohort(200, 0.3, strength=0.0),
}
ONE_CLASS = {
    "positives only": (np.ones(8, dtype=int), few[1][:8]),
    "negatives only": (np.zeros(8, dtype=int), few[1][:8]),
}


def value(number):
    number = float(number)
    return None if math.isnan(number) else number


def at_threshold(y, p, threshold):
    called = (torch.from_numpy(p) >= threshold).long()
    t = torch.from_numpy(y)
    return {
        "sensitivity": value(tm.binary_recall(called, t)),
        "specificity": value(tm.binary_specificity(called, t)),
        "ppv": value(tm.binary_precision(called, t)),
        "npv": value(tm.binary_negative_predictive_value(called, t)),
        "accuracy": value(tm.binary_accuracy(called, t)),
        "f1": value(tm.binary_f1_score(called, t)),
        "mcc": value(tm.binary_matthews_corrcoef(called, t)),
        "called": int(called.sum()),
    }


def measures(y, p):
    tp, ty = torch.from_numpy(p), torch.from_numpy(y)
    return {
        "y": y.tolist(),
        "prob": p.tolist(),
        "average precision": {
            "scikit-learn": average_precision_score(y, p),
            "torchmetrics": value(tm.binary_average_precision(tp, ty)),
        },
        "area, specificity 0.8 to 1, standardised": {"scikit-learn": roc_auc_score(y, p, max_fpr=0.2)},
        "sensitivity at specificity": {
            str(s): value(tm.binary_sensitivity_at_specificity(tp, ty, min_specificity=s)[0]) for s in (0.5, 0.8, 0.95)
        },
        "specificity at sensitivity": {
            str(s): value(tm.binary_specificity_at_sensitivity(tp, ty, min_sensitivity=s)[0]) for s in (0.5, 0.8, 0.95)
        },
        "at 0.4": at_threshold(y, p, 0.4),
        "brier": brier_score_loss(y, p),
        "calibration error": {
            str(n): value(tm.binary_calibration_error(tp, ty, n_bins=n, norm="l1")) for n in (5, 10, 15)
        },
    }


out = {
    "made_by": "tests/reference/classification.py",
    "date": date.today().isoformat(),
    "versions": {p: version(p) for p in ("scikit-learn", "torchmetrics", "torch", "numpy")},
    "cases": {name: measures(y, p) for name, (y, p) in CASES.items()},
    "one class": {
        name: {
            "y": y.tolist(),
            "prob": p.tolist(),
            "brier": brier_score_loss(y, p, labels=[0, 1]),
            "average precision": {"scikit-learn": value(average_precision_score(y, p))},
            "auroc": {"scikit-learn": value(roc_auc_score(y, p))},
            "at 0.4": at_threshold(y, p, 0.4),
        }
        for name, (y, p) in ONE_CLASS.items()
    },
}
Path(__file__).with_suffix(".json").write_text(json.dumps(out) + "\n", encoding="utf-8")
