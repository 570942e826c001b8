"""Expected tables of the page on resampling against R (boot, pROC), and the coverage study behind its section 6."""

from __future__ import annotations

import importlib.util
import json
import math
import sys
from functools import partial

import pytest
from handbook import TESTS, entry, expected_tables

from medrepro.study.chapters import load_chapter, source_of

REFERENCE = json.loads((TESTS / "reference" / "roc_pages.json").read_text(encoding="utf-8"))["resampling"]
ROOT = TESTS.parent
STUDY = json.loads((ROOT / "book" / "results" / "coverage.json").read_text(encoding="utf-8"))
DIGITS = 6e-5  # the page's tables hold four decimals
SIZES = (30, 100, 1000)
cell = partial(entry, "resampling")


def numbers(text):
    """[value, low, high] of a cell such as "0.947 [0.859, 0.981]"."""
    return [float(part) for part in text.replace("[", "").replace("]", "").replace(",", "").split()]


@pytest.fixture(scope="module")
def coverage():
    """benchmarks/coverage.py as a module."""
    spec = importlib.util.spec_from_file_location("coverage_study", ROOT / "benchmarks" / "coverage.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


# ---------------------------------------------------------------- against R


@pytest.mark.parametrize(("column", "data"), [("small study", "small"), ("all", "all")])
@pytest.mark.parametrize(("row", "kind"), [("DeLong", "delong"), ("DeLong, logit scale", "logit")])
def test_closed_intervals_equal_those_of_proc(row, kind, column, data):
    assert numbers(cell("intervals", row, column)) == pytest.approx(REFERENCE[data][kind], abs=6e-4)


@pytest.mark.parametrize("method", ["percentile", "basic", "normal", "bca"])
def test_bootstrap_intervals_agree_with_r_boot_on_other_resamples(method):
    value, low, high = numbers(cell("intervals", f"bootstrap, {method}", "small study"))
    assert value == pytest.approx(REFERENCE["small"]["delong"][0], abs=6e-4)
    # 2000 and 4000 resamples: an outer quantile errs by about 0.03 of the width, BCa's lower one by more.
    assert [low, high] == pytest.approx(REFERENCE["boot"][method], abs=0.12 * (high - low))


@pytest.mark.parametrize("score", ["mean smoothness", "mean symmetry", "mean texture"])
def test_both_metrics_equal_those_of_r(score):
    for column, name in (("AUROC", "auroc"), ("average precision", "average_precision")):
        order = ["mean smoothness", "mean symmetry", "mean texture"].index(score)
        assert cell("fast", score, column)[0] == pytest.approx(REFERENCE[name][order], abs=DIGITS)


def test_fast_and_general_bootstrap_show_the_same_digits():
    for column in ("AUROC", "average precision"):
        assert cell("fast", "mean smoothness", column) == cell("fast", "mean smoothness, general bootstrap", column)


def test_copies_of_images_narrow_only_the_interval_that_draws_images():
    assert cell("units", "60 patients", "AUROC") == cell("units", "300 equal images, patients drawn", "AUROC")
    ratio = cell("units", "60 patients", "width") / cell("units", "300 equal images, images drawn", "width")
    assert ratio == pytest.approx(math.sqrt(5), rel=0.1)


@pytest.mark.parametrize("row", ["3 trees", "30 trees", "30 - 3 trees"])
def test_two_level_intervals_equal_satterthwaites_written_out_in_r(row):
    assert cell("levels", row, "both, t") == pytest.approx(REFERENCE["two_level"][row], abs=DIGITS)
    assert cell("levels", "3 trees", "one training, patients") == pytest.approx(REFERENCE["one_training"], abs=DIGITS)


@pytest.mark.parametrize("rule", ["share, one side", "share, both sides", "centred on the null", "DeLong"])
def test_p_values_of_each_rule_agree_with_r(rule):
    p, other = cell("trap-one", rule, "p value"), REFERENCE["p"][rule]
    # Shares of 20,000 resamples each, doubled for "both sides"; DeLong draws nothing.
    error = 0 if rule == "DeLong" else 4 * math.sqrt(2 * other * 2 / 20_000)
    assert p == pytest.approx(other, abs=error + DIGITS)


# ---------------------------------------------------------------- what the text says


def test_one_sided_share_raises_twice_the_false_alarms_and_the_other_rules_do_not():
    for n in ("n = 40", "n = 120"):
        assert cell("trap-null", "share, one side", n)[1] > 0.05
        for rule in ("share, both sides", "centred on the null", "DeLong"):
            _, low, high = cell("trap-null", rule, n)
            assert low < 0.05 < high
    one, both, centred = (
        cell("trap-one", rule, "p value") for rule in ("share, one side", "share, both sides", "centred on the null")
    )
    assert round(centred / both, 1) == 2.5
    assert round(centred / one) == 5


def test_best_of_twenty_falls_and_a_forest_named_beforehand_does_not():
    assert round(cell("best-again", "the winner", "fall"), 2) == 0.03
    assert round(cell("best", "optimism, estimated from the validation patients alone", "AUROC"), 2) == 0.03
    assert abs(cell("best-again", "one forest, named beforehand", "fall")) < 0.005
    seems, is_worth = (
        cell("best-again", "the winner", c) - cell("best-again", "the mean of all twenty", c)
        for c in ("on the 60 that choose", "on the 409 others")
    )
    assert 0 < is_worth < seems / 3
    falls = [row[2] for row in expected_tables("resampling")["solution"]["data"]]
    assert falls == sorted(falls)


def recorded(quantity, method, n):
    return next(row for row in STUDY["rows"] if (row["quantity"], row["method"], row["n"]) == (quantity, method, n))


def test_coverage_named_in_the_text_is_that_of_the_study():
    text = " ".join(source_of(c) for c in load_chapter("resampling").notebook["cells"] if c["id"] == "coverage-after")
    text = " ".join(text.split())
    method, sharp = "AUROC of a method, 5 trainings", "AUROC 0.95"
    said = {
        '"basic" (covers in {:.0f} %)': (sharp, "bootstrap, basic", 30),
        "DeLong's interval covers in {:.0f} %": (sharp, "DeLong", 30),
        "the percentile interval in {:.0f} %": (sharp, "bootstrap, percentile", 30),
        "one training covers in {:.0f} % of the studies": (method, "first training only, DeLong", 1000),
        "with patients only in {:.0f} %": (method, "mean, patients only, percentile", 1000),
    }
    for words, of in said.items():
        assert words.format(100 * recorded(*of)["coverage"]) in text
    for of, said_share in (("images", 3 / 4), ("diagnoses", 6 / 7)):
        naive = [recorded(f"AUROC 0.75, 5 {of} a patient", "images as patients, DeLong", n)["coverage"] for n in SIZES]
        assert naive == pytest.approx([said_share] * 3, abs=0.03)


# ---------------------------------------------------------------- the coverage study


def test_coverage_tables_show_the_recorded_study():
    tables = expected_tables("resampling")
    cells = [source_of(c) for c in load_chapter("resampling").notebook["cells"] if c["id"].startswith("coverage-")]
    for quantity in {row["quantity"] for row in STUDY["rows"]}:
        assert any(f'"{quantity}"' in source for source in cells)
    rows = [(name, row) for name in tables if name.startswith("coverage-") for row in tables[name]["index"]]
    assert len(rows) == len({(r["quantity"], r["method"]) for r in STUDY["rows"]})
    for name, method in rows:
        for n in SIZES:
            text = cell(name, method, f"n = {n}")
            matches = [r for r in STUDY["rows"] if (r["method"], r["n"]) == (method, n)]
            assert text in [f"{r['coverage']:.3f} ± {r['mc_error']:.3f}" for r in matches]


def test_study_is_complete_and_says_how_it_was_made(coverage):
    assert STUDY["settings"] == {"level": coverage.LEVEL, "n_boot": coverage.N_BOOT, "seed": coverage.SEED}
    assert set(STUDY["versions"]) == {"medrepro", "numpy", "scipy"}
    for scenario in coverage.SCENARIOS:
        for n, n_sim in zip(SIZES, scenario.n_sim, strict=True):
            rows = [r for r in STUDY["rows"] if (r["quantity"], r["n"]) == (scenario.name, n)]
            assert rows
            assert {r["n_sim"] for r in rows} == {n_sim}
            assert {r["truth"] for r in rows} == {scenario.truth}
    for row in STUDY["rows"]:
        sides = row["coverage"] + row["too_low"] + row["too_high"]
        assert sides == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("number", range(6))
def test_a_small_part_simulated_anew_agrees_with_the_record(coverage, number):
    """150 data sets of 30 units with another seed: within 4 Monte Carlo errors of the recorded coverage."""
    scenario = coverage.SCENARIOS[number]
    for row in coverage.simulate(scenario, 30, 150, seed=99):
        before = recorded(scenario.name, row["method"], 30)
        p = before["coverage"]
        error = math.sqrt(p * (1 - p) * (1 / (150 * (1 - row["undefined"])) + 1 / before["n_sim"]))
        assert row["coverage"] == pytest.approx(p, abs=4 * error)
        assert row["mean_width"] == pytest.approx(before["mean_width"], rel=0.2)


def test_equal_seeds_give_equal_rows(coverage):
    scenario = coverage.SCENARIOS[0]
    assert coverage.simulate(scenario, 30, 5) == coverage.simulate(scenario, 30, 5)


def test_truth_of_the_trained_method_is_the_mean_over_trainings(coverage):
    rng = coverage.np.random.default_rng(0)
    apart = rng.normal(coverage.separation(0.75), coverage.SPREAD, 200_000)
    aurocs = coverage.ndtr(apart / math.sqrt(2))
    assert coverage.trained_truth() == pytest.approx(aurocs.mean(), abs=4 * aurocs.std() / math.sqrt(apart.size))
    assert aurocs.std() == pytest.approx(0.03, abs=0.001)


def test_exact_coverage_of_a_proportion_equals_a_simulation(coverage):
    rng = coverage.np.random.default_rng(1)
    counts = rng.binomial(30, 0.9, 20_000)
    bounds = [coverage.stats.wilson(int(count), 30) for count in range(31)]
    covered = coverage.np.array([b.low <= 0.9 <= b.high for b in bounds])[counts].mean()
    exact = recorded("proportion 0.9", "Wilson", 30)["coverage"]
    assert covered == pytest.approx(exact, abs=4 * math.sqrt(exact * (1 - exact) / 20_000))


def test_undefined_and_widthless_intervals_are_counted_apart(coverage):
    make, nan = coverage.Estimate, math.nan
    row = coverage.tally([make(1, 1, 1), make(0.5, 0.4, 0.8), make(0.9, 0.8, 1.0), make(1, nan, nan)], 0.7)
    assert row["coverage"] == pytest.approx(1 / 3)
    assert (row["undefined"], row["no_width"], row["n_sim"]) == (0.25, pytest.approx(1 / 3), 4)
    assert (row["too_low"], row["too_high"]) == (0, pytest.approx(2 / 3))
