"""How often intervals of the statistics layer cover the truth: `python benchmarks/coverage.py [--quick]`.

Every scenario draws data sets from a model whose true value is known, makes each kind of interval on each data set
and counts. Each scenario and size has its own seed and is written to book/results/coverage.json as soon as it is done,
so that a stopped study goes on where it stopped; --fresh begins anew. --quick takes 200 data sets, prints the table and
writes nothing.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import ndtr, ndtri
from scipy.stats import binom

from medrepro import stats
from medrepro.stats.resampling import Method
from medrepro.stats.results import Estimate

OUT = Path(__file__).resolve().parent.parent / "book" / "results" / "coverage.json"
SIZES = (30, 100, 1000)
LEVEL, N_BOOT, SEED = 0.95, 1000, 20240
BOOTSTRAPS: tuple[Method, ...] = ("percentile", "basic", "normal", "bca")
IMAGES, SHARED = 5, 0.5  # images a patient; share of the score's variance that they have in common
TRAININGS, SPREAD, COMMON = 5, 0.133, 0.7  # trainings; SD of their separation (0.03 in AUROC); shared variance
PREVALENCE, KAPPA = 0.3, 0.6

Intervals = dict[str, Estimate]


@dataclass(frozen=True)
class Scenario:
    """A model of data with a known truth, and the intervals to be made on each data set of n units."""

    name: str
    truth: float
    unit: str
    draw: Callable[[np.random.Generator, int, int], Intervals]
    n_sim: tuple[int, int, int]  # data sets at each of SIZES


def separation(auroc: float) -> float:
    """Distance of two normal distributions of variance 1 with this AUROC."""
    return math.sqrt(2.0) * float(ndtri(auroc))


def labels(rng: np.random.Generator, n: int) -> np.ndarray:
    return (rng.random(n) < PREVALENCE).astype(int)


def every_bootstrap(y: np.ndarray, score: np.ndarray, seed: int, methods: Sequence[Method], **units: Any) -> Intervals:
    """All bootstrap intervals of an AUROC from one set of resamples."""
    fit = stats.bootstrap_auroc(y, score, n_boot=N_BOOT, method="bca", level=LEVEL, seed=seed, **units)
    return {f"bootstrap, {method}": replace(fit, method=method).estimate() for method in methods}


def plain_auroc(auroc: float) -> Callable[[np.random.Generator, int, int], Intervals]:
    """One case a patient, normal scores, both classes drawn at random."""

    def draw(rng: np.random.Generator, n: int, seed: int) -> Intervals:
        y = labels(rng, n)
        score = rng.normal(size=n) + separation(auroc) * y
        fit = stats.delong(y, score, level=LEVEL)
        closed = {"DeLong": fit.estimate(), "DeLong, logit scale": stats.auroc_on_logit_scale(fit)}
        return closed | every_bootstrap(y, score, seed, BOOTSTRAPS)

    return draw


def clustered_auroc(own_diagnosis: bool) -> Callable[[np.random.Generator, int, int], Intervals]:
    """n patients with IMAGES images each; half of the noise belongs to the patient.

    own_diagnosis: every image has its own, and patients differ in how often it is positive (intraclass correlation
    1/3), so that many patients have images of both classes; else one diagnosis for all images of a patient.
    """

    def draw(rng: np.random.Generator, n: int, seed: int) -> Intervals:
        patient = np.repeat(np.arange(n), IMAGES)
        if own_diagnosis:
            y = (rng.random(patient.size) < rng.beta(2 * PREVALENCE, 2 - 2 * PREVALENCE, n)[patient]).astype(int)
        else:
            y = labels(rng, n)[patient]
        own = rng.normal(size=n)[patient]
        noise = math.sqrt(SHARED) * own + math.sqrt(1 - SHARED) * rng.normal(size=patient.size)
        score = noise + separation(0.75) * y
        found = {
            "images as patients, DeLong": stats.auroc(y, score, level=LEVEL),
            "patients, Obuchowski": stats.auroc(y, score, units=patient, level=LEVEL),
        }
        drawn = every_bootstrap(y, score, seed, ("percentile", "normal", "bca"), units=patient)
        return found | {f"patients, {name}": estimate for name, estimate in drawn.items()}

    return draw


def kappa(rng: np.random.Generator, n: int, seed: int) -> Intervals:
    """Two readers, yes or no, both say yes in PREVALENCE of cases, true kappa KAPPA."""
    both = PREVALENCE**2 + KAPPA * PREVALENCE * (1 - PREVALENCE)
    cells = [both, PREVALENCE - both, PREVALENCE - both, 1 - 2 * PREVALENCE + both]
    a, b = np.array([(1, 1), (1, 0), (0, 1), (0, 0)])[rng.choice(4, size=n, p=cells)].T
    boot: dict[str, Any] = {"n_boot": N_BOOT, "seed": seed, "level": LEVEL}
    drawn = {f"bootstrap, {m}": stats.cohen_kappa(a, b, method=m, **boot) for m in ("percentile", "basic", "bca")}
    return {"closed form": stats.cohen_kappa(a, b, level=LEVEL)} | drawn


def trained_scores(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels (n,) and scores (S, n) of one method trained TRAININGS times; the separation differs by training."""
    y = labels(rng, n)
    apart = rng.normal(separation(0.75), SPREAD, TRAININGS)
    common = math.sqrt(COMMON) * rng.normal(size=n)
    return y, apart[:, None] * y + common + math.sqrt(1 - COMMON) * rng.normal(size=(TRAININGS, n))


