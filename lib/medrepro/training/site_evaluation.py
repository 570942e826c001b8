"""What the arms are worth: on each site's own test cases, and at a site that no model has seen.

All differences are paired over units of one site, every arm scored on the same resamples. Sites are independent of
each other, so a mean over sites draws each site's units on its own. Families over sites are corrected by Holm.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..stats import Comparison, Estimate, adjust_p, bootstrap_estimate, multilabel_auroc
from ..stats.resampling import bootstrap_comparison
from .evaluation import ArmScores, score_arms
from .federated import Federation
from .site_arms import Arms, best_foreign
from .sites import Cases, Site, leave_out

FEDERATED, POOLED, LEFT_OUT = "federated", "pooled", "leave-one-out"
Weights = Mapping[str, float]


@dataclass(frozen=True, eq=False)
class SiteScores:
    """Scores of all arms at one site. on: its own test cases. off: all its cases, by models that never saw the site.

    best: the foreign local model chosen on the foreign sites' validation cases; foreign: all of them.
    """

    site: str
    on: ArmScores = field(repr=False)
    off: ArmScores = field(repr=False)
    best: str
    foreign: tuple[str, ...]


def score_sites(
    arms: Arms, sites: Sequence[Site], *, unit: str = "patient", n_boot: int, seed: int
) -> dict[str, SiteScores]:
    """Macro AUROC of every arm at every site, with resamples of its own for each site and part."""
    found = {}
    for number, site in enumerate(sorted(sites, key=lambda s: s.name)):
        others = leave_out(sites, site.name)
        names = tuple(other.name for other in others)
        draws = {"unit": unit, "n_boot": n_boot}
        on: dict[str, Federation] = {local(name): model for name, model in arms.local.items()}
        on[FEDERATED] = arms.federated
        if arms.pooled is not None:
            on[POOLED] = arms.pooled
        on[LEFT_OUT] = arms.left_out[site.name]
        off = {local(name): arms.local[name] for name in names} | {LEFT_OUT: arms.left_out[site.name]}
        if site.name in arms.matched:
            matched = arms.matched[site.name]
            off |= {matched_name(name): model for name, model in matched.single.items()}
            off[matched_name(FEDERATED)] = matched.federated
        found[site.name] = SiteScores(
            site=site.name,
            on=_score(on, site.test, seed=_seed(seed, number, 0), **draws),
            off=_score(off, site.everyone, seed=_seed(seed, number, 1), **draws),
            best=best_foreign(arms.local, others),
            foreign=names,
        )
    return found


def local(site: str) -> str:
    """Name of a site's own model among the arms."""
    return f"local: {site}"


def matched_name(arm: str) -> str:
    """Name of an arm of the control for size."""
    return f"matched n: {arm}"


def gain_at_home(scores: SiteScores) -> Weights:
    """Federated minus local, on the site's own test cases (use with `on`)."""
    return {FEDERATED: 1.0, local(scores.site): -1.0}


def gain_over(scores: SiteScores, foreign: str) -> Weights:
    """Leave-one-site-out minus one foreign local model (use with `off`)."""
    if foreign not in scores.foreign:
        raise ValueError(f"foreign must be one of {', '.join(scores.foreign)}, got {foreign!r}")
    return {LEFT_OUT: 1.0, local(foreign): -1.0}


def gain_over_best(scores: SiteScores) -> Weights:
    """Leave-one-site-out minus the foreign local model that was best on validation (use with `off`)."""
    return gain_over(scores, scores.best)


def gain_over_mean(scores: SiteScores) -> Weights:
    """Leave-one-site-out minus the mean over foreign local models (use with `off`)."""
    return {LEFT_OUT: 1.0} | {local(name): -1.0 / len(scores.foreign) for name in scores.foreign}


def gain_of_diversity(scores: SiteScores) -> Weights:
    """Several foreign sites minus the mean single one, at equal numbers of training cases (use with `off`)."""
    singles = {matched_name(name): -1.0 / len(scores.foreign) for name in scores.foreign}
    return {matched_name(FEDERATED): 1.0} | singles


