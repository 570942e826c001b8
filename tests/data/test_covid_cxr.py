"""Hannover and Cohen: two sites without a common film, one woman under one id, boxes and masks in place."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from medrepro.data import DataError
from medrepro.data.copies import near_copies
from medrepro.data.covid_cxr import load_cohen, load_cohen_masks, load_hannover
from tiny_image_sets import needs_data, write_cohen, write_hannover


def test_hannover_rows_follow_the_images_and_not_the_table(tmp_path):
    films = load_hannover(write_hannover(tmp_path))
    assert films.metadata["image_id"].tolist() == ["a1", "a2", "b1", "c1"]
    assert films.metadata["view"].tolist() == ["PA", "AP", "AP", "PA"]
    assert films.labels["intensive_care"].tolist() == [0, 1, 1, 0]  # not yet, first day, no end recorded, never
    assert films.labels["death"].tolist() == [0, 0, 1, 0]
    assert films.metadata["crp_val"].tolist() == pytest.approx([3, -np.inf, np.nan, np.inf], nan_ok=True)


def test_cohen_leaves_hannover_films_out_and_keeps_a_woman_with_two_ids_together(tmp_path):
    films = load_cohen(write_cohen(tmp_path))
    assert films.metadata["filename"].tolist() == ["x.jpg", "y.png", "z.png", "w.png"]
    assert films.patient_id.tolist() == ["97", "97", "3", "4"]
    assert films.labels["finding"].isna().tolist() == [False, True, False, True]  # todo, Unknown
    assert films.labels["brixia_senior"].tolist() == pytest.approx([1, np.nan, np.nan, 3], nan_ok=True)
    assert films.metadata[["right_x", "right_h", "left_w"]].iloc[0].tolist() == [11.7, 176.9, 107.9]
    assert films.metadata["non_commercial"].tolist() == [True, False, False, True]
    assert films.metadata["view"].isna().tolist() == [False, True, False, True]


def test_masks_are_unpacked_and_name_their_film_and_structure(tmp_path):
    masks, films, structures = load_cohen_masks(write_cohen(tmp_path)["cohen_masks_256.npz"])
    assert masks.shape == (2, 3, 16, 16)
    assert masks.dtype == bool
    assert (films, structures) == (["x.jpg", "y.png"], ["Airways", "Left Lung", "Right Lung"])


def test_tables_that_do_not_fit_the_images_and_broken_boxes_are_errors(tmp_path):
    files = write_cohen(tmp_path)
    table = pd.read_csv(files["cohen_cxr.csv"], dtype=str, keep_default_na=False)
    table.assign(left_lung_box="1 2 3").to_csv(files["cohen_cxr.csv"], index=False)
    with pytest.raises(DataError, match="left_lung_box must be four numbers"):
        load_cohen(files)
    table.iloc[1:].to_csv(files["cohen_cxr.csv"], index=False)
    with pytest.raises(DataError, match="table and images do not name the same filename once each: 4, 5"):
        load_cohen(files)


@needs_data("covid19_hannover_cxr")
def test_the_real_hannover_films_show_the_trap_of_view_and_intensive_care():
    films = load_hannover()
    care = films.labels["intensive_care"] == 1
    assert (len(films), films.n_patients, care.sum()) == (243, 71, 150)
    assert set(films.metadata["view"][care]) == {"AP"}
    aspect = films.metadata["height"] / films.metadata["width"]
    ap = films.metadata["view"] == "AP"
    assert aspect[ap].max() < aspect[~ap].min()


@needs_data("covid_chestxray_cohen")
@needs_data("covid19_hannover_cxr")
def test_the_real_collections_share_no_film():
    cohen, hannover = load_cohen(), load_hannover()
    assert (len(cohen), cohen.n_patients) == (249, 147)
    assert cohen.metadata["age"].min() == 25
    pairs = near_copies(np.concatenate([cohen.images, hannover.images]))
    assert not ((pairs[:, 0] < len(cohen)) & (pairs[:, 1] >= len(cohen))).any()
    inside = near_copies(cohen.images)
    assert (cohen.patient_id[inside[:, 0]] == cohen.patient_id[inside[:, 1]]).all()
