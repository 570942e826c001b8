"""Kermany: children by number inside a published part, exact copies together, and the real counts."""

from __future__ import annotations

import numpy as np
import pytest

from medrepro.data import DataError
from medrepro.data.kermany import load_kermany
from medrepro.data.splitting import published_split, split_by_patient
from tiny_image_sets import needs_data, write_kermany


def test_a_number_is_a_child_whatever_the_cause_but_not_across_the_published_parts(tmp_path):
    films = load_kermany(write_kermany(tmp_path))
    assert films.patient_id.tolist()[:3] == ["train-P1"] * 3  # two bacterial films and a viral one
    assert films.patient_id[5] == "test-P1"
    assert films.labels["cause"].tolist() == ["bacteria", "bacteria", "virus", "normal", "normal", "virus", "normal"]


def test_exact_copies_are_one_child_whatever_their_names(tmp_path):
    films = load_kermany(write_kermany(tmp_path))
    assert films.metadata["number"].tolist()[3:5] == ["NA0115", "NA0117"]
    assert films.patient_id.tolist()[3:5] == ["train-NA0115"] * 2
    assert films.metadata["repeats_earlier"].tolist() == [False] * 4 + [True, False, False]


def test_films_are_grey_and_resized_when_asked(tmp_path):
    files = write_kermany(tmp_path)
    assert load_kermany(files).images.shape == (7, 16, 16)
    assert load_kermany(files, size=8).images.shape == (7, 8, 8)


def test_a_table_that_contradicts_itself_and_a_film_that_is_missing_are_errors(tmp_path):
    files = write_kermany(tmp_path)
    text = files["kermany.csv"].read_text()
    files["kermany.csv"].write_text(text.replace(",0,normal", ",1,normal", 1))
    with pytest.raises(DataError, match="label must be 0 for subtype normal and 1 for bacteria and virus"):
        load_kermany(files)
    files["kermany.csv"].write_text(text + "train/none.jpeg,train,0,normal,NA9\n")
    with pytest.raises(DataError, match=r"kermany_224\.zip: train/none\.jpeg cannot be read"):
        load_kermany(files)


@pytest.fixture(scope="module")
def real():
    return load_kermany()  # raises when a count is another one


@needs_data("pediatric_cxr_kermany")
def test_a_number_is_one_child_within_a_cause_and_not_across_causes(real):
    films = real.subset(real.split == "train")
    vectors = films.images.reshape(-1, 32, 7, 32, 7).mean((2, 4), dtype=np.float32).reshape(len(films), -1)
    vectors -= vectors.mean(axis=1, keepdims=True)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    cause = films.labels["cause"].to_numpy(dtype=str)
    number = np.unique(films.metadata["number"].to_numpy(dtype=str), return_inverse=True)[1]

    def alike(one, two):
        """Mean correlation of films of one number, and of films of two."""
        a, b = np.flatnonzero(cause == one), np.flatnonzero(cause == two)
        correlation = vectors[a] @ vectors[b].T
        same, other = number[a][:, None] == number[b], a[:, None] != b
        return correlation[same & other].mean(), correlation[~same].mean()

    for one in ("bacteria", "virus"):
        same, different = alike(one, one)
        assert same > different + 0.03
    same, different = alike("bacteria", "virus")
    assert same < different + 0.005


@needs_data("pediatric_cxr_kermany")
def test_the_real_films_have_the_stated_counts_and_split_by_child(real):
    films = real
    assert films.images.shape == (5840, 224, 224)
    assert films.metadata["repeats_earlier"].sum() == 32
    assert {name: len(rows) for name, rows in published_split(films).items()} == {"train": 5216, "test": 624}
    train = films.subset(films.split == "train")
    parts = split_by_patient(train, {"train": 0.8, "val": 0.2}, seed=0, stratify="cause")
    share = [np.mean(train.labels["cause"].iloc[rows] == "virus") for rows in parts.values()]
    assert share[0] == pytest.approx(share[1], abs=0.03)
