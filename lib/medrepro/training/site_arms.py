"""The arms of a multi-site comparison: local, federated, pooled, leave-one-site-out, and the controls for size.

Every arm is a federation: of one site (local), of all, of all but the target. All get the same rounds, local epochs
and learning rates to choose from; rate and round are chosen by the validation loss of the sites that took part, so a
site that is left out contributes to nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np

from ..stats import multilabel_auroc
from .federated import Federation, Job, federate_all
from .recipe import Recipe
from .sites import Site, check_sites, cut_site, cut_to_total, leave_out, pool_sites

Key = TypeVar("Key")
Engine = Callable[[Sequence[Job]], list[Federation | None]]


@dataclass(frozen=True, eq=False)
class Matched:
    """Control for size at one target: several foreign sites together, and each alone, with n_train cases in all."""

    n_train: int
    federated: Federation
    single: Mapping[str, Federation]


@dataclass(frozen=True, eq=False)
class Arms:
    """Trained models. local, left_out and matched are keyed by site; left_out[t] never saw site t.

    A matched control exists for each target at which it could be trained.
    """

    local: Mapping[str, Federation] = field(repr=False)
    federated: Federation = field(repr=False)
    left_out: Mapping[str, Federation] = field(repr=False)
    pooled: Federation | None = field(repr=False, default=None)
    matched: Mapping[str, Matched] = field(repr=False, default_factory=dict)


def tune(jobs: Mapping[Key, Job], rates: Sequence[float], engine: Engine = federate_all) -> dict[Key, Federation]:
    """Each job at the learning rate that is best on the validation cases of its own sites; first among equals.

    All rates of all jobs go to the engine at once. Raises ValueError for an empty list of rates, RuntimeError when a
    job diverges at every rate.
    """
    if not rates:
        raise ValueError("rates must hold at least one learning rate, got none")
    trained = engine([(sites, replace(recipe, lr=rate)) for sites, recipe in jobs.values() for rate in rates])
    best = {}
    for number, (key, (sites, _)) in enumerate(jobs.items()):
        found = [one for one in trained[number * len(rates) : (number + 1) * len(rates)] if one is not None]
        if not found:
            names = ", ".join(site.name for site in sites)
            raise RuntimeError(f"training at {names} diverged at every learning rate of {list(rates)}")
        best[key] = min(found, key=lambda one: one.best_loss)
    return best


def train_arms(
    sites: Sequence[Site],
    recipe: Recipe,
    rates: Sequence[float],
    *,
    engine: Engine = federate_all,
    pooled: bool = True,
    matched_n: int | None = None,
    match_steps: bool = False,
    seed: int,
) -> Arms:
    """All arms over all sites; leave-one-out for every site in turn.

    engine: what carries the federated arms (`federate_all`, or `simulate_all` of `federated_run`); local and pooled
    models are trained in this process, which gives the same weights.
    matched_n: training cases of the control for size, in all; as `match_n` says when 0; no control when None.
    match_steps: as for `cut_to_match`. seed: of the draws for that control.
    Raises ValueError with fewer than three sites, or as `check_sites` does.
    """
    check_sites(sites)
    if len(sites) < 3:
        raise ValueError(f"sites must be at least three, so that leaving one out leaves several, got {len(sites)}")
    foreign = {site.name: leave_out(sites, site.name) for site in sites}
    joint: dict[tuple[str, ...], Job] = {("federated",): (sites, recipe)}
    alone: dict[tuple[str, ...], Job] = {("local", site.name): ([site], recipe) for site in sites}
    joint |= {("left out", target): (others, recipe) for target, others in foreign.items()}
    if pooled:
        alone["pooled",] = ([pool_sites(sites)], recipe)
    sizes = {} if matched_n is None else {target: matched_n or match_n(others) for target, others in foreign.items()}
    for target, n in sizes.items():
        together, single = cut_to_match(foreign[target], recipe, n_train=n, match_steps=match_steps, seed=seed)
        joint["matched", target] = together
        alone |= {("single", target, name): job for name, job in single.items()}
    trained = tune(joint, rates, engine) | tune(alone, rates)
    return Arms(
        local={site.name: trained["local", site.name] for site in sites},
        federated=trained["federated",],
        left_out={target: trained["left out", target] for target in foreign},
        pooled=trained["pooled",] if pooled else None,
        matched={
            target: Matched(
                n, trained["matched", target], {o.name: trained["single", target, o.name] for o in foreign[target]}
            )
            for target, n in sizes.items()
        },
    )


def match_n(foreign: Sequence[Site]) -> int:
    """The most cases at which no site needs more than it has: those of the smallest site."""
    return min(len(site.train) for site in foreign)


def cut_to_match(
    foreign: Sequence[Site], recipe: Recipe, *, n_train: int, match_steps: bool = False, seed: int
) -> tuple[Job, dict[str, Job]]:
    """Diversity at equal size: foreign sites together, and each alone, all with n_train training cases in all.

    Validation parts are cut alike, to those of the smallest site, so that choosing is no easier with several sites.
    match_steps: k sites share the cases and work side by side, so in one pass each takes only a k-th of the steps that
    a single site takes; with it, sites make k passes a round.
    Raises ValueError when a site has fewer than n_train cases.
    """
    n_val = min(len(site.val) for site in foreign)
    single = {site.name: _cut_val(cut_site(site, n_train, seed=seed), n_val, seed) for site in foreign}
    share = max(1, n_val // len(foreign))
    together = [_cut_val(site, share, seed) for site in cut_to_total(foreign, n_train, seed=seed)]
    passes = recipe.local_epochs * (len(foreign) if match_steps else 1)
    return (together, replace(recipe, local_epochs=passes)), {n: ([site], recipe) for n, site in single.items()}


def validation_auc(trained: Federation, sites: Sequence[Site]) -> float:
    """Macro AUROC on validation cases, mean over the sites where it is defined; nan where it is nowhere."""
    found = [float(multilabel_auroc(site.val.y, trained.predict(site.val.x)).macro[0]) for site in sites]
    defined = [value for value in found if not np.isnan(value)]
    return float(np.mean(defined)) if defined else float("nan")


def best_foreign(models: Mapping[str, Federation], foreign: Sequence[Site]) -> str:
    """Name of the foreign local model that travels best among the foreign sites: on their validation cases.

    Every model is judged on the same cases, its own site's and the others', and never on the target's. Ties, and
    models without a defined AUROC, go to the first by name.
    """
    scores = {site.name: validation_auc(models[site.name], foreign) for site in foreign}
    return max(sorted(scores), key=lambda name: -np.inf if np.isnan(scores[name]) else scores[name])


def _cut_val(site: Site, n: int, seed: int) -> Site:
    """The same site with at most n validation cases, classes in proportion."""
    n = min(n, len(site.val))
    swapped = Site(site.name, train=site.val, val=site.train, test=site.test)
    return replace(site, val=cut_site(swapped, n, seed=seed).train)
