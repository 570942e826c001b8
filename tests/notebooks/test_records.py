"""A fresh embedded run of every recorded study against its record."""

from __future__ import annotations

import math
import statistics

import pytest
from scipy import stats

from medrepro.study.card import load_card, study_ids
from medrepro.study.chapters import load_chapter
from medrepro.study.records import differences, read_record, recorded_verdicts
from medrepro.study.runner import Job, run_jobs
from medrepro.study.store import RunStore

RECORDED = [study for study in study_ids() if read_record(study, "embedded")]


@pytest.mark.parametrize("study", RECORDED)
def test_a_fresh_run_agrees_with_its_record(study):
    chapter = load_chapter(study)
    outcome = run_jobs([Job(chapter, chapter.resolve())], RunStore())[0]
    assert outcome.error is None
    assert differences(load_card(study), read_record(study, "embedded"), outcome.run) == []


@pytest.mark.parametrize("study", study_ids())
def test_every_study_has_a_record_of_five_seeds_whose_verdicts_follow_from_its_card(study):
    card = load_card(study)
    record = read_record(study, "embedded")
    assert record is not None
    assert len({row["seed"] for row in record["seeds"]}) >= 5
    now = [verdict.to_dict() for verdict in recorded_verdicts(card, record)]
    assert [v["status"] for v in now] == [v["status"] for v in record["verdicts"]], "record again: the card has changed"


@pytest.mark.parametrize("study", RECORDED)
def test_the_stated_power_follows_from_the_recorded_standard_errors(study):
    """Power of a criterion: the chance that its whole interval clears the bound when `effect` is the truth."""
    card = load_card(study)
    for preset in ("embedded", "real"):
        record = read_record(study, preset)
        for claim in card.claims if record else ():
            if not claim.power or preset not in claim.power:
                continue
            powers = [_power(part, claim.power["effect"], record, claim.id) for part in claim.parts]
            assert math.prod(powers) == pytest.approx(claim.power[preset], abs=0.1), f"{claim.id} at {preset}: {powers}"


def _power(part, effect, record, claim_id):
    z = stats.norm.ppf((1 + part.level) / 2)
    rows = [row["claims"][claim_id][part.id]["estimate"] for row in record["seeds"]]
    se = statistics.mean((row["high"] - row["low"]) / (2 * z) for row in rows)
    assert part.op == "greater"
    return stats.norm.cdf((effect - part.bound) / se - z)
