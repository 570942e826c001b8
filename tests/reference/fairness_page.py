"""Independent numbers for the handbook page on fairness and privacy, without any code of medrepro.

Run in an environment with dp-accounting, fairlearn, pandas and scikit-learn:
    python fairness_page.py PATH/Data_Entry_2017_v2020.csv.gz      (writes fairness_page.json beside this file)
Metrics come from fairlearn and scikit-learn, epsilon from dp-accounting; private training is written with loops over
patients, and draws its noise in the order that the page states.
"""

import json
import sys
from datetime import date
from importlib.metadata import version
from pathlib import Path

import dp_accounting
import numpy as np
import pandas as pd
from dp_accounting import pld, rdp
from fairlearn.metrics import (
    MetricFrame,
    demographic_parity_difference,
    equalized_odds_difference,
    false_positive_rate,
    true_positive_rate,
)
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

SHOWN = ("Effusion", "Atelectasis", "Nodule", "Pneumothorax")
films = pd.read_csv(sys.argv[1]).sort_values(["Patient ID", "Follow-up #"], kind="stable", ignore_index=True)
names = sorted(set("|".join(films["Finding Labels"]).split("|")) - {"No Finding"})
for finding in names:
    films[finding] = [int(finding in text.split("|")) for text in films["Finding Labels"]]
previous = films[names].shift(1)
same = films["Patient ID"].eq(films["Patient ID"].shift(1))
now, previous = films[same].reset_index(drop=True), previous[same].to_numpy()
age = (now["Patient Age"] - 50) / 20
x = np.column_stack([np.ones(len(now)), age, age**2, now["View Position"].eq("AP"), previous]).astype(float)
place = now.groupby("Patient ID").cumcount()
part = dict(zip(np.unique(now["Patient ID"]), np.random.default_rng(0).choice(3, now["Patient ID"].nunique(),
            p=[0.5, 0.1, 0.4]), strict=True))  # fmt: skip
part = now["Patient ID"].map(part)
train, tune, test = ((part == 0) & (place == 0), (part == 1) & (place == 0), (part == 2) & (place < 3))
train, tune, test = (mask.to_numpy() for mask in (train, tune, test))
years = now["Patient Age"][test]
band = np.where(years < 40, "under 40", np.where(years < 60, "40 to 59", "60 and over"))
sex = now["Patient Gender"][test].map({"F": "women", "M": "men"}).to_numpy()


def calls_of(w, finding):
    tuned = np.round(x[tune] @ w, 9)
    return (np.round(x[test] @ w, 9) > np.quantile(tuned[now[finding][tune] == 0], 0.8)).astype(int)


def private(y, noise, seed=0, steps=300, rate=0.05):
    """DP-SGD, one patient's gradient at a time."""
    rng, w, features = np.random.default_rng(seed), np.zeros(x.shape[1]), x[train]
    for _ in range(steps):
        total = np.zeros(len(w))
        for i in np.flatnonzero(rng.random(len(features)) < rate):
            g = (1 / (1 + np.exp(-(features[i] @ w))) - y[i]) * features[i]
            total += g / max(1.0, float(np.sqrt(g @ g)))
        w = w - (total + noise * rng.normal(size=len(w))) / (rate * len(features))
    return w


out = {
    "made_by": "tests/reference/fairness_page.py",
    "date": date.today().isoformat(),
    "versions": {p: version(p) for p in ("fairlearn", "scikit-learn", "dp-accounting", "numpy", "pandas")},
}
out["films"] = {name: int(mask.sum()) for name, mask in (("train", train), ("tune", tune), ("test", test))}
for finding in SHOWN:
    y, target = now[finding][test].to_numpy(), now[finding][train].to_numpy()
    model = LogisticRegression(C=np.inf, fit_intercept=False, tol=1e-10, max_iter=5000).fit(x[train], target)
    w, noisy = model.coef_[0], private(target, 8.0)
    call, own = calls_of(w, finding), {}
    for name, groups in (("age", band), ("sex", sex)):
        rates = {"sensitivity": true_positive_rate, "false alarms": false_positive_rate}
        frame = MetricFrame(metrics=rates, y_true=y, y_pred=call, sensitive_features=groups)
        after = MetricFrame(metrics=rates, y_true=y, y_pred=calls_of(noisy, finding), sensitive_features=groups)
        areas = MetricFrame(metrics=roc_auc_score, y_true=y, y_pred=x[test] @ w, sensitive_features=groups)
        own[name] = {
            "AUROC": areas.by_group.to_dict(),
            **{m: frame.by_group[m].to_dict() for m in rates},
            "sensitivity, private": after.by_group["sensitivity"].to_dict(),
            "parity": demographic_parity_difference(y, call, sensitive_features=groups),
            "odds": equalized_odds_difference(y, call, sensitive_features=groups),
        }
    own["AUROC"] = [roc_auc_score(y, x[test] @ w), roc_auc_score(y, x[test] @ noisy)]
    out[finding] = own

# Best minus worst sensitivity of groups by lot, with other draws than the page.
y, rng = now["Effusion"][test].to_numpy(), np.random.default_rng(99)
model = LogisticRegression(C=np.inf, fit_intercept=False, tol=1e-10, max_iter=5000)
call = calls_of(model.fit(x[train], now["Effusion"][train]).coef_[0], "Effusion")
owner, out["by lot"] = pd.factorize(now["Patient ID"][test])[0], {}
for k in (2, 4, 8, 16, 32):
    gaps = []
    for _ in range(300):
        group = rng.permutation(np.arange(owner.max() + 1) % k)[owner][y == 1]
        share = pd.Series(call[y == 1]).groupby(group).mean()
        gaps.append(share.max() - share.min())
    out["by lot"][str(k)] = [float(np.mean(gaps)), float(np.std(gaps) / np.sqrt(300))]

neighbours = dp_accounting.NeighboringRelation.ADD_OR_REMOVE_ONE
out["epsilon"] = []
for noise, rate, steps in [(2.0, 0.05, s) for s in (30, 100, 300, 1000, 3000)] + [
    (8.0, 0.05, 300), (8.0, 0.05, 60), (4.0, 0.05, 1000), (4.0, 0.025, 2000),
]:  # fmt: skip
    step = dp_accounting.PoissonSampledDpEvent(rate, dp_accounting.GaussianDpEvent(noise))
    run = dp_accounting.SelfComposedDpEvent(step, steps)
    found = [
        float(accountant.compose(run).get_epsilon(1e-5))
        for accountant in (rdp.RdpAccountant(neighboring_relation=neighbours), pld.PLDAccountant(neighbours))
    ]
    out["epsilon"].append({"run": [noise, rate, steps], "rdp": found[0], "pld": found[1]})
fixed = dp_accounting.SelfComposedDpEvent(dp_accounting.GaussianDpEvent(2.0), 15)
out["epsilon, fixed batches"] = float(pld.PLDAccountant(neighbours).compose(fixed).get_epsilon(1e-5))
Path(__file__).with_suffix(".json").write_text(json.dumps(out, indent=1) + "\n")
