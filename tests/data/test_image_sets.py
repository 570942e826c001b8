"""The common shape of image sets: what it accepts, subsets, counts, and every adapter on tiny files."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from medrepro.data import DataError, readers
from medrepro.data.copies import linked_groups, near_copies, pixel_hashes, repeats
from medrepro.data.image_sets import ImageSet
from medrepro.data.readers import ZippedImages, fit_square, read_arrays, read_image, read_table
from tiny_image_sets import LOADERS, noise, picture


def made(n=6, **changes):
    fields = {
        "name": "tiny",
        "images": noise(n, 4, 4),
        "labels": pd.DataFrame({"finding": np.arange(n) % 2}),
        "patient_id": np.array([f"p{i // 2}" for i in range(n)]),
        "site": np.full(n, "here"),
        "split": np.array(["train"] * (n - 2) + ["test"] * 2),
        "metadata": pd.DataFrame({"row": range(n)}),
        "unit": "patient",
        "source": "nobody",
        **changes,
    }
    return ImageSet(**fields)


class Lazy:
    """Images that count how often they are read."""

    def __init__(self, images):
        self.images, self.read = images, 0

    def __len__(self):
        return len(self.images)

    def __getitem__(self, row):
        self.read += 1
        return self.images[row]


@pytest.mark.parametrize("name", LOADERS)
def test_every_adapter_gives_one_row_an_image_with_a_patient_and_a_unit(name, tmp_path):
    data = LOADERS[name](tmp_path)
    assert len(data) == len(data.images) == len(data.labels) == len(data.metadata) == len(list(data)) > 1
    assert list(data.labels.index) == list(data.metadata.index) == list(range(len(data)))
    assert (data.patient_id != "").all()
    assert data.unit
    assert data.source
    assert data.images[0].dtype in (np.uint8, np.uint16, np.float32, bool)


@pytest.mark.parametrize("name", LOADERS)
def test_a_subset_of_every_adapter_keeps_what_belongs_to_an_image(name, tmp_path):
    data = LOADERS[name](tmp_path)
    rows = np.array([len(data) - 1, 0])
    part = data.subset(rows).subset(np.array([True, True]))
    for place, row in enumerate(rows):
        assert np.array_equal(part.images[place], data.images[row])
        assert part.patient_id[place] == data.patient_id[row]
        assert part.labels.iloc[place].equals(data.labels.iloc[row].rename(place))


def test_a_lazy_set_reads_only_what_is_asked_for():
    images = Lazy(noise(6, 4, 4))
    data = made(images=images)
    part = data.subset(np.array([5, 1, 3])).subset(np.array([2, 0]))
    assert data.lazy
    assert images.read == 0
    assert np.array_equal(part.array, images.images[[3, 5]])
    assert images.read > 0
    assert not part.in_memory().lazy


def test_images_of_different_size_do_not_become_one_array():
    data = made(images=Lazy([np.zeros((4, 4)), *[np.zeros((5, 4))] * 5]))
    with pytest.raises(DataError, match=r"tiny: image 1 is \(5, 4\), the first \(4, 4\): name one size"):
        data.in_memory()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"patient_id": np.array(["a"] * 5)}, "parts of different length: .*'patient_id': 5"),
        ({"patient_id": np.array(["a"] * 5 + [""])}, "patient_id: 1 images have none"),
        ({"patient_id": ["a"] * 5 + [None]}, "patient_id: a value is missing"),
        ({"site": [np.nan] * 6}, "site: a value is missing"),
        ({"split": np.array(["dev"] * 6)}, "split: 'dev' is none of train, val, test or empty"),
    ],
)
def test_parts_that_do_not_fit_are_named(change, message):
    with pytest.raises(DataError, match=message):
        made(**change)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (np.ones(3, dtype=bool), r"rows must be a mask of shape \(6,\), got \(3,\)"),
        ([6], "rows must lie in 0 to 5, got 6 to 6"),
        ([-1], "rows must lie in 0 to 5, got -1 to -1"),
        ([0.5], r"rows must be a mask or whole numbers, got float64 of shape \(1,\)"),
    ],
)
def test_rows_that_do_not_exist_are_named(rows, message):
    with pytest.raises(ValueError, match=message):
        made().subset(rows)


def test_an_empty_subset_is_a_set_without_images():
    assert len(made().subset([])) == 0
    assert made().subset(np.zeros(6, dtype=bool)).describe().empty


def test_the_counts_table_adds_up_to_the_images():
    table = made().describe("finding")
    assert table["images"].sum() == 6
    assert table.to_dict("records")[0] == {
        "part": "train", "label": "finding", "value": "0", "images": 2, "patients": 2,
    }  # fmt: skip
    with pytest.raises(ValueError, match="label must be one of finding, got 'other'"):
        made().describe("other")


def crowd(counts, access):
    values = np.repeat(list(counts), list(counts.values()))
    n = len(values)
    return made(n, labels=pd.DataFrame({"finding": values}), patient_id=np.arange(n).astype(str),
                split=np.full(n, ""), access=access).describe().set_index("value")  # fmt: skip


def test_small_cells_of_a_protected_set_are_hidden_and_cannot_be_had_by_subtraction():
    table = crowd({"a": 50, "b": 30, "c": 3}, "credentialed")
    assert table.loc["c", "images"] == table.loc["c", "patients"] == "< 10"
    assert table.loc["b", "images"] == "< 10"  # the total less a and b would give c
    assert table.loc["a", "images"] == 50
    assert crowd({"a": 50, "b": 30}, "private").loc["b", "images"] == 30
    assert crowd({"a": 50, "b": 5, "c": 3}, "private").loc["a", "images"] == 50
    assert crowd({"a": 50, "b": 30, "c": 3}, "open").loc["c", "images"] == 3


def test_many_images_of_few_patients_are_a_small_cell():
    data = made(40, patient_id=np.array(["p"] * 20 + [str(i) for i in range(20)]), split=np.full(40, ""),
                labels=pd.DataFrame({"finding": [1] * 20 + [0] * 20}), access="private")  # fmt: skip
    assert (data.describe()["images"] == "< 10").all()


def test_a_label_with_many_values_is_counted_as_present_or_missing():
    data = made(30, labels=pd.DataFrame({"age": [*range(28), np.nan, np.nan]}))
    assert set(data.describe()["value"]) == {"present", "missing"}


def test_exact_copies_are_found_whatever_their_place_and_shape_matters():
    images = noise(4, 6, 6)
    images[3] = images[1]
    hashes = pixel_hashes(images)
    assert repeats(hashes).tolist() == [False, False, False, True]
    assert len(set(pixel_hashes([np.zeros((2, 3)), np.zeros((3, 2)), np.zeros((2, 3), dtype=np.uint8)]))) == 3


def test_near_copies_survive_brightness_and_contrast_but_not_another_image():
    base = np.repeat(np.repeat(noise(3, 16, 16), 2, axis=1), 2, axis=2).astype(float)
    images = np.stack([base[0], base[1], base[0] * 0.5 + 40, base[2], np.full((32, 32), 7.0)])
    assert near_copies(images).tolist() == [[0, 2]]
    with pytest.raises(ValueError, match="multiples of 16, got"):
        near_copies(noise(2, 20, 16))


def test_groups_follow_links_through_others_and_are_numbered_by_first_row():
    assert linked_groups(["a", "b", "a", "c", "d"], pairs=[(4, 1)]).tolist() == [0, 1, 0, 2, 1]
    assert linked_groups(["a", "b", "c"], [7, 7, 8]).tolist() == [0, 0, 1]
    assert linked_groups(["a", "b", "c", "d"], pairs=[(0, 1), (1, 2)]).tolist() == [0, 0, 0, 1]


def test_arrays_with_pickled_objects_are_refused(tmp_path):
    np.savez(tmp_path / "a.npz", images=np.array([{"x": 1}], dtype=object))
    with pytest.raises(DataError, match=r"a\.npz: is not an \.npz file of plain arrays: Object arrays cannot"):
        read_arrays(tmp_path / "a.npz", ["images"])
    (tmp_path / "b.npz").write_bytes(pickle.dumps([1]))
    with pytest.raises(DataError, match=r"b\.npz: is not an \.npz file"):
        read_arrays(tmp_path / "b.npz", ["images"])
    np.savez(tmp_path / "c.npz", other=np.zeros(1))
    with pytest.raises(DataError, match=r"c\.npz: has no array 'images', found other"):
        read_arrays(tmp_path / "c.npz", ["images"])


def test_a_broken_npz_file_is_a_data_error(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", images=noise(50, 20, 20))
    content = bytearray((tmp_path / "a.npz").read_bytes())
    content[len(content) // 2] ^= 255
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(DataError, match=r"is not an \.npz file of plain arrays"):
        read_arrays(tmp_path / "a.npz", ["images"])


def test_tables_name_the_missing_column_and_the_broken_file(tmp_path):
    (tmp_path / "a.csv").write_text("x,y\n1,NA\n")
    assert read_table(tmp_path / "a.csv", ("x",))["y"].tolist() == ["NA"]  # a word, not a missing value
    with pytest.raises(DataError, match=r"a\.csv: has no column 'z', found x, y"):
        read_table(tmp_path / "a.csv", ("z",))
    with pytest.raises(DataError, match=r"b\.csv: is not a readable table"):
        read_table(tmp_path / "b.csv")


def test_an_image_file_that_is_none_is_named(tmp_path):
    (tmp_path / "a.png").write_text("no picture")
    with pytest.raises(DataError, match=r"a\.png: is not a readable image"):
        read_image(tmp_path / "a.png")


def test_an_image_of_unlikely_size_is_refused_before_it_is_decoded(tmp_path, monkeypatch):
    monkeypatch.setattr(readers, "_PIXELS_AT_MOST", 100)
    picture(tmp_path / "a.png", size=(11, 10))
    with pytest.raises(DataError, match=r"a\.png: has 10 x 11 pixels, allowed are 100"):
        read_image(tmp_path / "a.png")


def test_a_jpeg_is_read_as_its_luminance_and_in_colour_when_asked(tmp_path):
    grey = np.repeat(noise(8, 8)[..., None] // 2 + 64, 3, axis=2)
    Image.fromarray(grey).save(tmp_path / "a.jpeg", quality=100)
    assert read_image(tmp_path / "a.jpeg") == pytest.approx(grey[..., 0].astype(int), abs=3)
    assert read_image(tmp_path / "a.jpeg", colour=True).shape == (8, 8, 3)


def test_an_archive_without_the_film_is_named(tmp_path):
    (tmp_path / "a.zip").write_text("no archive")
    with pytest.raises(DataError, match=r"a\.zip: film\.png cannot be read"):
        ZippedImages(tmp_path / "a.zip", ["film.png"])[0]


def test_a_square_keeps_the_aspect_and_pads_with_black():
    pixels = np.full((20, 10), 200, dtype=np.uint8)
    square = fit_square(pixels, 20)
    assert square.shape == (20, 20)
    assert square.dtype == np.uint8
    assert (square[:, :5] == 0).all()
    assert (square[:, 5:15] == 200).all()
    assert fit_square(pixels.astype(np.uint16) * 100, 4).dtype == np.float32
    with pytest.raises(ValueError, match="size must be >= 1 pixels, got 0"):
        fit_square(pixels, 0)


def test_sets_are_frozen():
    with pytest.raises(AttributeError, match="cannot assign"):
        made().name = "other"
    assert replace(made(), name="other").name == "other"
