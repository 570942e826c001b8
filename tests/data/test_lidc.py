"""LIDC annotations: grouping into nodules on made-up outlines, and the published counts on the real data base."""

from __future__ import annotations

import sqlite3

import numpy as np
import pandas as pd
import pytest

from medrepro.data import DataError, locate
from medrepro.data.lidc import RATINGS, group_nodules, load_annotations, ratings_by_nodule


def outlines(*rows, scan=1):
    """Outlines of one scan at (x, y, z, diameter)."""
    table = pd.DataFrame(rows, columns=["x_mm", "y_mm", "z_mm", "diameter_mm"]).astype(float)
    return table.assign(scan_id=scan)


def test_outlines_within_half_the_larger_diameter_are_one_nodule():
    nodule, crowded = group_nodules(outlines((0, 0, 0, 20), (9.9, 0, 0, 4), (30, 0, 0, 20), (40.1, 0, 0, 4)))
    assert nodule.tolist() == [0, 0, 1, 2]
    assert crowded == 0


def test_small_outlines_are_linked_up_to_three_millimetres():
    assert group_nodules(outlines((0, 0, 0, 2), (0, 0, 2.9, 2), (0, 0, 6, 2)))[0].tolist() == [0, 0, 1]


def test_outlines_of_other_scans_are_never_linked():
    table = pd.concat([outlines((0, 0, 0, 20)), outlines((0, 0, 0, 20), scan=2)], ignore_index=True)
    assert len(set(group_nodules(table)[0])) == 2


def test_a_chain_of_more_than_four_is_divided_where_it_is_widest():
    near, far = [(x, 0, 0, 4) for x in (0, 0.1, 0.2)], [(x, 0, 0, 4) for x in (2.9, 3.0, 3.1)]
    nodule, crowded = group_nodules(outlines(*near, *far))
    assert nodule.tolist() == [0, 0, 0, 1, 1, 1]
    assert crowded == 0


def test_five_outlines_at_one_place_stay_together_and_are_counted():
    nodule, crowded = group_nodules(outlines(*[(0, 0, 0, 4)] * 5))
    assert nodule.tolist() == [0] * 5
    assert crowded == 1


def test_grouping_does_not_depend_on_the_order_of_the_outlines():
    rng = np.random.default_rng(0)
    table = outlines(*np.column_stack([rng.uniform(0, 60, (60, 3)), rng.uniform(3, 15, 60)]))
    mixed = table.sample(frac=1, random_state=1)
    together, again = group_nodules(table)[0], pd.Series(group_nodules(mixed)[0], index=mixed.index).sort_index()
    assert (np.equal.outer(together, together) == np.equal.outer(again.to_numpy(), again.to_numpy())).all()


def test_a_scale_that_is_not_positive_is_refused():
    with pytest.raises(ValueError, match="scale must be > 0, got 0"):
        group_nodules(outlines((0, 0, 0, 4)), scale=0)


def test_ratings_are_laid_out_by_nodule_with_gaps():
    table = pd.DataFrame({"nodule_id": [1, 0, 1], "malignancy": [5, 2, 4]})
    assert np.array_equal(ratings_by_nodule(table, "malignancy"), [[2, np.nan], [5, 4]], equal_nan=True)
    with pytest.raises(ValueError, match="rating must be one of subtlety"):
        ratings_by_nodule(table, "malignant")


def test_a_file_that_is_no_data_base_is_a_data_error(tmp_path):
    (tmp_path / "x.sqlite").write_bytes(b"not a data base" * 100)
    with pytest.raises(DataError, match="is not the expected data base"):
        load_annotations(tmp_path / "x.sqlite")


def test_a_data_base_with_other_counts_is_refused(tmp_path):
    path = tmp_path / "x.sqlite"
    with sqlite3.connect(path) as made:
        made.execute(
            "CREATE TABLE scans (id INTEGER, patient_id TEXT, series_instance_uid TEXT, pixel_spacing FLOAT, "
            "slice_thickness FLOAT, is_from_initial BOOLEAN)"
        )
        made.execute("INSERT INTO scans VALUES (1, 'P', 'S', 0.5, 1.0, 1)")
        kinds = ", ".join(
            '"internalStructure" INTEGER' if r == "internal_structure" else f"{r} INTEGER" for r in RATINGS
        )
        made.execute(f"CREATE TABLE annotations (id INTEGER, scan_id INTEGER, {kinds})")
        made.execute("INSERT INTO annotations VALUES (1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1)")
        made.execute("CREATE TABLE contours (id INTEGER, annotation_id INTEGER, image_z_position FLOAT, coords TEXT)")
        made.execute("INSERT INTO contours VALUES (1, 1, 5.0, '0,0\n4,0\n4,3')")
    made.close()
    with pytest.raises(DataError, match="lidc_annotations: 1 scans were loaded, expected 1018"):
        load_annotations(path)


@pytest.fixture(scope="module")
def annotations():
    try:
        locate("lidc_annotations")
    except DataError as error:
        pytest.skip(str(error))
    return load_annotations()


def test_the_published_counts_hold(annotations):
    assert (annotations.attrs["scans"], annotations.attrs["patients"], len(annotations)) == (1018, 1010, 6859)
    assert annotations["patient_id"].nunique() == 875
    assert annotations.attrs["crowded_nodules"] == 0


def test_every_nodule_has_one_to_four_outlines_of_one_scan(annotations):
    by_nodule = annotations.groupby("nodule_id")
    assert by_nodule.size().between(1, 4).all()
    assert (by_nodule["scan_id"].nunique() == 1).all()
    assert sorted(set(annotations["nodule_id"])) == list(range(annotations.attrs["nodules"]))


def test_nothing_is_missing_and_grades_stay_in_their_range(annotations):
    assert annotations.notna().all().all()
    highest = {"internal_structure": 5, "calcification": 6}
    for name in RATINGS:
        assert annotations[name].between(1, highest.get(name, 5)).all()


def test_the_data_base_is_left_as_it_was(annotations):
    path = locate("lidc_annotations")
    assert not list(path.parent.glob("*-journal"))
    assert not list(path.parent.glob("*-wal"))
