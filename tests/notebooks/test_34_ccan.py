"""Chapter 34, cascaded cross-attention: the opposite of each claim, planted, must come out as `fails`.

What a shallow reproduction would skip, and where it is held down:

- cascade of halving latents, look-back at every stage, shared deeply supervised head: tests/models/test_ccan.py
- padding and position codes that depend on batch neighbours (`use_mask`): tests/models/test_ccan.py and here
- element-wise dropout of features and position code, off at test: tests/models/test_ccan.py
- three classes as three one-against-the-rest logits; logits averaged before the sigmoid: tests/training/test_mil.py
- patients in one split only, the patient as the unit: tests/data (slide features), tests/training/test_mil_tasks.py
- small training parts drawn once per seed and shared by all arms: tests/training/test_bags.py and here
- cost measured where the latents no longer dominate, and counted: tests/training/test_mil.py and here
- heat maps scored against a mask: here
"""

from __future__ import annotations

import math

import pytest

from helpers import run_chapter
from medrepro.study.card import load_card
from medrepro.study.chapters import load_chapter
from medrepro.study.runner import Job, run_jobs
from medrepro.study.store import RunStore
from medrepro.study.verdicts import Verdict

STUDY = "34_ccan"


@pytest.fixture(scope="module")
def plain() -> dict[str, Verdict]:
    return run_chapter(STUDY)


@pytest.fixture(scope="module")
def permuted() -> dict[str, Verdict]:
    """CCAN, and only CCAN, learns from permuted labels; its rivals are intact."""
    return run_chapter(STUDY, {"planted_opposite": "permuted_labels"})


def _values(verdict: Verdict) -> dict[str, float]:
    return {part.id: part.estimate["value"] for part in verdict.parts}


def test_every_claim_but_the_repositorys_address_is_judged(plain):
    assert {claim for claim, verdict in plain.items() if verdict.status in ("needs data", "not testable")} == {"C7"}
    for claim, verdict in plain.items():
        assert all("not measured" not in part.reason for part in verdict.parts), claim


@pytest.mark.parametrize("claim", ["C1", "C2", "C3", "C5"])
def test_a_ccan_that_learned_nothing_fails(permuted, claim):
    assert permuted[claim].status == "fails"


def test_a_heat_map_that_misses_the_recorded_mask_fails(plain):
    found = run_chapter(STUDY, {"planted_opposite": "signal_outside_mask"})
    assert found["C6"].status == "fails"
    assert plain["C6"].status == "holds"
    # Nothing but the mask was moved.
    assert _values(found["C3"]) == pytest.approx(_values(plain["C3"]), abs=1e-6)


def test_quadratic_cost_fails(plain):
    assert run_chapter(STUDY, {"planted_opposite": "quadratic_cost"})["C4"].status == "fails"
    assert plain["C4"].status == "holds"


def test_superiority_over_mean_pooling_is_not_found_where_the_slides_mean_tells_the_class():
    """Half of each slide is tumour: CCAN is as good as ever, attention is superfluous."""
    changes = {"tumour_fraction": 0.5, "task": "two_class", "models": ["ccan", "mean"], "lr": [0.01]}
    found = run_chapter(STUDY, changes)["C1"]
    assert found.status != "holds"
    assert abs(_values(found)[""]) < 0.05


def test_a_model_without_mask_is_noticed_by_the_control():
    """The authors' setting: a prediction moves with what the slide is batched with."""
    quick = {"task": "two_class", "models": ["ccan"], "lr": [0.01], "n_train": 32, "n_test": 32, "epochs": 1}
    passed = {}
    for use_mask in (True, False):
        chapter = load_chapter(STUDY)
        job = Job(chapter, chapter.resolve("embedded", {**quick, "use_mask": use_mask}))
        outcome = run_jobs([job], RunStore())[0]
        passed[use_mask] = outcome.run.bundle["controls"]["padding_is_ignored"][""]["passed"]
    assert passed == {True: True, False: False}


def test_cost_is_counted_where_the_latents_no_longer_dominate():
    for preset in ("embedded", "real", "open", "paper"):
        lengths = load_card(STUDY).parameters.resolve(preset)["cost_tokens"]
        assert max(lengths) >= 1024 * 128  # patches for each latent of the paper's first stage


def test_all_arms_of_the_learning_curve_share_the_drawn_parts():
    """One draw per fraction, outside the loop over arms."""
    cell = next(c for c in load_chapter(STUDY).code_cells if "stratified_fraction" in c and "curve_arms" in c)
    assert cell.index("stratified_fraction") < cell.index("for arm in curve_arms:")


def test_the_recorded_verdict_values_are_finite(plain):
    for verdict in plain.values():
        for part in verdict.parts:
            assert part.estimate is None or math.isfinite(part.estimate["value"])
