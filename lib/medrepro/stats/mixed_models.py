"""Mixed models for reader studies: crossed random intercepts, by-group slopes, and contrasts of factor levels.

Readers who read the same cases make observations that are no independent sample of either. A mixed model gives every
reader and every case an effect of its own, drawn from a normal distribution, and asks for the average over both.

Fitted by `glmm`: REML or maximum likelihood for the linear model (Bates et al., Journal of Statistical Software 2015),
and Laplace's approximation of the likelihood otherwise, as in lme4 with nAGQ = 1 and in glmmTMB. Chosen after trials
against both: gpboost has no correlated slopes and no REML, and its default tolerance left standard errors off by a
quarter; statsmodels has no crossed maximum-likelihood fit outside the linear model. The gamma model is glmmTMB's, with
the shape estimated by maximum likelihood; lme4 takes another, approximate route there and gives other numbers.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace

import glmm
import numpy as np
import pandas as pd

from ._inputs import FloatArray, check_choice, check_level, join_notes
from .mixed_design import MixedDesign, make_design, separated_columns
from .mixed_results import FAMILIES, Family, MixedModel, RandomEffect, wald

_NB_SIZE_LIMIT = 9999.0  # glmm's search ends at 10,000, where variance and mean cannot be told apart
_FEW_LEVELS_Z, _FEW_LEVELS_T = 30, 6  # t with 29 degrees of freedom is 4 % wider than z


def mixed_model(
    formula: str,
    data: pd.DataFrame,
    *,
    family: str,
    groups: str | Sequence[str],
    slopes: Mapping[str, str | Sequence[str]] | None = None,
    exposure: str | None = None,
    reml: bool | None = None,
    level: float = 0.95,
) -> MixedModel:
    """A mixed model with a random intercept for every group, and by-group slopes where asked for.

    formula: "outcome ~ fixed effects" in patsy's language; np is known to it. data: one row an observation.
    family: "gaussian"; "lognormal" (gaussian for the logarithm) or "gamma" for times; "bernoulli" for 0 and 1;
    "poisson" or "negative_binomial" (variance mean + mean^2 / size) for counts. Links: identity, log, logit.
    groups: columns that identify readers, cases, ...: crossed or nested, as their levels are. slopes: group to terms of
    the formula that vary by its levels, all correlated with the intercept: {"reader": "mode"} is (1 + mode | reader).
    exposure: column of the time or area in which counts were made; effects are then on rates.
    reml: restricted likelihood, for gaussian and lognormal only, and there the default.
    Intervals and tests: Satterthwaite's t for gaussian and lognormal, Wald's z otherwise, which takes the variances for
    known and is optimistic with few readers; the note says so.
    nan with a note when the outcome is separated, intervals nan when the fit did not converge; a singular fit is noted.
    Raises ValueError on unknown columns, missing values, outcomes outside the family's range, groups that have a single
    level, equal each other or have a level for every observation, and dependent columns.
    """
    check_choice("family", family, tuple(FAMILIES))
    level, about = check_level(level), FAMILIES[family]
    linear = about.fitted_as == "gaussian"
    if reml and not linear:
        raise ValueError(f"reml must not be True for family {family!r}: there is no restricted likelihood")
    reml = linear and reml is not False
    design = make_design(formula, data, family, groups, slopes or {}, exposure)
    separated = separated_columns(design.x, design.y, family)
    outcome = np.log(design.y) if family == "lognormal" else design.y
    fit = None if separated else _fit(design, about, outcome, reml)
    converged = fit is not None and bool(fit.converged) and bool(np.isfinite(fit.beta).all())
    singular = fit is not None and converged and bool(fit.singular)
    lost = np.full((len(design.columns),) * 2, math.nan)
    covariance = np.asarray(fit.vcov) if fit is not None and converged else lost
    likelihood = math.nan if fit is None else float(fit.loglik)
    if family == "lognormal":
        likelihood -= float(np.log(design.y).sum())  # the density of exp(z) at y is that of z at log y, over y
    effects = tuple(_random_effect(design, fit, k) for k in range(len(design.codes)))
    dispersion = _dispersion(about, fit)
    note = _note(design, fit, about, converged, [design.columns[j] for j in separated], effects)
    model = MixedModel(formula, family, level, reml, design.y.size, {}, effects, dispersion, likelihood, converged,
                       singular, note, covariance, design, fit)  # fmt: skip
    identity = np.eye(len(design.columns))
    return replace(model, tests={name: wald(model, row) for name, row in zip(design.columns, identity, strict=True)})


def _fit(design: MixedDesign, family: Family, outcome: FloatArray, reml: bool) -> glmm.Fit:
    """glmm's fit under names that its formula language cannot misread; its warnings are read from the result."""
    columns = {f"x{j}": design.x[:, j] for j in range(1, len(design.columns))}  # patsy puts the intercept first
    # Letters keep a level from being read as a number; equal width keeps the order.
    width = len(str(design.y.size))
    codes = {f"g{k}": [f"l{c:0{width}d}" for c in codes] for k, codes in enumerate(design.codes.values())}
    random = ["(" + " + ".join(["1", *(f"x{j}" for j in places)]) + f" | g{k})"
              for k, places in enumerate(design.slopes.values())]  # fmt: skip
    formula = "y ~ " + " + ".join([*(columns or ["1"]), *random])
    link = None if family.fitted_as in ("gaussian", "negativebinomial") else family.link
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", glmm.DiagnosticWarning)
        return glmm.fit({"y": outcome, **columns, **codes}, formula, family.fitted_as, link=link, offset=design.offset,
                        reml=reml if family.fitted_as == "gaussian" else None, anova_test="Wald")  # fmt: skip


