"""Mixed models against lme4, lmerTest, glmmTMB and emmeans (tests/reference/mixed_models.R), and their properties.

lme4 takes standard errors of generalised models from finite differences and its gamma likelihood from a residual
variance; there glmmTMB, which differentiates exactly, is the reference.
"""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from medrepro.stats import MixedModel, adjust_p, mixed_model
from medrepro.stats.mixed_design import separated_columns

REFERENCE = json.loads((Path(__file__).parents[1] / "reference" / "mixed_models.json").read_text())
OUTCOME = {
    "gaussian": "score", "gaussian_ml": "score", "lognormal": "time", "bernoulli": "correct", "poisson": "findings",
    "negative_binomial": "saccades", "gamma": "duration",
}  # fmt: skip
STRUCTURE = {
    "one": {"groups": "reader"},
    "crossed": {"groups": ["reader", "case"]},
    "slope": {"groups": ["reader", "case"], "slopes": {"reader": "mode"}},
}
CASES = [(family, structure) for family in OUTCOME for structure in STRUCTURE]
AGREES = {"rel": 1e-3, "abs": 1e-4}  # two searches for the same optimum
T_FAMILIES = ("gaussian", "lognormal")


@pytest.fixture(scope="module")
def readings() -> pd.DataFrame:
    data = pd.DataFrame(REFERENCE["data"])
    data["mode"] = pd.Categorical(data["mode"], ["FT", "SR", "AI"])
    data["grade"] = pd.Categorical(data["grade"], ["novice", "expert"])
    return data


@pytest.fixture(scope="module")
def fitted(readings):
    """Every family with every random part, fitted once."""
    return {case: fit(readings, *case) for case in CASES}


def fit(data, family, structure, **changes) -> MixedModel:
    reml = False if family == "gaussian_ml" else None
    formula = f"{OUTCOME[family]} ~ mode + size"
    arguments = {"family": family.removesuffix("_ml"), "reml": reml, **STRUCTURE[structure], **changes}
    return mixed_model(formula, data, **arguments)


def reference(family, structure, program):
    return REFERENCE["fits"][f"{family}_{structure}"].get(program)


def values(model):
    return [e.value for e in model.fixed.values()]


def errors(model):
    return np.sqrt(np.diag(model.covariance))


# Against lme4, lmerTest and glmmTMB


PROGRAMS = [(*case, program) for case in CASES for program in REFERENCE["fits"]["_".join(case)] if program != "emmeans"]


@pytest.mark.parametrize(("family", "structure", "program"), PROGRAMS)
def test_estimates_and_likelihood_are_those_of_lme4_and_glmmtmb(fitted, readings, family, structure, program):
    theirs = reference(family, structure, program)
    ours = fitted[family, structure]
    assert ours.converged
    assert not ours.singular
    assert values(ours) == pytest.approx(theirs["beta"], **AGREES)
    assert np.concatenate([e.sd for e in ours.random_effects]) == pytest.approx(np.array(theirs["sd"]), **AGREES)
    jacobian = np.log(readings["time"]).sum() if family == "lognormal" else 0.0  # lme4 was given the logarithms
    assert ours.log_likelihood + jacobian == pytest.approx(theirs["loglik"], abs=1e-3)
    if theirs.get("dispersion"):
        assert ours.dispersion == pytest.approx(theirs["dispersion"], **AGREES)


@pytest.mark.parametrize(("family", "structure"), CASES)
def test_standard_errors_are_those_of_lme4_and_glmmtmb(fitted, family, structure):
    theirs = reference(family, structure, "glmmTMB") or reference(family, structure, "lme4")
    assert errors(fitted[family, structure]) == pytest.approx(np.array(theirs["se"]), **AGREES)


