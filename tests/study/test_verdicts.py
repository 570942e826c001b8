"""Claims: compound, leaning on controls, scope, rungs, power, and what a changed card does to a stored run."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import yaml

from helpers import TINY_CARD
from medrepro.stats.results import Estimate
from medrepro.study.card import load_card, parse_card
from medrepro.study.errors import InputError
from medrepro.study.verdicts import Verdict, combine, judge_card


def estimate(low: float, high: float, level: float = 0.95) -> dict[str, Any]:
    return Estimate((low + high) / 2, low, high, level=level, n=40, unit="patient").to_dict()


RAW = yaml.safe_load(TINY_CARD) | {
    "claims": [
        {
            "id": "C1",
            "text": "better",
            "reported": {"value": 0.97, "sd": 0.008, "origin": "abstract"},
            "scope": "method",
            "criterion": {"quantity": "difference", "op": "greater", "bound": 0.0},
            "power": {"embedded": 0.5, "effect": 0.05, "how": "simulated"},
        },
        {
            "id": "C2",
            "text": "on par",
            "reported": {"origin": "abstract"},
            "scope": "models",
            "kind": "noninferiority",
            "margin_because": "two points of AUROC change no decision",
            "leans_on": ["sensitivity", "off_ceiling"],
            "criterion": {"quantity": "difference to rival", "op": "greater", "bound": -0.02},
        },
        {
            "id": "C3",
            "text": "both",
            "reported": {"origin": "paper"},
            "scope": "models",
            "criterion": {
                "all": [
                    {"id": "a", "quantity": "first", "op": "greater", "bound": 0.0},
                    {"id": "b", "quantity": "second", "op": "greater", "bound": 0.0},
                ]
            },
        },
        {
            "id": "C4",
            "text": "a count",
            "reported": {"origin": "paper"},
            "scope": "models",
            "kind": "fact",
            "criterion": {"check": "7 layers"},
        },
        {
            "id": "C5",
            "text": "public",
            "reported": {"origin": "abstract"},
            "scope": "models",
            "kind": "not_testable",
            "reason": "no data exist",
        },
    ],
    "controls": [
        {
            "id": "sensitivity",
            "kind": "assay_sensitivity",
            "text": "weaker arm",
            "criterion": {"quantity": "weak difference", "op": "less", "bound": -0.02},
        },
        {
            "id": "off_ceiling",
            "kind": "arm_range",
            "text": "no ceiling",
            "criterion": {"quantity": "best AUROC", "op": "less", "bound": 0.995},
        },
    ],
}
BUNDLE: dict[str, Any] = {
    "preset": "embedded",
    "claims": {
        "C1": {"": {"quantity": "difference", "estimate": estimate(0.1, 0.2)}},
        "C2": {"": {"quantity": "difference to rival", "estimate": estimate(-0.01, 0.02)}},
        "C3": {
            "a": {"quantity": "first", "estimate": estimate(0.1, 0.2)},
            "b": {"quantity": "second", "estimate": estimate(0.1, 0.2)},
        },
        "C4": {"": {"quantity": "7 layers", "passed": True, "evidence": "counted 7"}},
    },
    "controls": {
        "sensitivity": {"": {"quantity": "weak difference", "estimate": estimate(-0.2, -0.1)}},
        "off_ceiling": {"": {"quantity": "best AUROC", "estimate": estimate(0.8, 0.9)}},
    },
    "notes": {"C1": ["a remark"]},
}


def judged(change: Any = None, raw: dict[str, Any] = RAW, n_seeds: int = 1) -> dict[str, Verdict]:
    bundle = copy.deepcopy(BUNDLE)
    if change:
        change(bundle)
    return {v.claim: v for v in judge_card(parse_card(raw, "01_tiny"), bundle, n_seeds=n_seeds)}


def test_all_claims_of_a_good_run():
    statuses = {name: verdict.status for name, verdict in judged().items()}
    assert statuses == {"C1": "holds", "C2": "holds", "C3": "holds", "C4": "holds", "C5": "not testable"}


@pytest.mark.parametrize(
    ("statuses", "status"),
    [
        (["holds", "holds"], "holds"),
        (["holds", "fails"], "fails"),
        (["undecided", "fails"], "fails"),
        (["holds", "undecided"], "undecided"),
        ([], "undecided"),
    ],
)
def test_a_compound_claim_fails_with_any_part_and_holds_with_all(statuses, status):
    assert combine(statuses) == status


def test_a_missing_part_leaves_a_compound_claim_undecided():
    verdict = judged(lambda b: b["claims"]["C3"].pop("b"))["C3"]
    assert verdict.status == "undecided"
    assert "b: not measured" in verdict.reason


def test_a_failed_control_makes_what_leans_on_it_undecided_and_nothing_else():
    def weak_arm_passes(bundle):
        bundle["controls"]["sensitivity"][""]["estimate"] = estimate(-0.01, 0.01)

    verdicts = judged(weak_arm_passes)
    assert verdicts["C2"].status == "undecided"
    assert "sensitivity failed" in verdicts["C2"].reason
    assert verdicts["C1"].status == "holds"


def test_missing_assay_sensitivity_makes_noninferiority_undecided():
    verdict = judged(lambda b: b["controls"].pop("sensitivity"))["C2"]
    assert verdict.status == "undecided"
    assert "was not measured" in verdict.reason


def test_a_failed_control_also_stops_a_claim_that_would_fail():
    def both(bundle):
        bundle["claims"]["C2"][""]["estimate"] = estimate(-0.2, -0.1)
        bundle["controls"]["off_ceiling"][""]["estimate"] = estimate(0.996, 0.999)

    assert judged(both)["C2"].status == "undecided"


def test_a_fact_holds_or_fails_by_its_check():
    verdict = judged(lambda b: b["claims"]["C4"][""].update(passed=False))["C4"]
    assert verdict.status == "fails"
    assert verdict.parts[0].evidence == "counted 7"


def test_an_unmeasured_claim_needs_data():
    assert judged(lambda b: b["claims"].pop("C1"))["C1"].status == "needs data"


def test_a_claim_about_the_method_is_judged_for_the_models_until_five_trainings():
    one, four, five = (judged(n_seeds=n)["C1"] for n in (1, 4, 5))
    assert (one.scope, one.scope_judged) == ("method", "models")
    assert any("1 of at least 5 trainings" in note for note in one.notes)
    assert four.scope_judged == "models"
    assert five.scope_judged == "method"
    assert not any("trainings" in note for note in five.notes)


def test_below_the_cohort_the_papers_number_needs_data():
    below = judged()["C1"]
    cohort = judged(lambda b: b.update(preset="paper"))["C1"]
    assert (below.rung, below.value_status) == ("stand-in", "needs data")
    assert (cohort.rung, cohort.value_status) == ("cohort", "")


def test_low_power_marks_the_verdict():
    assert judged()["C1"].underpowered
    assert not judged()["C2"].underpowered
    raw = copy.deepcopy(RAW)
    raw["claims"][0]["power"]["embedded"] = 0.8
    assert not judged(raw=raw)["C1"].underpowered


def test_a_changed_bound_changes_the_verdict_of_a_stored_run():
    raw = copy.deepcopy(RAW)
    raw["claims"][0]["criterion"]["bound"] = 0.3
    assert judged(raw=raw)["C1"].status == "fails"


def test_a_changed_quantity_is_not_answered_by_an_old_number():
    raw = copy.deepcopy(RAW)
    raw["claims"][0]["criterion"]["quantity"] = "another difference"
    verdict = judged(raw=raw)["C1"]
    assert verdict.status == "undecided"
    assert "the run measured 'difference'" in verdict.reason


def test_a_family_of_claims_is_judged_at_a_corrected_level():
    raw = copy.deepcopy(RAW) | {"families": {"heads": ["C1", "C2"]}}
    assert judged(raw=raw)["C1"].status == "undecided"  # the stored interval has level 0.95, the family asks 0.975

    def wider(bundle):
        bundle["claims"]["C1"][""]["estimate"] = estimate(0.05, 0.25, level=0.975)

    assert judged(wider, raw=raw)["C1"].status == "holds"


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("theme",), "cooking", "unknown theme 'cooking'"),
        (("titel",), "x", "unknown key 'titel'; did you mean 'title'"),
        (("id",), "02_other", "id must be the file's name"),
        (("claims", 0, "kind"), "better", "kind must be one of"),
        (("claims", 0, "scope"), "paper", "scope must be one of models, method"),
        (("claims", 0, "reported"), {"value": 1, "origin": "rumour"}, "reported.origin must be one of"),
        (("claims", 1, "margin_because"), "", "noninferiority needs margin_because"),
        (("claims", 1, "leans_on"), ["off_ceiling"], "must lean on a control of kind assay_sensitivity"),
        (("claims", 1, "leans_on"), ["sensitivty"], "did you mean 'sensitivity'"),
        (("claims", 0, "power"), {"embedded": 0.9}, "power needs 'effect' and 'how'"),
        (("claims", 3, "kind"), "superiority", "a fact is decided by 'check'"),
        (("claims", 4, "reason"), "", "has a reason and no criterion"),
        (("claims", 4, "id"), "C1", "the id C1 is used twice"),
        (("controls", 0, "kind"), "weak", "kind must be one of"),
        (("families",), {"f": ["C9"]}, "'C9' is not a claim"),
        (("rungs",), {"embedded": "toy"}, "rungs.embedded must be one of"),
        (("data",), {"embeded": []}, "key must be one of embedded"),
        (("seeds_vary",), ["weather"], "seeds_vary must be one of"),
    ],
)
def test_a_wrong_card_is_named(path, value, message):
    raw = copy.deepcopy(RAW)
    target: Any = raw
    for step in path[:-1]:
        target = target[step]
    target[path[-1]] = value
    with pytest.raises(InputError, match=message) as caught:
        parse_card(raw, "01_tiny")
    assert "\n" not in str(caught.value)


def test_an_unknown_study_names_the_nearest_right_one(tiny):
    with pytest.raises(InputError, match="unknown study '01_tny'; did you mean '01_tiny'"):
        load_card("01_tny")
    tiny.card.write_text("a: [")
    with pytest.raises(InputError, match="not valid YAML"):
        load_card("01_tiny")
