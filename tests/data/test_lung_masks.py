"""V7 lung masks: sized like their film, two sites without a common patient."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from medrepro.data import DataError, locate_all
from medrepro.data.covid_cxr import load_cohen
from medrepro.data.lung_masks import load_lung_masks
from medrepro.data.splitting import assert_disjoint
from tiny_image_sets import needs_data, write_cohen


def archive(path, size=(500, 400), names=("x", "h", "other")):
    """Masks (left half lung) of these films; size: width, height."""
    mask = np.zeros(size[::-1], dtype=np.uint8)
    mask[:, : size[0] // 2] = 255
    content = io.BytesIO()
    Image.fromarray(mask).save(content, "PNG")
    with zipfile.ZipFile(path, "w") as out:
        for name in names:
            out.writestr(f"masks/{name}.png", content.getvalue())
    return path


def test_masks_are_padded_like_their_film_and_films_without_one_are_left_out(tmp_path):
    lungs = load_lung_masks(archive(tmp_path / "m.zip"), write_cohen(tmp_path))
    assert lungs.films.metadata["filename"].tolist() == ["x.jpg", "h.png"]
    assert lungs.films.site.tolist() == ["many (publications)", "Hannover"]
    mask = lungs.masks[0]
    assert mask.shape == (256, 256)
    assert not mask[:24].any()  # 500 x 400 in a square: 25.6 black rows above and below
    assert mask[40:216, :120].all()
    assert not mask[:, 130:].any()


def test_a_mask_of_another_size_than_its_film_is_an_error(tmp_path):
    with pytest.raises(DataError, match=r"masks/x\.png is \(300, 500\), its film \(400, 500\)"):
        load_lung_masks(archive(tmp_path / "m.zip", size=(500, 300)), write_cohen(tmp_path))
    (tmp_path / "n.zip").write_text("none")
    with pytest.raises(DataError, match=r"n\.zip: is not a readable zip archive"):
        load_lung_masks(tmp_path / "n.zip", write_cohen(tmp_path))


@needs_data("covid_chestxray_cohen")
@needs_data("covid19_hannover_cxr")
def test_ids_of_the_cohen_collection_merge_exactly_the_patients_of_hannover():
    films = load_cohen(hannover=True)
    here = films.subset(films.site == "Hannover")
    table = pd.read_csv(locate_all("covid19_hannover_cxr")["hannover_cxr.csv"], dtype=str).set_index("image_id")
    theirs = table["patient_id"].loc[here.metadata["hannover_image_id"]].to_numpy()
    pairs = set(zip(here.patient_id.tolist(), theirs.tolist(), strict=True))
    assert len(pairs) == here.n_patients == len(set(theirs)) == 50
    sides = {"here": films.site == "Hannover", "elsewhere": films.site != "Hannover"}
    assert_disjoint({side: np.flatnonzero(rows) for side, rows in sides.items()}, films.patient_id)


@needs_data("v7_lung_masks")
@needs_data("covid_chestxray_cohen")
def test_the_real_masks_are_192_and_lie_in_the_lung_boxes():
    lungs = load_lung_masks()  # counts of films and patients of both sites: asserted
    inside = []
    for mask, (_, row) in zip(lungs.masks, lungs.films.metadata.iterrows(), strict=True):
        y, x = np.nonzero(mask)
        boxes = [(row[f"{s}_x"], row[f"{s}_y"], row[f"{s}_w"], row[f"{s}_h"]) for s in ("left", "right")]
        hits = [(x >= a - 1) & (x <= a + w + 1) & (y >= b - 1) & (y <= b + h + 1) for a, b, w, h in boxes]
        inside.append(np.mean(hits[0] | hits[1]))
    assert np.mean(inside) > 0.99