def trained_truth() -> float:
    """Mean over trainings of the true AUROC of `trained_scores`: a normal mixture of separations, in closed form."""
    return float(ndtr(separation(0.75) / math.sqrt(2 + SPREAD**2)))


def two_level(rng: np.random.Generator, n: int, seed: int) -> Intervals:
    y, scores = trained_scores(rng, n)
    over_patients = stats.bootstrap_auroc(y, scores, n_boot=N_BOOT, level=LEVEL, seed=seed)
    drawn = stats.two_level_auroc(y, scores, method="percentile", n_boot=N_BOOT, level=LEVEL, seed=seed)
    patients_only = stats.bootstrap_estimate(
        over_patients.aucs.mean(), over_patients.replicates.mean(axis=1), n=n, level=LEVEL
    )
    return {
        "first training only, DeLong": stats.auroc(y, scores[0], level=LEVEL),
        "mean, patients only, percentile": patients_only,
        "mean, both levels, percentile": drawn.estimate(),
        "mean, both levels, t": stats.two_level_auroc(y, scores, level=LEVEL).estimate(),
    }


SCENARIOS = (
    Scenario("AUROC 0.75", 0.75, "case", plain_auroc(0.75), (4000, 4000, 2000)),
    Scenario("AUROC 0.95", 0.95, "case", plain_auroc(0.95), (4000, 4000, 2000)),
    Scenario("AUROC 0.75, 5 images a patient", 0.75, "patient", clustered_auroc(False), (4000, 4000, 2000)),
    Scenario("Cohen's kappa 0.6", KAPPA, "case", kappa, (4000, 4000, 2000)),
    Scenario("AUROC of a method, 5 trainings", trained_truth(), "patient", two_level, (4000, 4000, 2000)),
    # Truth between patients; pairs within a patient are 2 % at n = 30 and move it by 0.0015.
    Scenario("AUROC 0.75, 5 diagnoses a patient", 0.75, "patient", clustered_auroc(True), (4000, 4000, 2000)),
)


def simulate(scenario: Scenario, n: int, n_sim: int, seed: int = SEED) -> list[dict[str, Any]]:
    """One row a method: coverage over the data sets with an interval, its Monte Carlo error, width, misses by side."""
    rng = np.random.default_rng([seed, n, SCENARIOS.index(scenario)])
    found: dict[str, list[Estimate]] = {}
    for number in range(n_sim):
        for method, estimate in scenario.draw(rng, n, number).items():
            found.setdefault(method, []).append(estimate)
    return [{"quantity": scenario.name, "truth": scenario.truth, "n": n, "unit": scenario.unit, "method": method}
            | tally(estimates, scenario.truth) for method, estimates in found.items()]  # fmt: skip


