"""The page on speed against the record of the benchmark, and its trap against two other programs."""

from __future__ import annotations

import json
from functools import partial

import pytest
from handbook import TESTS, entry, expected_tables

RECORD = json.loads((TESTS.parent / "book" / "results" / "statistics_speed.json").read_text(encoding="utf-8"))
REFERENCE = json.loads((TESTS / "reference" / "speed.json").read_text(encoding="utf-8"))
COMPARISONS = [(race, rival) for race in RECORD["races"] for rival in race["rivals"]]
cell = partial(entry, "speed")


def test_every_comparison_of_the_record_is_in_the_table_and_no_other():
    rows = [f"{race['work']}; {rival['rival']}" for race, rival in COMPARISONS]
    assert expected_tables("speed")["speed"]["index"] == rows


@pytest.mark.parametrize(("race", "rival"), COMPARISONS, ids=[f"{a['key']}: {b['rival']}" for a, b in COMPARISONS])
def test_the_table_tells_what_the_record_holds(race, rival):
    row = f"{race['work']}; {rival['rival']}"
    theirs, ours = rival["seconds"]["median"], race["ours_seconds"]["median"]
    assert cell("speed", row, "rival, s") == pytest.approx(theirs, abs=5e-4)
    assert cell("speed", row, "ours, ms") == pytest.approx(1000 * ours, abs=5e-3)
    assert cell("speed", row, "times faster") == pytest.approx(theirs / ours, abs=0.05)
    assert cell("speed", row, "at most") == pytest.approx(theirs / race["limit"]["seconds"]["median"], abs=0.05)
    assert cell("speed", row, "target") == rival["target"]
    met = theirs / ours >= rival["target"] and rival["difference"] <= race["tolerance"]
    assert cell("speed", row, "target is") == ("met" if met else "missed")


def test_no_comparison_is_between_different_answers():
    assert [race["key"] for race, rival in COMPARISONS if rival["difference"] > race["tolerance"]] == []


def test_the_record_is_of_one_thread_and_names_every_version():
    assert (RECORD["machine"]["cores_used"], RECORD["machine"]["threads"]) == (1, 1)
    assert {"numpy", "scipy", "scikit-learn", "MLstatkit", "prdc", "torch-fidelity"} <= set(RECORD["versions"])
    assert cell("load", "comparisons", "of this record") == len(COMPARISONS)


def test_delong_stays_below_its_limit_of_memory():
    parts = [part for race in RECORD["races"] if race["key"] == "delong_pair" for part in race["memory"]]
    ours = next(part for part in parts if part["what"] == "ours")
    assert 16 < ours["bytes_per_case_and_model"] < ours["limit"] == 20


@pytest.mark.parametrize("row", REFERENCE["rows"])
def test_the_two_percentiles_are_those_of_monai_and_medpy(row):
    of_each, pooled = REFERENCE["rows"][row]
    assert cell("trap-equal", row, "larger of two percentiles, mm") == pytest.approx(of_each, abs=6e-5)
    assert cell("trap-equal", row, "percentile of both, pooled, mm") == pytest.approx(pooled, abs=6e-5)
