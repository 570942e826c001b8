"""What a mixed model returns: fixed effects with tests, spread between groups, marginal means and contrasts."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import glmm
import numpy as np
from scipy.special import expit

from ._inputs import FloatArray, check_choice, join_notes, two_sided_normal
from .mixed_contrasts import ADJUST, ADJUST_NAMES, adjusted, critical_value, mean_rows, pairs
from .mixed_design import MixedDesign
from .results import Comparison, Estimate, _number
from .roc import _two_sided_t


@dataclass(frozen=True)
class Family:
    """How a family is named, fitted and read: link, its ratio, and the parameter beside the mean."""

    name: str
    fitted_as: str
    link: str
    ratio: str = ""
    dispersion: str = ""


FAMILIES = {
    "gaussian": Family("Linear", "gaussian", "identity", dispersion="residual SD"),
    "lognormal": Family("Log-normal", "gaussian", "log", "ratio of geometric means", "residual SD of the logarithm"),
    "gamma": Family("Gamma", "gamma", "log", "ratio of means", "shape"),
    "bernoulli": Family("Logistic", "binomial", "logit", "odds ratio"),
    "poisson": Family("Poisson", "poisson", "log", "rate ratio"),
    "negative_binomial": Family("Negative-binomial", "negativebinomial", "log", "rate ratio", "size"),
}


@dataclass(frozen=True, eq=False)
class RandomEffect:
    """Spread between the levels of one group: sd (q,) and correlation (q, q) of the effects named in terms (q,)."""

    group: str
    n_levels: int
    terms: tuple[str, ...]
    sd: FloatArray
    correlation: FloatArray


@dataclass(frozen=True, eq=False)
class MixedModel:
    """A fitted mixed model; `str()` prints it the way a paper does.

    tests: fixed effects on the link scale, name to Comparison with 0. random_effects: one per group, in order.
    dispersion: what FAMILIES names (nan where there is none). log_likelihood: of the outcome on its own scale, so that
    families can be compared; restricted where reml. note: said in every result.
    A model that did not converge or is separated keeps no interval, so that nothing can be concluded from it.
    """

    formula: str
    family: str
    level: float
    reml: bool
    n: int
    tests: dict[str, Comparison]
    random_effects: tuple[RandomEffect, ...]
    dispersion: float
    log_likelihood: float
    converged: bool
    singular: bool
    note: str
    covariance: FloatArray
    design: MixedDesign
    fit: glmm.Fit | None

    @property
    def fixed(self) -> dict[str, Estimate]:
        """Fixed effects on the link scale, with their intervals."""
        return {name: test.difference for name, test in self.tests.items()}

    def means(self, factor: str, *, by: str | None = None, response: bool = False) -> dict[str, Estimate]:
        """Marginal mean of every level of a factor, for a reader and a case whose random effects are 0.

        by: a second factor; the means are then given for each of its levels. response: on the outcome's own scale, by
        the inverse link; that is the typical reader, not the average over readers (for "lognormal" the median).
        With an exposure, means are per unit of it.
        How the average over other factors is taken: see the module `mixed_contrasts`.
        Raises ValueError on unknown factors.
        """
        inverse = {"identity": np.asarray, "log": np.exp, "logit": expit}[FAMILIES[self.family].link]
        found = {}
        for (outer, inner), row in mean_rows(self.design, factor, by).items():
            estimate = wald(self, row, "marginal mean").difference
            found[_label(str(inner), by, outer)] = _transformed(estimate, inverse) if response else estimate
        return found

    def contrasts(
        self,
        factor: str,
        *,
        by: str | None = None,
        against: Any | None = None,
        adjust: str = "holm",
        ratio: bool = False,
    ) -> dict[str, Comparison]:
        """Differences between the marginal means of a factor's levels, later level minus earlier.

        against: compare each other level with this one only. by: repeat within every level of a second factor.
        adjust: "holm", "bonferroni", "fdr_bh", "tukey" (all pairs only) or "none", over the contrasts of one level of
        `by`; Bonferroni and Tukey widen the intervals too, the others leave them at `level` each.
        ratio: exponentiated, for links log and logit. Difference, statistic and p value are those of the link scale.
        Raises ValueError on unknown factors and levels, a factor with a single level, "tukey" with against, and ratio
        with the identity link.
        """
        check_choice("adjust", adjust, ADJUST)
        kind = FAMILIES[self.family].ratio
        if ratio and not kind:
            raise ValueError(f"ratio must be False for family {self.family!r}, which has no logarithmic link")
        if adjust == "tukey" and against is not None:
            raise ValueError("adjust must not be 'tukey' with against, which makes fewer than all pairs")
        rows = mean_rows(self.design, factor, by)
        levels = self.design.levels[factor]
        chosen = pairs(levels, against)
        sign = "/" if ratio else "-"
        found: dict[str, Comparison] = {}
        for outer in dict.fromkeys(outer for outer, _ in rows):
            differences = [rows[outer, b] - rows[outer, a] for b, a in chosen]
            names = [_label(f"{b} {sign} {a}", by, outer) for b, a in chosen]
            tests = _family(self, differences, len(levels), adjust, f"{kind}, " if ratio else "")
            found |= dict(zip(names, tests, strict=True))
        if ratio:
            found = {k: replace(c, difference=_transformed(c.difference, np.exp)) for k, c in found.items()}
        return found

    def rows(self) -> list[dict[str, Any]]:
        """One row for each fixed effect, then one for the standard deviation of each random effect."""
        rows = [{"part": "fixed", "term": name, **test.to_dict()} for name, test in self.tests.items()]
        for effect in self.random_effects:
            for term, sd in zip(effect.terms, effect.sd, strict=True):
                about = {"n": effect.n_levels, "unit": effect.group, "method": "SD, no interval"}
                rows.append({"part": effect.group, "term": term, "value": float(sd), **about})
        return rows

    def __str__(self) -> str:
        family = FAMILIES[self.family]
        how = f"{family.link} link, {_approximation(self)}"
        groups = ", ".join(f"{effect.n_levels} {effect.group}" for effect in self.random_effects)
        lines = [f"{family.name} mixed model ({how}): {self.formula}", f"{self.n:,} observations, {groups}"]
        lines += [f"  {name}: {test}" for name, test in self.tests.items()]
        for effect in self.random_effects:
            spread = ", ".join(f"{t} {_number(float(sd))}" for t, sd in zip(effect.terms, effect.sd, strict=True))
            lines.append(f"  SD between {effect.group}s: {spread}")
        if family.dispersion:
            lines.append(f"  {family.dispersion}: {_number(self.dispersion)}")
        return "\n".join([*lines, self.note]) if self.note else "\n".join(lines)


def wald(model: MixedModel, row: FloatArray, kind: str = "") -> Comparison:
    """The product of a row (p,) with the fixed effects, compared with 0."""
    return _family(model, [row], 2, "none", f"{kind}, " if kind else "")[0]


def _family(model: MixedModel, rows: list[FloatArray], n_levels: int, adjust: str, kind: str) -> list[Comparison]:
    """Products of rows (p,) with the fixed effects, p values and intervals adjusted for their number."""
    beta = np.full(len(model.design.columns), math.nan) if model.fit is None else np.asarray(model.fit.beta)
    values = np.array([row @ beta for row in rows])
    errors = np.sqrt(np.maximum([row @ model.covariance @ row for row in rows], 0.0))  # rounding may give -1e-18
    df = np.array([_degrees(model, row) for row in rows])
    statistics = np.divide(values, errors, out=np.full(len(rows), math.nan), where=errors > 0)
    raw = [two_sided_normal(t) if math.isinf(d) else _two_sided_t(t, d) for t, d in zip(statistics, df, strict=True)]
    p = adjusted(np.array([found[0] for found in raw]), statistics, df, n_levels, adjust)
    test = "Wald z" if math.isinf(df[0]) else f"Satterthwaite t({df.min():.1f})"
    test = f"{kind}{test}, {_approximation(model)}"
    if adjust != "none":
        test += f", {ADJUST_NAMES[adjust]} over {len(rows)} contrasts"
    tests = []
    for value, error, d, t, (_, log10_p), chosen in zip(values, errors, df, statistics, raw, p, strict=True):
        half = critical_value(model.level, d, len(rows), n_levels, adjust) * error
        note = join_notes("degrees of freedom undefined" if math.isnan(d) else "", model.note)
        estimate = Estimate(value, value - half, value + half, model.level, n=model.n, unit="observation",
                            method=test, note=note)  # fmt: skip
        size = math.log10(chosen) if chosen > 0 else min(0.0, log10_p + math.log10(len(rows)))
        tests.append(Comparison(estimate, float(t), float(chosen), size if not math.isnan(t) else math.nan, test))
    return tests


def _degrees(model: MixedModel, row: FloatArray) -> float:
    """Satterthwaite's degrees of freedom of a row (p,); infinite where the test is z."""
    if model.fit is None or FAMILIES[model.family].fitted_as != "gaussian" or model.fit.df_method != "satterthwaite":
        return math.inf
    table = model.fit.contrast_test(row)
    return float(table.to_pandas()["DenDF"].iloc[0])


def _approximation(model: MixedModel) -> str:
    return "REML" if model.reml else "ML" if FAMILIES[model.family].fitted_as == "gaussian" else "Laplace"


def _label(name: str, by: str | None, outer: Any) -> str:
    return name if by is None else f"{name} | {by} {outer}"


def _transformed(estimate: Estimate, transform: Any) -> Estimate:
    """Value and bounds through an increasing function."""
    with np.errstate(over="ignore"):
        value, low, high = (float(transform(x)) for x in (estimate.value, estimate.low, estimate.high))
    return replace(estimate, value=value, low=low, high=high)