@pytest.mark.parametrize("family", OUTCOME)
def test_correlations_of_slopes_are_those_of_lme4_and_glmmtmb(fitted, family):
    theirs = reference(family, "slope", "lme4") or reference(family, "slope", "glmmTMB")
    ours = fitted[family, "slope"].random_effects[0].correlation
    assert [ours[1, 0], ours[2, 0], ours[2, 1]] == pytest.approx(theirs["correlation"], **AGREES)


@pytest.mark.parametrize(("family", "structure"), [case for case in CASES if case[0].startswith(T_FAMILIES)])
def test_p_values_and_intervals_are_those_of_satterthwaite_in_lmertest(fitted, family, structure):
    theirs = reference(family, structure, "lme4")
    tests = list(fitted[family, structure].tests.values())
    # the tiniest p values are powers of t, in which an error of t is multiplied by some hundred
    assert [t.log10_p for t in tests] == pytest.approx(np.log10(theirs["p"]), rel=1e-3, abs=1e-3)
    assert all("Satterthwaite" in t.method for t in tests)


# Marginal means and contrasts against emmeans


@pytest.mark.parametrize("adjust", ["none", "holm", "bonferroni", "fdr_bh", "tukey"])
@pytest.mark.parametrize("family", ["gaussian", "lognormal", "bernoulli", "poisson", "negative_binomial", "gamma"])
def test_contrasts_are_those_of_emmeans(fitted, family, adjust):
    theirs = reference(family, "slope", "emmeans")[adjust]
    tests = fitted[family, "slope"].contrasts("mode", adjust=adjust)
    assert list(tests) == ["SR - FT", "AI - FT", "AI - SR"]
    assert [t.difference.value for t in tests.values()] == pytest.approx(theirs["estimate"], **AGREES)
    assert [t.p_value for t in tests.values()] == pytest.approx(theirs["p"], **AGREES)
    # emmeans widens intervals for Holm as for Bonferroni, and for none else than Tukey and Bonferroni is that exact
    if adjust in ("none", "bonferroni", "tukey"):
        assert [t.difference.low for t in tests.values()] == pytest.approx(theirs["low"], rel=1e-3, abs=2e-4)
        assert [t.difference.high for t in tests.values()] == pytest.approx(theirs["high"], rel=1e-3, abs=2e-4)


@pytest.mark.parametrize(("family", "structure"), [case for case in CASES if case[0] != "gaussian_ml"])
def test_marginal_means_are_those_of_emmeans(fitted, family, structure):
    theirs = reference(family, structure, "emmeans")["means"]
    means = fitted[family, structure].means("mode")
    assert [m.value for m in means.values()] == pytest.approx(theirs["estimate"], **AGREES)
    assert [m.low for m in means.values()] == pytest.approx(theirs["low"], rel=1e-3, abs=2e-4)


def test_an_interaction_is_compared_within_levels_and_averaged_as_in_emmeans(readings):
    model = mixed_model("time ~ mode * grade + size", readings, family="lognormal", **STRUCTURE["slope"])
    theirs = REFERENCE["fits"]["interaction"]
    within = model.contrasts("mode", by="grade", adjust="tukey")
    assert list(within)[:4] == ["SR - FT | grade novice", "AI - FT | grade novice", "AI - SR | grade novice",
                                "SR - FT | grade expert"]  # fmt: skip
    assert [t.difference.value for t in within.values()] == pytest.approx(
        theirs["emmeans"]["tukey"]["estimate"], **AGREES
    )
    assert [t.p_value for t in within.values()] == pytest.approx(theirs["emmeans"]["tukey"]["p"], **AGREES)
    over = model.contrasts("mode", adjust="bonferroni")
    assert [t.difference.value for t in over.values()] == pytest.approx(
        theirs["main"]["bonferroni"]["estimate"], **AGREES
    )
    assert [t.p_value for t in over.values()] == pytest.approx(theirs["main"]["bonferroni"]["p"], **AGREES)


