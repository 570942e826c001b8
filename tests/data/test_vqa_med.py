"""VQA-Med: four fields a line, several accepted answers."""

from __future__ import annotations

import pytest

from medrepro.data import DataError
from medrepro.data.vqa_med import load_vqa_med
from tiny_image_sets import needs_data


def test_lines_become_rows_with_all_accepted_answers(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("s1|modality|what modality?|mr#mri\n\ns2|plane|which plane?|axial\n")
    table = load_vqa_med(path)
    assert table["answers"].tolist() == [("mr", "mri"), ("axial",)]
    assert table["image"].tolist() == ["s1", "s2"]


@pytest.mark.parametrize("line", ["s1|modality|what?", "s1|colour|what?|red", "s1|plane||axial"])
def test_a_line_of_another_form_is_named(line, tmp_path):
    (tmp_path / "a.txt").write_text(f"s1|plane|which?|axial\n{line}\n")
    with pytest.raises(DataError, match=r"a\.txt: line 2 must read image\|category\|question\|answer#answer"):
        load_vqa_med(tmp_path / "a.txt")


@needs_data("vqa_med_2019_test")
def test_the_real_questions_are_125_of_each_kind():
    assert load_vqa_med().groupby("category").size().tolist() == [125] * 4