def tally(estimates: Sequence[Estimate], truth: float) -> dict[str, Any]:
    """Coverage and its error, mean width, misses on either side, share without interval and without width."""
    low, high = (np.array([getattr(e, side) for e in estimates]) for side in ("low", "high"))
    defined = ~np.isnan(low) & ~np.isnan(high)
    low, high, n_sim = low[defined], high[defined], len(estimates)
    covered = float(np.mean((low <= truth) & (truth <= high)))
    return {
        "coverage": covered,
        "mc_error": math.sqrt(covered * (1 - covered) / max(low.size, 1)),
        "mean_width": float(np.mean(high - low)),
        "too_low": float(np.mean(high < truth)),  # the whole interval lies below the truth
        "too_high": float(np.mean(low > truth)),
        "undefined": 1 - low.size / n_sim,
        "no_width": float(np.mean(high == low)),
        "n_sim": n_sim,
    }


def proportions(truth: float = 0.9) -> list[dict[str, Any]]:
    """Wilson's interval and Wald's (not in the library) over all outcomes of the binomial: no chance enters."""
    rows = []
    z = float(ndtri(0.5 + LEVEL / 2))
    for n in SIZES:
        share = np.arange(n + 1) / n
        chance = binom.pmf(np.arange(n + 1), n, truth)
        wilson = [stats.wilson(count, n, level=LEVEL) for count in range(n + 1)]
        half = z * np.sqrt(share * (1 - share) / n)
        bounds = {
            "Wilson": (np.array([e.low for e in wilson]), np.array([e.high for e in wilson])),
            "Wald": (share - half, share + half),
        }
        for method, (low, high) in bounds.items():
            rows.append({
                "quantity": f"proportion {truth}", "truth": truth, "n": n, "unit": "case", "method": method,
                "coverage": float(chance[(low <= truth) & (truth <= high)].sum()), "mc_error": 0.0,
                "mean_width": float((chance * (high - low)).sum()), "too_low": float(chance[high < truth].sum()),
                "too_high": float(chance[low > truth].sum()), "undefined": 0.0,
                "no_width": float(chance[low == high].sum()), "n_sim": None,
            })  # fmt: skip
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="200 data sets each, nothing is written")
    parser.add_argument("--fresh", action="store_true", help="forget what was simulated before")
    parser.add_argument("--out", type=Path, default=OUT)
    chosen = parser.parse_args()
    settings = {"level": LEVEL, "n_boot": N_BOOT, "seed": SEED}
    stored: dict[str, Any] = {"rows": [], "seconds": 0.0}
    if chosen.out.is_file() and not (chosen.fresh or chosen.quick):
        read = json.loads(chosen.out.read_text(encoding="utf-8"))
        stored = read if read["settings"] == settings else stored
    rows = [row for row in stored["rows"] if row["n_sim"] is not None]
    done = {(row["quantity"], row["n"]) for row in rows}
    for at, n in enumerate(SIZES):
        for scenario in SCENARIOS:
            if (scenario.name, n) in done:
                continue
            clock = time.process_time()
            n_sim = 200 if chosen.quick else scenario.n_sim[at]
            new = simulate(scenario, n, n_sim)
            stored["seconds"] += time.process_time() - clock
            for row in new:
                print(f"{row['quantity']:<32} n = {n:<5} {row['method']:<34} {row['coverage']:.3f} "
                      f"± {row['mc_error']:.3f}  width {row['mean_width']:.3f}", flush=True)  # fmt: skip
            rows += new
            if not chosen.quick:
                write(chosen.out, settings, rows, stored["seconds"])


def write(path: Path, settings: dict[str, Any], rows: list[dict[str, Any]], seconds: float) -> None:
    """The study as JSON, rows in the order of scenarios and sizes; a stopped write leaves the old file."""
    order = {scenario.name: i for i, scenario in enumerate(SCENARIOS)}
    ordered = sorted(rows, key=lambda row: (order[row["quantity"]], row["n"])) + proportions()
    about = {
        "settings": settings,
        "date": date.today().isoformat(),
        "seconds": round(seconds, 1),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in ("medrepro", "numpy", "scipy")},
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps({**about, "rows": ordered}, indent=1) + "\n", encoding="utf-8")
    os.replace(part, path)


if __name__ == "__main__":
    main()
