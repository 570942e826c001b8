"""A fresh embedded run of every recorded study against its record."""

from __future__ import annotations

import pytest

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