def test_an_exposure_turns_counts_into_rates_as_an_offset_in_glmmtmb(readings):
    theirs = REFERENCE["fits"]["exposure"]["glmmTMB"]
    model = fit(readings, "negative_binomial", "crossed", exposure="minutes")
    assert values(model) == pytest.approx(theirs["beta"], **AGREES)
    assert errors(model) == pytest.approx(np.array(theirs["se"]), **AGREES)
    assert model.dispersion == pytest.approx(theirs["dispersion"], **AGREES)


def test_contrasts_against_one_level_are_the_differences_to_it(fitted):
    model = fitted["lognormal", "slope"]
    against = model.contrasts("mode", against="SR", adjust="none")
    all_pairs = model.contrasts("mode", adjust="none")
    assert list(against) == ["FT - SR", "AI - SR"]
    assert against["AI - SR"].difference == all_pairs["AI - SR"].difference
    assert against["FT - SR"].difference.value == pytest.approx(-all_pairs["SR - FT"].difference.value)


def test_ratios_are_exponentiated_differences_with_the_same_p(fitted):
    model = fitted["bernoulli", "slope"]
    differences, ratios = model.contrasts("mode"), model.contrasts("mode", ratio=True)
    for difference, ratio in zip(differences.values(), ratios.values(), strict=True):
        assert ratio.difference.high == pytest.approx(math.exp(difference.difference.high))
        assert ratio.p_value == difference.p_value
        assert ratio.method.startswith("odds ratio")


def test_means_on_the_response_scale_go_through_the_inverse_link(fitted):
    model = fitted["bernoulli", "crossed"]
    for link, response in zip(model.means("mode").values(), model.means("mode", response=True).values(), strict=True):
        assert response.value == pytest.approx(1 / (1 + math.exp(-link.value)))
        assert 0 < response.low < response.value < response.high < 1


def test_adjusted_p_values_keep_their_logarithm_where_they_underflow(readings):
    far = readings.assign(score=readings["score"] + 60.0 * (readings["mode"] == "AI"))
    tests = mixed_model("score ~ mode", far, family="gaussian", groups=["reader", "case"]).contrasts("mode")
    assert tests["AI - FT"].p_value < 1e-300
    assert math.isfinite(tests["AI - FT"].log10_p)
    raw = [t.p_value for t in fit(readings, "gaussian", "slope").contrasts("mode", adjust="none").values()]
    holm = [t.p_value for t in fit(readings, "gaussian", "slope").contrasts("mode").values()]
    assert holm == pytest.approx(adjust_p(raw, "holm"))


# Properties


@pytest.mark.parametrize("family", OUTCOME)
def test_the_order_of_rows_and_the_names_of_groups_do_not_matter(fitted, readings, family):
    shuffled = readings.sample(frac=1, random_state=0)
    shuffled["reader"] = shuffled["reader"].map(lambda r: f"reader {97 * r % 31}")
    again = fit(shuffled, family, "slope")
    assert values(again) == pytest.approx(values(fitted[family, "slope"]), rel=1e-3, abs=1e-4)
    assert again.log_likelihood == pytest.approx(fitted[family, "slope"].log_likelihood, abs=1e-4)


@pytest.mark.parametrize("factor", [1e-6, 1e6])
def test_another_unit_of_the_outcome_only_changes_the_unit_of_the_answer(fitted, readings, factor):
    old, new = fitted["gaussian", "slope"], fit(readings.assign(score=readings["score"] * factor), "gaussian", "slope")
    assert np.array(values(new)) / factor == pytest.approx(values(old), rel=1e-4)
    assert new.random_effects[0].sd / factor == pytest.approx(old.random_effects[0].sd, rel=1e-3)
    assert [t.p_value for t in new.tests.values()] == pytest.approx([t.p_value for t in old.tests.values()], rel=1e-2)