def _random_effect(design: MixedDesign, fit: glmm.Fit | None, k: int) -> RandomEffect:
    name = list(design.codes)[k]
    terms = tuple("intercept" if j == 0 else design.columns[j] for j in [0, *design.slopes[name]])
    if fit is None or not fit.varcorr:
        sd, correlation = np.full(len(terms), math.nan), np.full((len(terms),) * 2, math.nan)
    else:
        sd, correlation = (np.asarray(part) for part in fit.stddev_corr(k))
    return RandomEffect(name, design.n_levels[name], terms, sd, correlation)


def _dispersion(family: Family, fit: glmm.Fit | None) -> float:
    if fit is None or not family.dispersion:
        return math.nan
    found = float(fit.dispersion)
    return {"gaussian": math.sqrt(found), "gamma": 1 / found}.get(family.fitted_as, found)


def _note(
    design: MixedDesign,
    fit: glmm.Fit | None,
    family: Family,
    converged: bool,
    separated: list[str],
    effects: tuple[RandomEffect, ...],
) -> str:
    """What a reader of any number of this model must know, most urgent first."""
    smallest = min(effects, key=lambda effect: effect.n_levels)
    urgent = few = ""
    if separated:
        urgent = f"SEPARATED: the outcome is one-sided along {', '.join(separated)}, so that the estimate is infinite"
    elif not converged:
        urgent = "NOT CONVERGED: no interval is given"
    elif fit is not None and fit.singular:
        pinned = fit.diagnostics["pinned"]
        at = [f"{t} by {e.group}" for e, flags in zip(effects, pinned, strict=True)
              for t, flag in zip(e.terms, flags, strict=True) if flag]  # fmt: skip
        urgent = f"SINGULAR FIT: SD 0 or correlation of 1 for {', '.join(at) or 'a random effect'}"
    uses_t = family.fitted_as == "gaussian" and (fit is None or fit.df_method == "satterthwaite")
    if not uses_t and smallest.n_levels < _FEW_LEVELS_Z:
        few = f"z takes the variances for known: optimistic with {smallest.n_levels} {smallest.group}s"
    elif smallest.n_levels < _FEW_LEVELS_T:
        few = f"the SD of {smallest.group} rests on {smallest.n_levels} levels"
    poisson = ""
    if fit is not None and family.fitted_as == "negativebinomial" and fit.dispersion > _NB_SIZE_LIMIT:
        poisson = "no overdispersion found: size at its upper limit"
    # What else the solver found, such as standard errors that it could not compute.
    other = [] if fit is None or not converged else [w["title"].lower() for w in fit.warnings
                                                     if w["tier"] != "note" and w["kind"] != "singular"]  # fmt: skip
    groups = ", ".join(f"{effect.n_levels} {effect.group}" for effect in effects)
    return join_notes(urgent, *other, f"groups: {groups}", poisson, few)
