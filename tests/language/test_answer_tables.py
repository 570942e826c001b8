"""Tables of answers: written, read back, and refused with the line that is wrong."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from medrepro.data import DataError
from medrepro.language.answer_tables import COLUMNS, answers_of, read_answers, write_answers

HEADER = ",".join(COLUMNS)
GOOD = ["q1,what?,m,0,0.1,cyst,-0.5,cyst,1", "q1,what?,m,1,1.0,mass,,cyst,", "q1,what?,m,2,1.0,cyst,-1,cyst,"]


def table(models=("m",)):
    rows = [
        {"id": q, "question": "what, if anything?", "model": m, "sample": s, "temperature": 1.0 if s else 0.1,
         "text": f'a "{q}"\nanswer {s}' if s else "", "log_prob": -s / 3, "expected": "cyst",
         "correct": 1.0 if s == 0 and q == "001" else np.nan, "set": "general"}
        for m in models for q in ("001", "002") for s in range(3)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def write(path, *rows, header=HEADER):
    path.write_text("\n".join([header, *rows]), encoding="utf-8")
    return path


def test_a_table_survives_its_file(tmp_path):
    write_answers(table(("m", "n")), tmp_path / "a.csv")
    back = read_answers(tmp_path / "a.csv")
    pd.testing.assert_frame_equal(back, table(("m", "n")), check_dtype=False)
    write_answers(back, tmp_path / "b.csv")
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()


def test_the_answers_of_a_model_in_the_order_of_the_questions(tmp_path):
    shuffled = table(("m", "n")).sample(frac=1, random_state=0)
    found = answers_of(shuffled, "n")
    assert found.samples == [[f'a "{q}"\nanswer {s}' for s in (1, 2)] for q in found.ids]
    assert found.base == ["", ""]
    assert dict(zip(found.ids, found.correct.tolist(), strict=True))["001"] == 1
    assert np.isnan(found.correct).sum() == 1
    recorded = found.ids.index("001")
    assert found.correct_or([False, False])[recorded]
    assert found.correct_or([True, True]).tolist() == [True, True]
    assert found.correct_or([False, False]).sum() == 1
    assert found.temperatures == (0.1, 1.0)
    assert list(found.about["set"]) == ["general"] * 2
    assert [len(row) for row in found.first(1)] == [1, 1]
    with pytest.raises(ValueError, match="n_samples must be between 1 and 2, got 3"):
        found.first(3)
    with pytest.raises(ValueError, match="model must be one of m, n, got 'x'"):
        answers_of(table(("m", "n")), "x")


def test_semicolons_and_a_mark_at_the_beginning_are_read(tmp_path):
    rows = [HEADER, *GOOD]
    path = tmp_path / "a.csv"
    path.write_text("\n".join(rows).replace(",", ";"), encoding="utf-8-sig")
    assert list(read_answers(path)["text"]) == ["cyst", "mass", "cyst"]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("q1,what?,m,two,1.0,cyst,,cyst,", "line 5: sample must be a number >= 0, got 'two'"),
        ("q1,what?,m,2.5,1.0,cyst,,cyst,", "line 5: sample must be a whole number >= 0, got '2.5'"),
        ("q1,what?,m,3,-1,cyst,,cyst,", "line 5: temperature must be a number >= 0, got '-1'"),
        ("q1,what?,m,3,nan,cyst,,cyst,", "line 5: temperature must be a number >= 0, got 'nan'"),
        ("q1,what?,m,3,1,cyst,0.5,cyst,", "line 5: log_prob must be a number <= 0 or empty, got '0.5'"),
        ("q1,what?,m,3,1,cyst,,cyst,yes", "line 5: correct must be a number or empty, got 'yes'"),
        ("q1,what?,m,3,1,cyst,,cyst,2", "line 5: correct must be 1, 0 or empty, got '2'"),
        ("q1,what?,,3,1,cyst,,cyst,", "line 5: model must not be empty"),
        ("q1,what?,m,3,1,cyst,,cyst", "line 5: has more or fewer cells than the header"),
        ("q1,what?,m,2,1,cyst,,cyst,", "question 'q1' of model 'm' has sample 2 twice"),
        ("q2,what?,m,1,1,cyst,,cyst,", "question 'q2' of model 'm' has no base answer"),
        ("q2,what?,m,0,0.1,cyst,,cyst,", "equally many samples, at least 1, for every question, got 0 for 'q2'"),
        ("q1,what?,m,3,0.9,cyst,,cyst,", "the samples of model 'm' must share one temperature"),
        ("q1,where?,m,3,1,cyst,,cyst,", "'q1' has two questions or expected answers"),
    ],
)
def test_a_wrong_row_is_named(tmp_path, row, message):
    with pytest.raises(DataError, match=r"^a\.csv: ") as caught:
        read_answers(write(tmp_path / "a.csv", *GOOD, row))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_first_of_several_wrong_rows_is_named_and_the_others_counted(tmp_path):
    bad = "q1,what?,m,x,1.0,cyst,,cyst,"
    with pytest.raises(DataError, match=r"line 3: sample .* \(2 more rows are wrong\)"):
        read_answers(write(tmp_path / "a.csv", GOOD[0], bad, bad, bad))


def test_files_that_hold_no_table_are_refused(tmp_path):
    with pytest.raises(DataError, match="column 'log_prob' is missing; expected id, question"):
        read_answers(write(tmp_path / "a.csv", header=HEADER.replace("log_prob", "logp")))
    with pytest.raises(DataError, match="holds no answers"):
        read_answers(write(tmp_path / "a.csv"))
    with pytest.raises(DataError, match=r"b\.csv: is not a readable CSV file"):
        read_answers(tmp_path / "b.csv")
    (tmp_path / "c.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match=r"c\.csv: is not a readable CSV file"):
        read_answers(tmp_path / "c.csv")


def test_a_table_is_checked_before_it_is_written(tmp_path):
    wrong = table()
    wrong.loc[2, "temperature"] = -1
    with pytest.raises(DataError, match="table: row 2: temperature"):
        write_answers(wrong, tmp_path / "a.csv")
    assert list(tmp_path.iterdir()) == []