@pytest.mark.parametrize("family", ["lognormal", "gamma"])
def test_times_in_minutes_shift_the_intercept_and_nothing_else(fitted, readings, family):
    outcome = OUTCOME[family]
    new = fit(readings.assign(**{outcome: readings[outcome] / 60}), family, "crossed")
    old = fitted[family, "crossed"]
    assert values(new)[0] == pytest.approx(values(old)[0] - math.log(60), rel=1e-3)
    assert values(new)[1:] == pytest.approx(values(old)[1:], **AGREES)
    assert new.log_likelihood == pytest.approx(old.log_likelihood + len(readings) * math.log(60), abs=1e-2)


@pytest.mark.parametrize("family", ["gaussian", "bernoulli", "poisson", "gamma"])
def test_without_spread_between_groups_it_is_the_plain_model_and_says_that_it_is_singular(readings, family):
    """Every reader gives the very same readings, which is less than chance would have them differ."""
    kinds = {"gaussian": sm.families.Gaussian(), "bernoulli": sm.families.Binomial(), "poisson": sm.families.Poisson(),
             "gamma": sm.families.Gamma(sm.families.links.Log())}  # fmt: skip
    outcome = OUTCOME[family]
    copies = pd.concat([readings.iloc[::5].assign(reader=k) for k in range(4)])
    model = mixed_model(f"{outcome} ~ mode", copies, family=family, groups="reader")
    plain = sm.GLM.from_formula(f"{outcome} ~ mode", copies, family=kinds[family]).fit()
    assert model.singular
    assert model.note.startswith("SINGULAR FIT")
    assert model.random_effects[0].sd[0] == pytest.approx(0, abs=1e-3)
    assert values(model) == pytest.approx(list(plain.params), **AGREES)


def test_a_negative_binomial_without_overdispersion_says_that_it_is_a_poisson(readings):
    rng = np.random.default_rng(0)
    even = readings.assign(saccades=rng.binomial(20, 0.5, len(readings)))
    model = mixed_model("saccades ~ mode", even, family="negative_binomial", groups="reader")
    assert "no overdispersion" in model.note


def test_the_same_slope_in_another_coding_is_the_same_model(fitted, readings):
    other = mixed_model("time ~ C(mode, Sum) + size", readings, family="lognormal", groups=["reader", "case"],
                        slopes={"reader": "C(mode, Sum)"})  # fmt: skip
    assert other.log_likelihood == pytest.approx(fitted["lognormal", "slope"].log_likelihood, abs=math.log(9))
    ours, theirs = (m.contrasts("mode", adjust="none") for m in (other, fitted["lognormal", "slope"]))
    for one, two in zip(ours.values(), theirs.values(), strict=True):
        assert one.difference.value == pytest.approx(two.difference.value, rel=1e-3)
        assert one.difference.low == pytest.approx(two.difference.low, rel=1e-3)


def test_an_effect_of_every_observation_is_overdispersion_in_a_poisson_model(readings):
    data = readings.assign(reading=range(len(readings)))
    model = mixed_model("saccades ~ mode", data, family="poisson", groups=["reading", "reader"])
    assert model.random_effects[0].sd[0] > 0.3
    with pytest.raises(ValueError, match="groups must repeat, got a level of its own"):
        mixed_model("saccades ~ mode", data, family="negative_binomial", groups=["reading", "reader"])


# What a result says


def test_results_say_how_many_observations_and_groups_they_rest_on(fitted):
    estimate = fitted["poisson", "slope"].fixed["mode[T.SR]"]
    assert (estimate.n, estimate.unit) == (len(REFERENCE["data"]["mode"]), "observation")
    assert "groups: 16 reader, 30 case" in estimate.note
    assert "optimistic with 16 readers" in estimate.note
    assert "optimistic" not in fitted["lognormal", "slope"].fixed["mode[T.SR]"].note


def test_it_prints_as_a_paper_reports_it(fitted):
    text = str(fitted["negative_binomial", "slope"])
    assert text.startswith("Negative-binomial mixed model (log link, Laplace): saccades ~ mode + size")
    assert "16 reader, 30 case" in text
    assert "SD between readers: intercept" in text
    assert "size:" in text


