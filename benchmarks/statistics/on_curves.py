"""Races on ROC curves: DeLong's test, all pairs of models, and the bootstrap."""

from __future__ import annotations

from functools import partial
from itertools import combinations
from typing import Any

import numpy as np
import proc
from memory import measured
from MLstatkit import Delong_test
from race import Race, Rival, largest
from scipy.stats import bootstrap, rankdata
from sklearn.metrics import roc_auc_score

from medrepro import stats

SEED, N_BOOT = 0, 1000
FEW = 10  # of all pairs, for the rival that needs most of a minute for them


def cases(n: int, models: int) -> tuple[Any, Any]:
    """Labels (n,), 30 % positive, and scores (models, n) that share part of their noise; no ties."""
    rng = np.random.default_rng(SEED)
    y = (rng.random(n) < 0.3).astype(int)
    shared = rng.normal(size=n) + y
    return y, shared + rng.normal(size=(models, n))


def z_of_pairs(y: Any, scores: Any, pairs: Any) -> list[float]:
    result = stats.delong(y, scores)
    return [result.compare(i, j).statistic for i, j in pairs]


def mlstatkit(y: Any, scores: Any, pairs: Any) -> list[float]:
    """z statistics; MLstatkit's sign is that of the second model minus the first."""
    return [-Delong_test(y, scores[i], scores[j], return_ci=False, return_auc=False)[0] for i, j in pairs]


def z_difference(ours: list[float], theirs: list[float], name: str) -> float:
    return largest(*zip(ours, theirs, strict=False))  # a rival may have run the first pairs only


def sort_all(scores: Any) -> None:
    for score in scores:
        np.argsort(score)


def delong_pair(quick: bool) -> Race:
    n = 20_000 if quick else 1_000_000
    y, scores = cases(n, 2)
    pairs = [(0, 1)]
    rivals = [Rival("MLstatkit", partial(mlstatkit, y, scores, pairs), 9)]
    skipped = {}
    r = None
    if reason := proc.missing():
        skipped["pROC"] = reason
    else:
        r = proc.Proc(y, scores)
        rivals.insert(0, Rival("pROC", r.compare, 4, timed=True, note="roc twice and roc.test, in R"))

    def memory() -> list[dict[str, Any]]:
        found = {"ours": measured("delong ours", n, 2), "MLstatkit": measured("delong MLstatkit", n, 2)}
        if r is not None:
            found["pROC, whole process"] = r.peak_bytes()
        limits = {"ours": 20.0}
        return [
            {"what": name, "bytes_per_case_and_model": peak / (2 * n), "limit": limits.get(name)}
            for name, peak in found.items()
        ]

    return Race(
        "delong_pair",
        f"Paired DeLong test of two models from raw vectors, n = {n:,}",
        partial(z_of_pairs, y, scores, pairs),
        rivals,
        z_difference,
        1e-6,
        "z statistics",
        f"sorting: argsort of {n:,} numbers, twice",
        partial(sort_all, scores),
        memory,
        skipped,
    )


def delong_all_pairs(quick: bool) -> Race:
    n, models = (2_000, 5) if quick else (100_000, 20)
    y, scores = cases(n, models)
    pairs = list(combinations(range(models), 2))
    rivals = [
        Rival(
            "loop over MLstatkit",
            partial(mlstatkit, y, scores, pairs[:FEW]),
            20,
            share=FEW / len(pairs),
            note=f"{FEW} of {len(pairs)} pairs run, time scaled",
        )
    ]
    skipped = {}
    if reason := proc.missing():
        skipped["pROC"] = reason
    else:
        r = proc.Proc(y, scores)
        note = "roc once a model, roc.test once a pair, in R"
        rivals.insert(0, Rival("loop over pROC", r.compare, 20, timed=True, note=note))
    return Race(
        "delong_all_pairs",
        f"{models} models on the same cases, all {len(pairs)} pairs, n = {n:,}",
        partial(z_of_pairs, y, scores, pairs),
        rivals,
        z_difference,
        1e-6,
        "z statistics",
        f"sorting: argsort of {n:,} numbers, {models} times",
        partial(sort_all, scores),
        skipped=skipped,
    )


def draw_and_count(n: int) -> None:
    rng = np.random.default_rng(SEED)
    for _ in range(N_BOOT):
        np.bincount(rng.integers(0, n, size=n), minlength=n)


def auroc_difference(quick: bool) -> Race:
    n = 1_000 if quick else 20_000
    y, scores = cases(n, 2)

    def ours() -> Any:
        return stats.bootstrap_auroc(y, scores, n_boot=N_BOOT, seed=SEED).compare(0, 1).difference

    def scikit_learn() -> Any:
        rng = np.random.default_rng(SEED)
        drawn = np.empty(N_BOOT)
        for b in range(N_BOOT):
            take = rng.integers(0, n, size=n)
            labels = y[take]
            drawn[b] = roc_auc_score(labels, scores[0, take]) - roc_auc_score(labels, scores[1, take])
        return np.quantile(drawn, [0.025, 0.975])

    return Race(
        "auroc_difference",
        f"Bootstrap interval of a paired AUROC difference, {N_BOOT:,} resamples, n = {n:,}",
        ours,
        [Rival("loop over scikit-learn", scikit_learn, 60)],
        lambda a, b, _: largest((a.low, b[0]), (a.high, b[1])),
        1e-10,
        "bounds from the same resamples",
        f"drawing and counting {N_BOOT:,} resamples of {n:,} cases",
        partial(draw_and_count, n),
    )


def auroc_bca(quick: bool) -> Race:
    n = 500 if quick else 10_000
    y, scores = cases(n, 1)
    score = scores[0]

    def ours() -> Any:
        return stats.bootstrap_auroc(y, score, n_boot=N_BOOT, method="bca", seed=SEED).estimate()

    def mann_whitney(labels: Any, values: Any, axis: int = -1) -> Any:
        positives = labels.sum(axis=axis)
        ranks = (rankdata(values, axis=axis) * labels).sum(axis=axis)
        return (ranks - positives * (positives + 1) / 2) / (positives * (labels.shape[axis] - positives))

    def scipy_bootstrap() -> Any:
        rng = np.random.default_rng(SEED)
        how: dict[str, Any] = {"n_resamples": N_BOOT, "method": "BCa", "paired": True, "vectorized": True, "batch": 50}
        return bootstrap((y, score), mann_whitney, rng=rng, **how).confidence_interval

    return Race(
        "auroc_bca",
        f"BCa interval of an AUROC, {N_BOOT:,} resamples, n = {n:,}",
        ours,
        [
            Rival(
                "scipy.stats.bootstrap",
                scipy_bootstrap,
                30,
                note="vectorised Mann-Whitney statistic, four times faster than scikit-learn's function inside it",
            )
        ],
        lambda a, b, _: largest((a.low, b.low), (a.high, b.high)),
        1e-10,
        "bounds from the same resamples",
        f"drawing and counting {N_BOOT:,} resamples of {n:,} cases",
        partial(draw_and_count, n),
    )


RACES = {race.__name__: race for race in (delong_pair, delong_all_pairs, auroc_difference, auroc_bca)}
