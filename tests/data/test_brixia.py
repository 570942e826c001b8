"""Brixia scores: one row a zone, sums checked, agreement as published."""

from __future__ import annotations

import pytest
from sklearn.metrics import cohen_kappa_score

from medrepro.data import DataError
from medrepro.data.brixia import load_brixia
from tiny_image_sets import needs_data

HEADER = "\ufefffilename,S-A,S-B,S-C,S-D,S-E,S-F,S-Global,J-A,J-B,J-C,J-D,J-E,J-F,J-Global\n"


def write(path, row):
    path.write_text(HEADER + row + "\n", encoding="utf-8")
    return path


def test_a_film_has_six_rows_with_both_readers(tmp_path):
    table = load_brixia(write(tmp_path / "a.csv", "f.png,0,1,2,3,0,1,7,1,1,2,3,0,0,7"))
    assert table["zone"].tolist() == list("ABCDEF")
    assert table["senior"].tolist() == [0, 1, 2, 3, 0, 1]
    assert table["junior"].tolist() == [1, 1, 2, 3, 0, 0]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("f.png,0,1,2,4,0,1,8,1,1,2,3,0,0,7", "scores of a zone must be 0 to 3"),
        ("f.png,0,1,2,,0,1,7,1,1,2,3,0,0,7", "scores of a zone must be 0 to 3"),
        ("f.png,0,1,2,3,0,1,8,1,1,2,3,0,0,7", r"S-Global of f\.png is not the sum of its zones"),
    ],
)
def test_scores_that_cannot_be_are_errors(row, message, tmp_path):
    with pytest.raises(DataError, match=message):
        load_brixia(write(tmp_path / "a.csv", row))


@needs_data("covid_chestxray_cohen")
def test_the_real_readers_agree_as_counted_before():
    table = load_brixia()
    assert (len(table), table["film"].nunique()) == (1152, 192)
    found = [cohen_kappa_score(table["senior"], table["junior"], weights=w) for w in (None, "linear", "quadratic")]
    assert found == pytest.approx([0.50, 0.66, 0.79], abs=0.006)
