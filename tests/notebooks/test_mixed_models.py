"""Expected tables of the page on mixed models against R (lme4, glmmTMB, emmeans) and, for the simulation, theory."""

from __future__ import annotations

import json
from functools import partial

import numpy as np
import pytest
from handbook import TESTS, entry, expected_tables
from scipy.stats import norm, t

REFERENCE = json.loads((TESTS / "reference" / "mixed_models.json").read_text(encoding="utf-8"))["page"]
cell = partial(entry, "mixed_models")
ANALYSES = {"none (7,584 answers)": "none", "persons": "persons", "persons, items": "crossed",
            "persons, items, slopes": "slopes"}  # fmt: skip
AGREES = {"rel": 1e-3, "abs": 1e-4}


def p_text(p):
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


@pytest.mark.parametrize("column", ANALYSES)
@pytest.mark.parametrize(
    ("row", "effect"),
    [("gender, M / F", "gender"), ("situation, self / other", "situ"), ("mode, want / do", "mode")],
)
def test_expected_odds_ratios_equal_those_of_r(row, effect, column):
    theirs = REFERENCE["odds"][ANALYSES[column]][effect]
    assert cell("effects", row, column) == pytest.approx(theirs["ratio"], **AGREES)
    assert cell("effects", f"p of {row.split(',')[0]}", column) == p_text(theirs["p"])


@pytest.mark.parametrize(
    ("row", "place"), [("person: intercept", 0), ("person: mode[T.want]", 1), ("item: intercept", 2)]
)
def test_expected_standard_deviations_equal_those_of_r(row, place):
    found = cell("spread", row, "standard deviation, logits")
    assert found == pytest.approx(REFERENCE["spread"]["sd"][place], **AGREES)


def test_expected_share_with_the_other_sign_follows_from_the_effect_and_its_spread():
    average = np.log(REFERENCE["odds"]["slopes"]["mode"]["ratio"][0])
    share = norm.cdf(-average / REFERENCE["spread"]["sd"][1])
    assert cell("spread", "person: mode[T.want]", "share with the other sign") == pytest.approx(share, abs=1e-3)


@pytest.mark.parametrize(("place", "row"), enumerate(["scold / curse", "shout / curse", "shout / scold"]))
def test_expected_pairs_of_behaviours_equal_those_of_emmeans(place, row):
    each, jointly = (REFERENCE["kinds"][adjust]["ratio"][place] for adjust in ("none", "tukey"))
    assert cell("contrasts", row, "odds ratio, each 95 %") == pytest.approx(each, **AGREES)
    assert cell("contrasts", row, "odds ratio, jointly 95 % (Tukey)") == pytest.approx(jointly, **AGREES)


@pytest.mark.parametrize(
    ("row", "model"),
    [("Poisson, no patients", "glm"), ("Poisson, patients", "poisson"),
     ("negative binomial, patients", "negative_binomial")],
)  # fmt: skip
def test_expected_seizure_models_equal_those_of_r(row, model):
    theirs = REFERENCE["seizures"][model]
    for place, (ratio, p) in enumerate([("progabide, rate ratio", "p (drug)"), ("visit 4, rate ratio", "p (visit 4)")]):
        assert cell("counts", row, ratio) == pytest.approx(theirs["ratio"][place], **AGREES)
        assert cell("counts", row, p) == p_text(theirs["p"][place])
    assert cell("counts", row, "log-likelihood") == pytest.approx(theirs["loglik"], abs=1e-3)


@pytest.mark.parametrize(
    ("column", "adjust"),
    [("Poisson, none", "poisson"), ("none", "none"), ("Holm", "holm"), ("Bonferroni", "bonferroni"),
     ("Tukey", "tukey"), ("Benjamini-Hochberg", "fdr_bh")],
)  # fmt: skip
def test_expected_comparisons_of_visits_equal_those_of_emmeans(column, adjust):
    theirs = REFERENCE["visits"][adjust]
    for pair, p in zip(theirs["pair"], theirs["p"], strict=True):
        row = pair.replace("visit", "").replace(" - ", " / ")
        assert float(cell("visits", row, column).removeprefix("p = ")) == pytest.approx(p, abs=1.1e-3)


def test_expected_rate_ratios_of_visits_equal_those_of_emmeans():
    found = [row[0] for row in expected_tables("mixed_models")["visits"]["data"]]
    order = [pair.replace("visit", "").replace(" - ", " / ") for pair in REFERENCE["visits"]["none"]["pair"]]
    by_row = dict(zip(expected_tables("mixed_models")["visits"]["index"], found, strict=True))
    for row, theirs in zip(order, REFERENCE["visits"]["none"]["ratio"], strict=True):
        assert by_row[row] == pytest.approx(theirs, **AGREES)


@pytest.mark.parametrize("analysis", ["t test", "intercepts", "slopes, z", "slopes, t"])
@pytest.mark.parametrize("alpha", [0.05, 0.01])
def test_expected_false_alarms_are_those_of_theory(analysis, alpha):
    """The design is balanced: the difference of means is normal, and each analysis takes a known part of its variance.

    Per reader and tool 35 cases; variances 0.3^2 (reader, case), 0.15^2 (gain), 0.35^2 (noise), as in cell simulate.
    """
    reader, case, gain, noise, n = 0.09, 0.09, 0.0225, 0.1225, 8 * 35
    true = gain / 8 + 2 * noise / n
    taken = {
        "t test": (2 * (reader * 7 / 8 + case + noise) + gain * 7 / 8) / n,  # what spreads within the two samples
        "intercepts": (2 * noise + gain / 2) / n,
        "slopes, z": true,
        "slopes, t": true,
    }[analysis]
    # With slopes the error itself has 7 degrees of freedom: judged by z, t exceeds the normal's bound too often.
    bound = t.isf(alpha / 2, 7) if analysis == "slopes, t" else norm.isf(alpha / 2)
    share = 2 * t.sf(bound, 7) if analysis.startswith("slopes") else 2 * norm.sf(bound * np.sqrt(taken / true))
    _, low, high = cell("false-alarms", analysis, f"p < {alpha}")
    assert low - 0.01 < share < high + 0.01


def test_expected_widths_show_that_more_cases_do_not_replace_readers():
    by_design = {row: cell("solution", row, "readers differ (0.15)") for row in
                 ("8 readers, 35 cases", "8 readers, 140 cases", "32 readers, 35 cases")}  # fmt: skip
    error = {"8 readers, 35 cases": (8, 35), "8 readers, 140 cases": (8, 140), "32 readers, 35 cases": (32, 35)}
    for row, (readers, cases) in error.items():
        width = 2 * t.isf(0.025, readers - 1) * np.sqrt(0.0225 / readers + 2 * 0.1225 / (readers * cases))
        assert by_design[row] == pytest.approx(width, rel=0.15)
