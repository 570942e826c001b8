"""Subgroup gaps from Fairlearn and privacy loss from dp-accounting, without any code of medrepro.

Run in an environment with fairlearn, scikit-learn and dp-accounting: python fairness.py
Writes fairness.json beside this file; the cases are stored with the results.
"""

import json
from datetime import date
from importlib.metadata import version
from pathlib import Path

import dp_accounting
import numpy as np
from dp_accounting import pld, rdp
from fairlearn.metrics import (
    MetricFrame,
    demographic_parity_difference,
    equalized_odds_difference,
    false_positive_rate,
    selection_rate,
    true_positive_rate,
)
from sklearn.metrics import roc_auc_score

rng = np.random.default_rng(20241105)
n = 300
groups = rng.choice(["f", "m", "x"], n, p=[0.45, 0.4, 0.15])
y = (rng.random(n) < 0.4).astype(int)
before = np.round(rng.normal(size=n) + y, 3)
after = np.round(rng.normal(size=n) + y * np.where(groups == "x", 0.2, 0.9), 3)
calls = (before > 0.5).astype(int)
metrics = {"selection": selection_rate, "sensitivity": true_positive_rate, "false positives": false_positive_rate}
frame = MetricFrame(metrics=metrics, y_true=y, y_pred=calls, sensitive_features=groups)
areas = [MetricFrame(metrics=roc_auc_score, y_true=y, y_pred=s, sensitive_features=groups) for s in (before, after)]
out = {
    "made_by": "tests/reference/fairness.py",
    "date": date.today().isoformat(),
    "versions": {p: version(p) for p in ("fairlearn", "scikit-learn", "dp-accounting", "numpy")},
    "cases": {"groups": groups.tolist(), "y": y.tolist(), "before": before.tolist(), "after": after.tolist()},
    "by group": {name: frame.by_group[name].to_dict() for name in metrics},
    "demographic parity difference": demographic_parity_difference(y, calls, sensitive_features=groups),
    "equalised odds difference": equalized_odds_difference(y, calls, sensitive_features=groups),
    "AUROC gap": [area.difference(method="between_groups") for area in areas],
    "privacy": [],
}
# Noise, sampling rate, steps, delta: add or remove one record, Poisson sampling, Gaussian noise.
for noise, rate, steps, delta in [(1.1, 0.01, 1000, 1e-5), (2.0, 0.02, 5000, 1e-6), (0.8, 0.004, 3000, 1e-5)]:
    step = dp_accounting.PoissonSampledDpEvent(rate, dp_accounting.GaussianDpEvent(noise))
    run = dp_accounting.SelfComposedDpEvent(step, steps)
    neighbours = dp_accounting.NeighboringRelation.ADD_OR_REMOVE_ONE
    out["privacy"].append({
        "run": [noise, rate, steps, delta],
        "rdp": float(rdp.RdpAccountant(neighboring_relation=neighbours).compose(run).get_epsilon(delta)),
        "pld": float(pld.PLDAccountant(neighbours).compose(run).get_epsilon(delta)),
    })  # fmt: skip
Path(__file__).with_suffix(".json").write_text(json.dumps(out, indent=1) + "\n")