def test_rows_hold_every_fixed_effect_and_every_standard_deviation(fitted):
    rows = fitted["gamma", "slope"].rows()
    assert [(row["part"], row["term"]) for row in rows] == [
        ("fixed", "Intercept"), ("fixed", "mode[T.SR]"), ("fixed", "mode[T.AI]"), ("fixed", "size"),
        ("reader", "intercept"), ("reader", "mode[T.SR]"), ("reader", "mode[T.AI]"), ("case", "intercept"),
    ]  # fmt: skip
    json.dumps(rows)


def test_level_sets_the_width(readings):
    narrow, wide = (fit(readings, "gaussian", "crossed", level=level).fixed["size"] for level in (0.8, 0.99))
    assert wide.low < narrow.low < narrow.value < narrow.high < wide.high


# Undefined and wrong input


@pytest.mark.parametrize(
    ("family", "outcome"),
    [("bernoulli", lambda d: d["correct"].where(d["mode"] != "AI", 1)),
     ("poisson", lambda d: d["findings"].where(d["mode"] != "AI", 0)),
     ("negative_binomial", lambda d: d["saccades"].where(d["mode"] != "AI", 0))],
)  # fmt: skip
def test_separation_is_undefined_and_named(readings, family, outcome):
    model = mixed_model(
        "y ~ mode + size", readings.assign(y=outcome(readings)), family=family, groups=["reader", "case"]
    )
    estimate = model.fixed["mode[T.AI]"]
    assert math.isnan(estimate.value)
    assert not model.converged
    assert estimate.note.startswith("SEPARATED")
    assert "mode[T.AI]" in estimate.note.split(";")[0]
    assert all(
        t.difference.undefined and math.isnan(t.p_value) for t in model.contrasts("mode", adjust="tukey").values()
    )
    str(model)


def test_separation_is_found_in_a_covariate_and_not_where_groups_overlap():
    x = np.column_stack([np.ones(40), np.linspace(-1, 1, 40)])
    apart = (x[:, 1] > 0.3).astype(float)
    assert separated_columns(x, apart, "bernoulli") == [0, 1]
    overlapping = apart.copy()
    overlapping[0] = 1
    assert separated_columns(x, overlapping, "bernoulli") == []


def test_a_fit_that_did_not_converge_gives_no_interval(readings):
    exact = readings.assign(score=1.0 * (readings["mode"] == "AI"))  # no noise: the variance has no estimate
    model = mixed_model("score ~ mode", exact, family="gaussian", groups="reader")
    assert not model.converged
    assert model.note.startswith("NOT CONVERGED")
    assert all(e.undefined for e in model.fixed.values())


def changed(data, column, value, rows=3):
    new = data[column].astype(object)
    new.iloc[:rows] = value
    return data.assign(**{column: new.infer_objects()})


