"""Expected tables of the page on tests and multiplicity against R (tests/reference/tests_page.R)."""

from __future__ import annotations

import json
from functools import partial

import pytest
from handbook import TESTS, entry, expected_tables

R = json.loads((TESTS / "reference" / "tests_page.json").read_text(encoding="utf-8"))
cell = partial(entry, "tests_and_multiplicity")
EXACT = 6e-5  # tables keep four digits


def printed(p):
    """A p value as the page prints it."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


@pytest.mark.parametrize("name", R["two"])
def test_two_groups_and_their_equivalence(name):
    r = R["two"][name]
    assert cell("two", name, "difference of means") == pytest.approx(r["difference"], abs=EXACT)
    assert cell("two", name, "Cohen's d") == pytest.approx(r["d"], abs=EXACT)
    assert cell("two", name, "Cliff's delta")[0] == pytest.approx(r["delta"][0], abs=EXACT)
    assert cell("two", name, "p, Welch") == printed(r["p_welch"][0])
    assert cell("two", name, "p, Mann-Whitney") == printed(r["p_mann_whitney"][0])
    assert cell("equivalence", name, "difference in SD [90 %]") == pytest.approx(r["scaled_90"], abs=EXACT)
    assert cell("equivalence", name, "p, equivalence") == printed(r["p_equivalence"][0])


def test_two_shares():
    r = R["yesno"]
    for row, name in (("risk difference",) * 2, ("risk ratio",) * 2, ("odds ratio",) * 2):
        assert cell("yesno", row, "estimate") == pytest.approx(r[name.replace(" ", "_")], abs=EXACT)
    # R searches the conditional limits to about 1e-4 in 1 / odds ratio.
    conditional = cell("yesno", "odds ratio, conditional (Fisher)", "estimate")
    assert conditional == pytest.approx(r["conditional"], rel=2e-3)


def test_two_models_on_the_same_patients():
    r = R["paired"]
    rows = {"McNemar, the same tumours": "mcnemar", "Fisher, wrongly taken as two groups": "two_groups"}
    for row, name in rows.items():
        assert cell("paired", row, "difference") == pytest.approx(r[name], abs=EXACT)
        assert cell("paired", row, "p") == printed(r[f"p_{name}"][0])
    t, signed, flips = expected_tables("tests_and_multiplicity")["paired-errors"]["data"]
    assert t[0] == pytest.approx(r["t"], abs=EXACT)
    assert t[1][0] == pytest.approx(r["d"][0], abs=EXACT)
    # R finds the pseudo-median and its limits by root search; ours are order statistics.
    assert signed[0] == pytest.approx(r["wilcoxon"], abs=2e-3)
    assert signed[1][0] == pytest.approx(r["rank_biserial"][0], abs=EXACT)
    assert [t[2], signed[2]] == [printed(r["p_t"][0]), printed(r["p_wilcoxon"][0])]
    assert float(flips[2]) == pytest.approx(r["p_flips"][0], abs=0.004)  # 20,000 flips: error 0.0011; ours 0.0015


def test_more_than_two():
    r = R["blocks"]
    *means, friedman, page = expected_tables("tests_and_multiplicity")["blocks"]["data"]
    assert [row[0] for row in means] == pytest.approx(r["means"], abs=EXACT)
    assert friedman[:2] == pytest.approx([r["w"][0], r["friedman"][0]], abs=EXACT)
    assert page[1] == pytest.approx(r["page_l"][0])
    ours = [row[1] for row in expected_tables("tests_and_multiplicity")["ties"]["data"]]
    assert ours == pytest.approx(r["page"], abs=EXACT)


@pytest.mark.parametrize(
    ("row", "name"), [("body mass index", "bmi"), ("blood pressure", "bp"), ("HDL cholesterol", "s3"), ("age", "age")]
)
def test_correlations(row, name):
    for kind in ("Pearson", "Spearman", "Kendall"):
        assert cell("correlation", row, kind) == pytest.approx(R["correlation"][name][kind.lower()], abs=EXACT)


def test_many_comparisons_and_their_adjustment():
    places = {row: i for i, row in enumerate(R["many"]["row"])}
    shown = expected_tables("tests_and_multiplicity")["many-table"]
    assert sum(p < 0.05 for p in R["many"]["p"]) == len(shown["index"]) == 13
    for row, (difference, p, *adjusted) in zip(shown["index"], shown["data"], strict=True):
        i = places[row]
        found = [100 * R["many"][part][i] for part in ("value", "low", "high")]
        assert difference == pytest.approx(found, abs=EXACT)
        assert p == printed(R["many"]["p"][i])
        assert adjusted == [printed(R["adjusted"][name][i]) for name in shown["columns"][2:]]
    for name, values in R["adjusted"].items():
        assert cell("many-counts", name, "findings") == sum(p < 0.05 for p in values)


def test_false_findings_are_as_many_as_theory_says():
    """1,000 trials: three standard errors around 1 - 0.95^20 and, for Holm, at most 5 %; subgroups are independent."""
    share = cell("trap2-many", "none", "trials with a finding")[0]
    assert share == pytest.approx(1 - 0.95**20, abs=3 * 0.0152)
    assert cell("trap2-many", "Holm", "trials with a finding")[0] <= 0.05 + 3 * 0.007
    assert cell("trap2-many", "none", "findings a trial") == pytest.approx(1.0, abs=3 * 0.031)
