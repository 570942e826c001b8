"""Expected tables of the page on fairness and privacy against fairlearn, scikit-learn and dp-accounting.

Reference: tests/reference/fairness_page.py, which also writes the private training out patient by patient.
"""

from __future__ import annotations

import json
import math
from functools import partial

import pytest
from handbook import TESTS, entry
from scipy.stats import norm

OTHER = json.loads((TESTS / "reference" / "fairness_page.json").read_text(encoding="utf-8"))
SHOWN = ("Effusion", "Atelectasis", "Nodule", "Pneumothorax")
EPSILON = {tuple(e["run"]): (e["rdp"], e["pld"]) for e in OTHER["epsilon"]}
cell = partial(entry, "fairness_and_privacy")
EXACT = 6e-5  # tables keep four digits


@pytest.mark.parametrize("part", ["training", "threshold", "test"])
def test_films_of_each_part(part):
    counts = {"training": "train", "threshold": "tune", "test": "test"}
    assert cell("groups", part, "films") == OTHER["films"][counts[part]]


@pytest.mark.parametrize(("kind", "group"), [(k, g) for k in ("age", "sex") for g in OTHER["Effusion"][k]["AUROC"]])
def test_metrics_by_group(kind, group):
    for column in ("AUROC", "sensitivity", "false alarms"):
        assert cell("subgroups", group, column)[0] == pytest.approx(OTHER["Effusion"][kind][column][group], abs=EXACT)


@pytest.mark.parametrize("finding", SHOWN)
def test_gaps_before_and_after_private_training(finding):
    own = OTHER[finding]
    assert cell("gaps", finding, "parity, age")[0] == pytest.approx(own["age"]["parity"], abs=EXACT)
    assert cell("gaps", finding, "odds, age")[0] == pytest.approx(own["age"]["odds"], abs=EXACT)
    for kind, (one, other) in {"age": ("60 and over", "under 40"), "sex": ("women", "men")}.items():
        before, after = (own[kind][m][one] - own[kind][m][other] for m in ("sensitivity", "sensitivity, private"))
        row = f"{finding}, {kind}"
        assert cell("amplification", row, "gap without privacy")[0] == pytest.approx(before, abs=EXACT)
        assert cell("amplification", row, "gap with strong privacy")[0] == pytest.approx(after, abs=EXACT)
        assert cell("amplification", row, "change")[0] == pytest.approx(after - before, abs=EXACT)
    for group, value in own["age"]["sensitivity, private"].items():
        assert cell("levels", finding, f"{group}, private")[0] == pytest.approx(value, abs=EXACT)


def test_quality_of_the_models():
    plain, strong = OTHER["Effusion"]["AUROC"]
    assert cell("accounts", "none: fitted to the end", "AUROC, effusion")[0] == pytest.approx(plain, abs=EXACT)
    assert cell("accounts", "strong", "AUROC, effusion")[0] == pytest.approx(strong, abs=EXACT)


@pytest.mark.parametrize("steps", [30, 100, 300, 1000, 3000])
def test_epsilon_over_training_length(steps):
    """Ours and theirs are bounds: Renyi from other orders, loss distributions within 0.02 and 0.01 of the truth."""
    renyi, distribution = EPSILON[2.0, 0.05, steps]
    assert cell("length", steps, "Renyi (RDP), bound") == pytest.approx(renyi, rel=1e-3)
    assert cell("length", steps, "loss distribution (PRV), bound") == pytest.approx(distribution, abs=0.02)
    assert cell("length", steps, "central limit (GDP), no bound") < distribution


def test_epsilon_elsewhere_on_the_page():
    pairs = [("accounts", "strong", (8.0, 0.05, 300)), ("accounts", "weak", (2.0, 0.05, 300))]
    for table, row, run in pairs:
        assert cell(table, row, "epsilon, Renyi") == pytest.approx(EPSILON[run][0], rel=1e-3)
        assert cell(table, row, "epsilon, loss distribution") == pytest.approx(EPSILON[run][1], abs=0.02)
    for row, run in (("as planned", (4.0, 0.05, 1000)), ("half the rate, twice the steps", (4.0, 0.025, 2000))):
        assert cell("solution", row, "epsilon, RDP") == pytest.approx(EPSILON[run][0], rel=1e-3)
        assert cell("solution", row, "epsilon, PRV") == pytest.approx(EPSILON[run][1], abs=0.02)


def test_the_meaning_of_epsilon_follows_from_its_definition():
    for epsilon in (0.1, 0.5, 1.0, 2.0, 4.0, 8.0):
        row = f"{epsilon:g}"
        odds = math.exp(epsilon)
        assert cell("meaning", row, "suspicion of 50 % becomes") == pytest.approx(odds / (1 + odds), abs=EXACT)
        for column, alarms in (("hits at 1 % false alarms", 0.01), ("hits at 10 %", 0.1)):
            hits = cell("meaning", row, column)
            # Both inequalities of (epsilon, delta), and one of them met.
            slack = (odds * alarms + 1e-5 - hits, odds * (1 - hits) + 1e-5 - (1 - alarms))
            assert min(slack[0], slack[1] / odds) == pytest.approx(0, abs=EXACT)


@pytest.mark.parametrize("groups", [2, 4, 8, 16, 32])
def test_gaps_by_lot_agree_with_other_draws(groups):
    mean, error = OTHER["by lot"][str(groups)]
    assert cell("trap1", groups, "gap by lot, mean") == pytest.approx(mean, abs=4 * error)


def test_a_known_seed_gives_membership_away_and_an_unknown_one_does_not():
    assert cell("trap2-seed", "known", "right about membership")[0] == 1
    _, low, high = cell("trap2-seed", "not known", "right about membership")
    assert low < 0.5 < high


def test_fixed_batches_break_the_claim_as_theory_says():
    row = "cut from a fixed list"
    assert cell("trap2-batch-table", row, "epsilon true, at most") == pytest.approx(
        OTHER["epsilon, fixed batches"], rel=1e-4
    )
    hits = norm.sf(norm.isf(0.01) - math.sqrt(15) / 2)  # the best test of a shift by sqrt(epochs) / noise
    measured = cell("trap2-batch-table", row, "hits measured")
    assert measured == pytest.approx(hits, abs=0.03)
    assert measured > cell("trap2-batch-table", row, "hits allowed by the claim")
    honest = cell("trap2-batch-table", "Poisson samples", "hits measured")
    assert honest < cell("trap2-batch-table", "Poisson samples", "hits allowed by the claim")
