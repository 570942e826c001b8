"""Overlap and surface distance: MedPy, MONAI, brute force, distance transform, shapes with known answers."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from monai.metrics import compute_average_surface_distance, compute_dice, compute_hausdorff_distance
from scipy import ndimage
from scipy.spatial.distance import cdist

from medrepro.stats import segmentation as seg

SPACING = (2.5, 0.8, 0.7)
REFERENCE = json.loads((Path(__file__).parents[1] / "reference" / "segmentation.json").read_text())
CASES = {case["name"]: case for case in REFERENCE["cases"]}
SINGLE = 2e-6  # MONAI and torchmetrics compute in single precision


def blobs(seed, shape=(14, 24, 22)):
    """Two smooth overlapping masks; smooth noise leaves several parts and holes."""
    rng = np.random.default_rng(seed)
    base, other = (ndimage.gaussian_filter(rng.normal(size=shape), 2.5) for _ in range(2))
    return base > 0.02, base + 0.5 * other > 0.03


def surface(mask):
    """Brute force: a voxel with a face neighbour outside the mask."""
    padded, found = np.pad(mask, 1), []
    for voxel in np.argwhere(mask):
        steps = [s * np.eye(mask.ndim, dtype=int)[k] for k in range(mask.ndim) for s in (-1, 1)]
        if not all(padded[tuple(voxel + 1 + step)] for step in steps):
            found.append(voxel)
    return np.array(found)


def unpacked(case):
    """The two masks of a stored case, and its spacing."""
    size = math.prod(case["shape"])
    bits = (np.unpackbits(np.frombuffer(bytes.fromhex(case[name]), np.uint8), count=size) for name in "ab")
    return *(b.reshape(case["shape"]).astype(bool) for b in bits), case["spacing"]


masks_2d = arrays(bool, (5, 6))


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("seed", range(5))
def test_measures_match_monai(seed):
    a, b = blobs(seed)
    ta, tb = (torch.from_numpy(m)[None, None] for m in (a, b))
    assert seg.dice(a, b) == pytest.approx(float(compute_dice(ta, tb)), rel=1e-6)
    theirs = float(compute_average_surface_distance(ta, tb, symmetric=True, spacing=SPACING, include_background=True))
    assert seg.assd(a, b, SPACING) == pytest.approx(theirs, rel=1e-5)
    theirs = float(compute_hausdorff_distance(ta, tb, percentile=95, spacing=SPACING, include_background=True))
    assert seg.hd95(a, b, SPACING) == pytest.approx(theirs, rel=1e-5)


@pytest.mark.parametrize("name", CASES)
def test_overlap_and_distances_equal_those_of_medpy(name):
    (a, b, spacing), theirs = unpacked(CASES[name]), CASES[name]["medpy"]
    a_to_b, b_to_a = seg.surface_distances(a, b, spacing)
    assert [a_to_b.size, b_to_a.size] == theirs["surface voxels"]
    found = {
        "dc": seg.dice(a, b),
        "jc": seg.iou(a, b),
        "asd a to b": a_to_b.mean(),
        "asd b to a": b_to_a.mean(),
        "hd": max(a_to_b.max(), b_to_a.max()),
        "assd": seg.assd(a, b, spacing),
        "hd95, pooled": np.percentile(np.concatenate([a_to_b, b_to_a]), 95),
        "hd95, larger of two": seg.hd95(a, b, spacing),
    }
    for measure, value in found.items():
        assert value == pytest.approx(theirs[measure], rel=1e-8, abs=1e-8), measure


@pytest.mark.parametrize("name", CASES)
def test_overlap_and_distances_equal_those_of_monai_and_torchmetrics(name):
    (a, b, spacing), theirs = unpacked(CASES[name]), CASES[name]
    assert seg.dice(a, b) == pytest.approx(theirs["monai"]["dice"], abs=SINGLE)
    assert seg.iou(a, b) == pytest.approx(theirs["monai"]["iou"], abs=SINGLE)
    assert seg.assd(a, b, spacing) == pytest.approx(theirs["monai"]["assd"], rel=SINGLE, abs=SINGLE)
    assert seg.hd95(a, b, spacing) == pytest.approx(theirs["monai"]["hd95"], rel=SINGLE, abs=SINGLE)
    assert seg.dice(a, b) == pytest.approx(theirs["torchmetrics"]["f1"], abs=SINGLE)
    assert seg.iou(a, b) == pytest.approx(theirs["torchmetrics"]["jaccard"], abs=SINGLE)


def test_one_pooled_percentile_can_hide_what_the_larger_of_two_shows():
    """The two definitions of HD95 that programs use differ on stored cases; ours is never the smaller one."""
    pairs = [(c["medpy"]["hd95, larger of two"], c["medpy"]["hd95, pooled"]) for c in CASES.values()]
    assert all(larger >= pooled - 1e-12 for larger, pooled in pairs)
    assert sum(larger > 1.1 * pooled for larger, pooled in pairs) >= 3


def test_the_rule_for_empty_masks_is_one_that_other_programs_know():
    """Programs disagree; ours is MONAI's with ignore_empty=False and torchmetrics' with zero_division=1."""
    full, empty = np.ones((4, 5)), np.zeros((4, 5))
    for which, (a, b) in {"both": (empty, empty), "first": (empty, full), "second": (full, empty)}.items():
        said = {
            program: math.nan if word == "error" else float(word) for program, word in REFERENCE["empty"][which].items()
        }
        assert seg.dice(a, b) == said["monai dice, ignore_empty=False"] == said["torchmetrics f1, zero_division=1"]
        if which != "both":
            assert math.isnan(said["monai hd95"])
            assert math.isnan(seg.hd95(a, b, (1.0, 1.0)))


@given(masks_2d, masks_2d)
def test_distances_match_brute_force_over_all_pairs(a, b):
    if not a.any() or not b.any():
        return
    pairs = cdist(surface(a) * [3.0, 0.5], surface(b) * [3.0, 0.5])
    a_to_b, b_to_a = seg.surface_distances(a, b, (3.0, 0.5))
    np.testing.assert_allclose(a_to_b, pairs.min(axis=1), rtol=1e-12)
    np.testing.assert_allclose(b_to_a, pairs.min(axis=0), rtol=1e-12)
    directed = [np.percentile(pairs.min(axis=1), 95), np.percentile(pairs.min(axis=0), 95)]
    assert seg.hd95(a, b, (3.0, 0.5)) == pytest.approx(max(directed))


def test_distances_match_the_distance_transform_in_three_dimensions():
    a, b = blobs(7)
    edge_a, edge_b = (m & ~ndimage.binary_erosion(m) for m in (a, b))
    expected = ndimage.distance_transform_edt(~edge_b, sampling=SPACING)[edge_a]
    np.testing.assert_allclose(seg.surface_distances(a, b, SPACING)[0], expected, rtol=1e-12, atol=1e-12)


@given(masks_2d, masks_2d, st.floats(0.1, 10))
def test_measures_are_symmetric_bounded_and_scale_with_the_voxels(a, b, factor):
    assert seg.dice(a, b) == seg.dice(b, a)
    assert 0 <= seg.iou(a, b) <= seg.dice(a, b) <= 1
    assert seg.iou(a, b) == pytest.approx(seg.dice(a, b) / (2 - seg.dice(a, b)))
    for distance in (seg.assd, seg.hd95):
        once, grown = distance(a, b, (1.0, 2.0)), distance(a, b, (factor, 2 * factor))
        np.testing.assert_allclose(grown, factor * once, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(distance(b, a, (1.0, 2.0)), once, rtol=1e-12)
        assert distance(a, a, (1.0, 2.0)) == 0.0


@given(masks_2d, masks_2d, st.integers(0, 3), st.integers(0, 3))
def test_place_in_the_image_changes_nothing_but_the_order_of_axes_does(a, b, before, after):
    pad = ((before, after), (after, before))
    for distance in (seg.assd, seg.hd95):
        once = distance(a, b, (1.5, 0.5))
        np.testing.assert_allclose(distance(np.pad(a, pad), np.pad(b, pad), (1.5, 0.5)), once, rtol=1e-12)
        np.testing.assert_allclose(distance(a.T, b.T, (0.5, 1.5)), once, rtol=1e-12)


def test_a_slab_moved_by_three_slices_is_three_slice_thicknesses_away():
    a = np.zeros((12, 1, 1), dtype=bool)
    a[2:5] = True
    b = np.roll(a, 3, axis=0)
    # A column one voxel wide is all surface: distances 3, 2, 1 slices one way and 1, 2, 3 the other.
    assert seg.assd(a, b, (5.0, 1.0, 1.0)) == pytest.approx(10.0)
    assert seg.hd95(a, b, (5.0, 1.0, 1.0)) == pytest.approx(np.percentile([5, 10, 15], 95))
    assert seg.dice(a, b) == 0.0


def test_empty_masks_follow_the_stated_rule():
    full, empty = np.ones((3, 4)), np.zeros((3, 4))
    assert (seg.dice(empty, empty), seg.iou(empty, empty)) == (1.0, 1.0)
    assert (seg.dice(full, empty), seg.iou(empty, full)) == (0.0, 0.0)
    for distance in (seg.assd, seg.hd95):
        assert distance(empty, empty, (1, 1)) == 0.0
        assert math.isnan(distance(full, empty, (1, 1)))
        assert math.isnan(distance(empty, full, (1, 1)))


def test_counts_do_not_overflow_small_integer_types():
    ones = np.ones((20, 20, 20), dtype=np.uint8)
    assert seg.dice(ones, ones) == 1.0
    assert seg.iou(ones.astype(np.float16), ones) == 1.0


@pytest.mark.parametrize("measure", [seg.dice, seg.iou, seg.assd, seg.hd95, seg.surface_distances])
def test_bad_masks_are_named(measure):
    spacing = () if measure in (seg.dice, seg.iou) else ((1.0, 1.0),)
    good = np.ones((3, 3))
    for bad, message in (
        (np.ones((3, 4)), r"mask_b must have the shape of mask_a \(3, 3\), got \(3, 4\)"),
        (np.full((3, 3), 0.5), "mask_b must hold 0 and 1 only, got np.float64.0.5. among 9"),
        (np.full((3, 3), math.nan), "mask_b must hold 0 and 1"),
        (np.full((3, 3), "1"), "mask_b must hold 0 and 1 only, got dtype"),
        (np.ones(3), r"mask_b must have shape \(H, W\) or \(D, H, W\)"),
        (np.ones((0, 3)), "mask_b must have shape"),
    ):
        with pytest.raises(ValueError, match=message):
            measure(good, bad, *spacing)


@pytest.mark.parametrize("measure", [seg.assd, seg.hd95, seg.surface_distances])
@pytest.mark.parametrize("spacing", [(1.0,), (1.0, 0.0), (1.0, -1.0), (1.0, math.nan), (1, 1, 1), 1.0, ("1", "1")])
def test_bad_spacing_is_named(measure, spacing):
    with pytest.raises(ValueError, match="spacing must be 2 positive numbers in mm"):
        measure(np.ones((3, 3)), np.ones((3, 3)), spacing)
