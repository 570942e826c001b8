"""Recorded answers: replayed without a model, never mistaken for others, checked against the model."""

from __future__ import annotations

import json

import numpy as np
import pytest

from medrepro.data import DataError
from medrepro.language.causal import CausalModel, Sampling
from medrepro.language.recorded import AnswerBook

PROMPT, OPTIONS, HOT = "Effusion? ", ["yes", "no"], Sampling(n=2, temperature=1.0, max_new_tokens=4)


@pytest.fixture(scope="module")
def model(tiny_model):
    return CausalModel(*tiny_model, name="tiny", digest="0")


@pytest.fixture
def recorded(model, tmp_path):
    book = AnswerBook(None, name="tiny", digest="0", model=lambda: model)
    book.generate(PROMPT, HOT)
    book.score(PROMPT, OPTIONS, content_free="A: ")
    book.score(PROMPT, OPTIONS)
    book.save(tmp_path / "answers.jsonl")
    return tmp_path / "answers.jsonl"


def test_recorded_answers_are_replayed_without_a_model(recorded, model):
    book = AnswerBook(recorded, name="tiny", digest="0")
    assert book.generate(PROMPT, HOT) == model.generate(PROMPT, HOT)
    scores, live = (x.score(PROMPT, OPTIONS, content_free="A: ") for x in (book, model))
    assert scores.pmi == pytest.approx(live.pmi, abs=1e-5)
    assert np.isnan(book.score(PROMPT, OPTIONS).prior).all()
    assert book.n_asked == 0


@pytest.mark.parametrize("changed", [
    lambda b: b.generate(PROMPT + "x", HOT),
    lambda b: b.generate(PROMPT, Sampling(n=2, temperature=0.9, max_new_tokens=4)),
    lambda b: b.generate(PROMPT, Sampling(n=2, temperature=1.0, max_new_tokens=4, seed=1)),
    lambda b: b.score(PROMPT, OPTIONS[::-1]),
    lambda b: b.score(PROMPT, OPTIONS, content_free="B: "),
])  # fmt: skip
def test_another_prompt_or_setting_is_not_answered_from_the_record(recorded, changed):
    with pytest.raises(DataError, match="tiny: no recorded answer to prompt"):
        changed(AnswerBook(recorded, name="tiny", digest="0"))


def test_another_model_is_not_answered_from_the_record(recorded):
    with pytest.raises(DataError, match="no recorded answer"):
        AnswerBook(recorded, name="tiny", digest="1").generate(PROMPT, HOT)


def test_a_model_that_is_not_the_recorded_one_is_refused(model):
    book = AnswerBook(None, name="large", digest="0", model=lambda: model)
    with pytest.raises(DataError, match="asked tiny for answers that are recorded as those of large"):
        book.generate(PROMPT, HOT)


def test_the_file_names_model_settings_and_date_but_holds_no_prompt(recorded):
    rows = [json.loads(line) for line in recorded.read_text().splitlines()]
    assert {row["kind"] for row in rows} == {"generate", "score"}
    assert all({"model", "digest", "prompt_sha256", "settings", "date"} <= set(row) for row in rows)
    assert "Effusion" not in recorded.read_text()


def test_equal_answers_make_an_equal_file(recorded, tmp_path):
    AnswerBook(recorded, name="tiny", digest="0").save(tmp_path / "again.jsonl")
    assert (tmp_path / "again.jsonl").read_bytes() == recorded.read_bytes()


@pytest.mark.parametrize("damage", ["answer of another question", "half a line", "older format"])
def test_a_damaged_record_is_one_line_with_its_number(recorded, damage):
    lines = recorded.read_text().splitlines()
    row = json.loads(lines[1])
    if damage == "answer of another question":
        row["prompt_sha256"] = "0" * 64
    elif damage == "older format":
        row["format"] = 0
    lines[1] = lines[1][:40] if damage == "half a line" else json.dumps(row)
    recorded.write_text("\n".join(lines))
    with pytest.raises(DataError, match=r"answers\.jsonl: line 2"):
        AnswerBook(recorded, name="tiny", digest="0")


def test_verifying_finds_a_record_that_the_model_would_not_give(recorded, model):
    prompts = [(PROMPT, OPTIONS, "A: "), (PROMPT, OPTIONS, None)]
    book = AnswerBook(recorded, name="tiny", digest="0", model=lambda: model)
    assert book.verify(prompts, share=1.0, seed=0) < 1e-5
    for row in book._rows.values():
        if row["kind"] == "score":
            row["answer"]["log_prob"][0] += 0.5
    assert book.verify(prompts, share=1.0, seed=0) == pytest.approx(0.5, abs=1e-4)
    assert book.n_asked == 0
    with pytest.raises(ValueError, match="share must be in"):
        book.verify(prompts, share=0.0, seed=0)


def test_verifying_without_a_model_says_so(recorded):
    with pytest.raises(DataError, match="no model to ask"):
        AnswerBook(recorded, name="tiny", digest="0").verify([(PROMPT, OPTIONS, None)], share=1.0, seed=0)


def test_a_missing_record_file_is_one_line(tmp_path):
    with pytest.raises(DataError, match="cannot be read: No such file"):
        AnswerBook(tmp_path / "none.jsonl", name="tiny", digest="0")