WRONG = [
    ("formula must use columns of data", {"formula": "time ~ modus"}),
    ("formula must read 'outcome ~ fixed effects'", {"formula": "time"}),
    ("formula must hold fixed effects only", {"formula": "time ~ mode + (1 | reader)"}),
    ("formula must keep its intercept", {"formula": "time ~ 0 + mode"}),
    ("formula must have independent columns, got 'twice'", {"formula": "time ~ size + twice"}),
    ("formula must have one column of numbers", {"formula": "grade ~ mode"}),
    ("data must be a pandas DataFrame", {"data": {"time": [1.0]}}),
    ("data must have at least one row", {"data": lambda d: d.iloc[:0]}),
    ("data must have no missing values, got 3 of", {"data": lambda d: changed(d, "time", np.nan)}),
    (r"\(reader: 3\)", {"data": lambda d: changed(d, "reader", None)}),
    ("data must be finite in 'size'", {"formula": "time ~ size", "data": lambda d: changed(d, "size", np.inf)}),
    ("data must vary in 'time', got 2", {"data": lambda d: d.assign(time=2.0)}),
    ("family must be one of", {"family": "binomial"}),
    ("data must hold numbers > 0 in 'time' for family 'lognormal', got 0", {"data": lambda d: changed(d, "time", 0.0)}),
    ("data must hold numbers > 0 in 'score' for family 'gamma'", {"formula": "score ~ mode", "family": "gamma"}),
    ("data must hold 0 and 1 only", {"formula": "findings ~ mode", "family": "bernoulli"}),
    ("data must hold whole numbers >= 0 in 'findings'",
     {"formula": "findings ~ mode", "family": "poisson", "data": lambda d: changed(d, "findings", -1)}),
    ("data must hold whole numbers >= 0 in 'time'", {"family": "negative_binomial"}),
    ("groups must name columns of data", {"groups": ["reader", "image"]}),
    ("groups must name at least one column", {"groups": []}),
    ("groups must name at least one column, each once", {"groups": ["reader", "reader"]}),
    ("groups must be a column of data", {"groups": 3}),
    ("groups must have at least two levels, got one in 'reader'", {"data": lambda d: d.assign(reader=1)}),
    ("groups must repeat", {"data": lambda d: d.assign(reader=range(len(d)))}),
    ("groups must differ, got the same grouping in 'reader' and 'twin'", {"groups": ["reader", "twin"]}),
    ("slopes must be for groups", {"slopes": {"case": "mode"}, "groups": ["reader"]}),
    ("slopes must be terms of the formula", {"slopes": {"reader": "grade"}}),
    ("slopes must map groups", {"slopes": "mode"}),
    ("slopes must leave more observations than effects",
     {"data": lambda d: d.groupby(["reader", "mode"], observed=True, as_index=False).first(), "groups": "reader",
      "slopes": {"reader": "mode"}}),
    ("exposure must name columns of data", {"exposure": "hours", "formula": "findings ~ mode", "family": "poisson"}),
    ("exposure must go with family", {"exposure": "minutes"}),
    ("exposure must hold numbers > 0", {"exposure": "size", "formula": "findings ~ mode", "family": "poisson"}),
    ("reml must not be True for family 'gamma'", {"family": "gamma", "reml": True}),
    ("level must be between 0 and 1", {"level": 95}),
]  # fmt: skip


@pytest.mark.parametrize(("message", "change"), WRONG, ids=[message for message, _ in WRONG])
def test_wrong_input_ends_with_one_line_that_names_it(readings, message, change):
    data = readings.assign(twice=2 * readings["size"], twin=readings["reader"].map(lambda r: f"r{r}"))
    call = {"formula": "time ~ mode", "data": data, "family": "lognormal", "groups": ["reader", "case"]} | change
    if callable(call["data"]):
        call["data"] = call["data"](data)
    with pytest.raises(ValueError, match=message) as raised:
        mixed_model(call.pop("formula"), call.pop("data"), **call)
    assert "\n" not in str(raised.value)


def test_a_factor_with_one_level_has_nothing_to_compare(readings):
    model = mixed_model("time ~ site", readings.assign(site="A"), family="lognormal", groups="reader")
    with pytest.raises(ValueError, match="factor must have at least two levels"):
        model.contrasts("site")


@pytest.mark.parametrize(
    ("message", "arguments"),
    [("factor must be a factor of the formula", {"factor": "size"}),
     ("by must be a factor of the formula", {"factor": "mode", "by": "reader"}),
     ("by must be another factor", {"factor": "mode", "by": "mode"}),
     ("against must be one of", {"factor": "mode", "against": "XR"}),
     ("adjust must be one of", {"factor": "mode", "adjust": "sheffe"}),
     ("adjust must not be 'tukey' with against", {"factor": "mode", "against": "FT", "adjust": "tukey"}),
     ("ratio must be False", {"factor": "mode", "ratio": True})],
)  # fmt: skip
def test_wrong_contrasts_are_refused(fitted, message, arguments):
    with pytest.raises(ValueError, match=message):
        fitted["gaussian", "slope"].contrasts(**arguments)