def compare(scores: ArmScores, weights: Weights, level: float = 0.95) -> Comparison:
    """A contrast of arms with its interval and two-sided bootstrap p value against 0."""
    vector = np.array([weights.get(name, 0.0) for name in scores.names])
    return bootstrap_comparison(scores.contrast(weights, level), scores.replicates @ vector)


def against_every_foreign(scores: SiteScores, level: float = 0.95) -> dict[str, Comparison]:
    """Leave-one-site-out minus each foreign local model, by its name.

    "Better than every one" holds when all these intervals lie above 0; no correction is needed for that, since every
    single one has to (intersection-union test).
    """
    return {name: compare(scores.off, gain_over(scores, name), level) for name in scores.foreign}


def holm_over_sites(comparisons: Mapping[str, Comparison]) -> pd.DataFrame:
    """One row a site: difference, interval, p value, and p value after Holm's correction over the sites."""
    adjusted = adjust_p([c.p_value for c in comparisons.values()], method="holm")
    rows = [
        {"site": name, **{key: getattr(c.difference, key) for key in ("value", "low", "high", "n", "unit")},
         "p": c.p_value, "p (Holm)": float(p)}
        for (name, c), p in zip(comparisons.items(), adjusted, strict=True)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def mean_over_sites(contrasts: Mapping[str, tuple[ArmScores, Weights]], level: float = 0.95) -> Estimate:
    """Mean of one contrast over sites, each site counting alike, units resampled within each site.

    It speaks for these sites: another set of hospitals would vary more.
    """
    values, replicates, n = [], [], 0
    for scores, weights in contrasts.values():
        vector = np.array([weights.get(name, 0.0) for name in scores.names])
        values.append(float(scores.aucs @ vector))
        replicates.append(scores.replicates @ vector)
        n += scores.n
    first = next(iter(contrasts.values()))[0]
    return bootstrap_estimate(
        float(np.mean(values)), np.mean(replicates, axis=0), n=n, unit=first.unit, level=level, seed=first.seed
    )


def site_matrix(arms: Arms, sites: Sequence[Site]) -> pd.DataFrame:
    """Macro AUROC of every arm (rows) on every site's test cases (columns); leave-one-out never saw its column."""
    names = [site.name for site in sites]
    columns = {}
    for site in sites:
        models = {name: arms.local[name] for name in names}
        models |= {FEDERATED: arms.federated, LEFT_OUT: arms.left_out[site.name]}
        if arms.pooled is not None:
            models[POOLED] = arms.pooled
        columns[site.name] = {name: _auc(model, site.test) for name, model in models.items()}
    return pd.DataFrame(columns).rename_axis(index="trained at", columns="tested at")


def per_label_gain(arms: Arms, sites: Sequence[Site], labels: Sequence[str]) -> pd.DataFrame:
    """AUROC of leave-one-site-out minus the mean foreign local model, for each label (rows) at each site (columns)."""
    columns = {}
    for site in sites:
        cases = site.everyone
        foreign = [_per_label(arms.local[other.name], cases) for other in leave_out(sites, site.name)]
        columns[site.name] = _per_label(arms.left_out[site.name], cases) - np.mean(foreign, axis=0)
    return pd.DataFrame(columns, index=list(labels)).rename_axis(index="label", columns="left-out site")


def _score(models: Mapping[str, Federation], cases: Cases, **draws: Any) -> ArmScores:
    probabilities = {name: model.predict(cases.x) for name, model in models.items()}
    return score_arms(cases.y, probabilities, units=cases.units, **draws)


def _auc(model: Federation, cases: Cases) -> float:
    return float(multilabel_auroc(cases.y, model.predict(cases.x)).macro[0])


def _per_label(model: Federation, cases: Cases) -> NDArray[np.float64]:
    return np.asarray(multilabel_auroc(cases.y, model.predict(cases.x)).aucs)[0]


def _seed(*parts: int) -> int:
    """A seed of its own for each site and part: resamples of different sites must be independent."""
    return int(np.random.SeedSequence(parts).generate_state(1)[0])
