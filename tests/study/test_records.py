"""Records: several seeds kept with the book, and how a later run is held against them."""

from __future__ import annotations

import copy
import json

import pytest

from medrepro import cli
from medrepro.study.card import load_card
from medrepro.study.chapters import load_chapter
from medrepro.study.records import differences, read_record, record_path
from medrepro.study.runner import Job, run_jobs
from medrepro.study.store import RunStore


@pytest.fixture
def recorded(tiny, capsys):
    assert cli.main(["record", "01_tiny", "--seeds", "5", "--quiet"]) == 0
    capsys.readouterr()
    chapter = load_chapter("01_tiny")
    run = run_jobs([Job(chapter, chapter.resolve())], RunStore())[0].run
    return load_card("01_tiny"), read_record("01_tiny", "embedded"), run


def test_a_record_holds_every_seed_and_the_pooled_verdicts(recorded):
    _, record, run = recorded
    assert [row["seed"] for row in record["seeds"]] == [0, 1, 2, 3, 4]
    assert record["seeds"][0]["claims"] == run.bundle["claims"]
    verdict = record["verdicts"][0]
    assert (verdict["status"], verdict["n_seeds"]) == ("holds", 5)
    assert "t interval over seeds" in verdict["parts"][0]["estimate"]["method"]
    assert json.loads(record_path("01_tiny", "embedded").read_text()) == record


def test_a_fresh_run_on_the_same_machine_agrees_with_its_record(recorded):
    card, record, run = recorded
    assert differences(card, record, run) == []


def test_on_the_same_machine_a_number_may_not_move(recorded):
    card, record, run = recorded
    record["seeds"][0]["claims"]["C1"][""]["estimate"]["value"] += 1e-5
    lines = differences(card, record, run)
    assert len(lines) == 1
    assert lines[0].startswith("01_tiny C1: value")


def test_on_another_machine_four_seed_deviations_are_allowed_and_no_flip_of_a_verdict(recorded):
    card, record, run = recorded
    record["fingerprint"]["cpu_capability"] = "another"
    assert differences(card, record, run) == []
    near, far = copy.deepcopy(record), copy.deepcopy(record)
    near["seeds"][0]["claims"]["C1"][""]["estimate"]["value"] += 0.05
    assert differences(card, near, run) == []
    for row in far["seeds"]:
        row["claims"]["C1"][""]["estimate"]["value"] += 5.0
    assert any("C1: value" in line for line in differences(card, far, run))
    flipped = copy.deepcopy(record)
    flipped["seeds"][0]["claims"]["C1"][""]["estimate"] |= {"low": -2.0, "high": -1.0}
    assert differences(card, flipped, run) == ["01_tiny C1: holds, recorded as fails"]
    undecided = copy.deepcopy(record)
    undecided["seeds"][0]["claims"]["C1"][""]["estimate"] |= {"low": -2.0, "high": 2.0}
    assert differences(card, undecided, run) == []


def test_a_record_of_another_version_is_refused(tiny, recorded, capsys):
    path = record_path("01_tiny", "embedded")
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 0}))
    with pytest.raises(ValueError, match="format 0, this version reads 1"):
        read_record("01_tiny", "embedded")


def test_a_failing_seed_writes_no_record(tiny, capsys):
    from helpers import tiny_cells

    tiny.write(tiny_cells(extra="assert p.seed != 1"))
    assert cli.main(["record", "01_tiny", "--seeds", "2", "--quiet"]) == 3
    assert not record_path("01_tiny", "embedded").exists()
