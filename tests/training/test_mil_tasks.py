"""The chapter's tasks at each preset."""

from __future__ import annotations

from types import SimpleNamespace

import h5py
import numpy as np
import pandas as pd
import pytest

from medrepro.study.card import load_card
from medrepro.training.mil_tasks import TASKS, _another_report, load_tasks, slide_task, summarise, task_names
from medrepro.training.tiles import N_STATISTICS, describe_tiles


def _parameters(preset: str = "embedded", **changes):
    values = load_card("34_ccan").parameters.resolve(preset)
    return SimpleNamespace(**{**values, "n_train": 12, "n_val": 8, "n_test": 10, **changes})


def test_all_means_every_task_of_the_preset():
    assert {preset: task_names(preset) for preset in TASKS} == TASKS
    assert task_names("embedded", "neighbour") == ("neighbour",)
    with pytest.raises(ValueError, match="task must be one of all, cardiomegaly, effusion at preset real, got 'nsclc'"):
        task_names("real", "nsclc")


def test_the_card_offers_every_task_of_every_preset():
    offered = set(load_card("34_ccan").parameters["task"].choices)
    assert offered == {"all", *(name for names in TASKS.values() for name in names)}


def test_phantom_parts_are_independent_draws_and_a_larger_test_part_leaves_the_others_alone():
    small, large = (load_tasks(_parameters(n_test=n))["two_class"] for n in (10, 20))
    np.testing.assert_array_equal(small.train.features[3], large.train.features[3])
    assert small.train.features[0].shape != small.test.features[0].shape or not np.allclose(
        small.train.features[0], small.test.features[0]
    )
    assert [len(e) for e in small.evidence] == [len(x) for x in small.test.features]
    table = summarise({"two_class": small})
    assert table.loc["two_class", "test units"] == "10 slides"


def test_the_planted_wrong_mask_reaches_the_task():
    right, wrong = (load_tasks(_parameters(planted_opposite=o))["two_class"] for o in ("none", "signal_outside_mask"))
    np.testing.assert_array_equal(right.test.features[0], wrong.test.features[0])
    assert not (right.evidence[0] & wrong.evidence[0]).any()


@pytest.fixture
def cohort(tmp_path, monkeypatch):
    """A user's folder with features of three kidney slides a split, in the layout of the adapter."""
    rows, features = [], tmp_path / "features"
    features.mkdir()
    rng = np.random.default_rng(0)
    for number, split in enumerate(["train"] * 3 + ["val"] * 3 + ["test"] * 3):
        name = f"TCGA-AA-{number:04d}-01Z-00-DX1"
        with h5py.File(features / f"{name}.h5", "w") as file:
            file["feats"] = rng.random((4 + number, 6)).astype(np.float32)
            file["coords"] = rng.integers(0, 50, (4 + number, 2))
        rows.append((f"{name}.h5", ("KICH", "KIRP", "KIRC")[number % 3], split))
    pd.DataFrame(rows, columns=["FileName", "subtype", "split"]).to_csv(tmp_path / "fold_0.csv", index=False)
    monkeypatch.setattr("medrepro.data.locate", lambda name: tmp_path)
    return tmp_path


def test_a_users_slides_become_one_against_the_rest_tasks_with_patients_as_units(cohort):
    task = slide_task(_parameters("paper"), "rcc")
    assert (len(task.train), len(task.val), len(task.test)) == (3, 3, 3)
    np.testing.assert_array_equal(task.test.labels, np.eye(3))
    assert list(task.test.units) == ["TCGA-AA-0006", "TCGA-AA-0007", "TCGA-AA-0008"]
    assert task.test.features[2].shape == (12, 6)
    assert (task.unit, task.evidence) == ("patient", None)


def test_real_tiles_become_bags_with_the_tumour_marked_and_blocks_as_units(monkeypatch):
    def read_tiles(split, per_class, *, seed):
        rng = np.random.default_rng(len(split))
        return rng.integers(0, 255, (9 * 40, 32, 32, 3)).astype(np.uint8), np.repeat(np.arange(9), 40)

    monkeypatch.setattr("medrepro.data.pathmnist_bags.read_tiles", read_tiles)
    task = load_tasks(_parameters("open", tiles_min=30, tiles_max=40, task="tumour"))["tumour"]
    assert (len(task.train), len(task.val), len(task.test), task.unit) == (12, 8, 10, "tile block")
    assert task.in_features == N_STATISTICS
    marked = [bool(evidence.any()) for evidence in task.evidence]
    np.testing.assert_array_equal(marked, task.test.labels[:, 0] == 1)


def test_the_planted_wrong_report_is_another_one_of_the_bag():
    report = np.array([3, 3, 7, 9, 9])
    evidence = report == 7
    for index in range(4):
        wrong = _another_report(report, evidence, index)
        assert wrong.any()
        assert not (wrong & evidence).any()
        assert len(np.unique(report[wrong])) == 1
    assert not _another_report(report, np.zeros(5, dtype=bool), 0).any()


def test_tiles_are_described_by_statistics_that_follow_colour_and_texture():
    rng = np.random.default_rng(0)
    flat = np.full((1, 64, 64, 3), 128, np.uint8)
    dark = np.full((1, 64, 64, 3), 32, np.uint8)
    rough = rng.integers(0, 255, (1, 64, 64, 3)).astype(np.uint8)
    found = describe_tiles(np.concatenate([flat, dark, rough]), batch_size=2)
    assert found.shape == (3, N_STATISTICS)
    assert (found[1, :15] > found[0, :15]).all()  # darker is denser
    assert (found[2, -18:] > found[0, -18:]).all()  # rough has contrast, flat has none
    with pytest.raises(ValueError, match="images must be uint8"):
        describe_tiles(flat.astype(np.float32))
