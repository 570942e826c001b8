"""Medical questions: four layouts in one table, answers among their options, repeated questions in one group."""

from __future__ import annotations

import gzip
import json

import pandas as pd
import pytest

from medrepro.data import DataError
from medrepro.data.medical_qa import load_questions
from medrepro.data.splitting import split_by_patient
from tiny_image_sets import needs_data

PUBMED = {"pmid": "1", "split": "test", "question": "Does it?", "contexts": ["a", "b"], "final_decision": "yes",
          "long_answer": "It does."}  # fmt: skip
MEDQA = {"question": "Which?", "options": {"A": "x", "B": "y"}, "answer": "y", "answer_idx": "B", "meta_info": "step1"}
MCQA = {"id": "q", "question": "What?", "cop": 3, "opa": "k", "opb": "l", "opc": "m", "opd": "n",
        "subject_name": "Radiology", "exp": None, "choice_type": "multi"}  # fmt: skip


def write(folder, **changes):
    items = {"pubmedqa_labeled": [PUBMED], "medqa_us_test": [MEDQA], "medmcqa_dev": [MCQA], **changes}
    for name, rows in items.items():
        text = "\n".join(json.dumps(row) for row in rows)
        (folder / f"{name}.jsonl.gz").write_bytes(gzip.compress(text.encode()))
    mmlu = {"subject": "anatomy", "question": ["which?", "Where?"], "A": "NA", "B": "b", "C": "c", "D": "d"}
    mmlu = pd.DataFrame({**mmlu, "answer": ["A", "D"]})
    mmlu.to_csv(folder / "mmlu_medical_test.csv", index=False)
    return {path.name: path for path in folder.iterdir()}


def test_four_layouts_become_one_table(tmp_path):
    table = load_questions(write(tmp_path)).set_index("question_id")
    assert table.loc["pubmedqa-1", "context"] == "a\nb"
    assert table.loc["pubmedqa-1", "answer"] == "yes"
    assert table.loc["medqa-0", "options"]["B"] == "y"
    assert table.loc["medmcqa-q", "answer"] == "C"
    assert table.loc["medmcqa-q", "explanation"] == ""
    assert not table.loc["medmcqa-q", "single"]
    assert table.loc["mmlu-0", "options"]["A"] == "NA"  # a word, not a missing value


def test_the_same_question_in_two_sets_is_one_group_and_stays_on_one_side(tmp_path):
    table = load_questions(write(tmp_path))
    assert table["group"].tolist() == [0, 1, 2, 1, 3]  # "Which?" and "which?"
    for seed in range(10):
        parts = split_by_patient(table["group"].to_numpy(), {"a": 0.5, "b": 0.5}, seed=seed)
        assert not set(table["group"][parts["a"]]) & set(table["group"][parts["b"]])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pubmedqa_labeled": [{**PUBMED, "final_decision": "no idea"}]}, "1 answers are none of their options, first"),
        ({"pubmedqa_labeled": [PUBMED, PUBMED]}, "question pubmedqa-1 is there twice"),
        ({"medqa_us_test": [{**MEDQA, "answer": "z"}]}, "an answer is not the option that its letter names"),
        ({"medmcqa_dev": [{**MCQA, "cop": 0}]}, "cop must be 1 to 4"),
        ({"medmcqa_dev": [{"id": "q"}]}, "line 1 has no 'question'"),
        ({"medmcqa_dev": [[1]]}, "line 1 has no 'id'"),
    ],
)
def test_what_is_not_as_published_is_named(changes, message, tmp_path):
    with pytest.raises(DataError, match=message):
        load_questions(write(tmp_path, **changes))


def test_a_file_that_is_no_json_is_named(tmp_path):
    files = write(tmp_path)
    files["medmcqa_dev.jsonl.gz"].write_bytes(gzip.compress(b"no json"))
    with pytest.raises(DataError, match=r"medmcqa_dev\.jsonl\.gz: is not a gzipped file of JSON lines"):
        load_questions(files)


@needs_data("medical_qa")
def test_the_real_questions_have_the_stated_counts():
    table = load_questions()  # counts of every set: asserted
    assert len(table) == 7545
    assert table["group"].nunique() == 7465
    assert table.loc[table["set"] == "pubmedqa", "answer"].value_counts().to_dict() == {
        "yes": 552,
        "no": 338,
        "maybe": 110,
    }
