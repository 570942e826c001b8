"""The real tasks of the chapters on privacy, on tiny sets; on the real ones where they are."""

from __future__ import annotations

import os

import numpy as np
import pandas as pd
import pytest
import torch

from medrepro.data.image_sets import ImageSet
from medrepro.data.trials import FACTS, Trial
from medrepro.training.examples import Examples, load_batches
from medrepro.training.private_tasks import Finding, covid_task, image_task, pixel_statistics, summarise

RNG = np.random.default_rng(0)


def films(split: list[str] | None = None, n: int = 60, **changes) -> ImageSet:
    cause = np.resize(["normal", "bacteria", "virus"], n)
    fields = {
        "name": "tiny",
        "images": RNG.integers(0, 256, (n, 8, 8), dtype=np.uint8),
        "labels": pd.DataFrame({"cause": cause}),
        "patient_id": np.array([f"p{i // 2}" for i in range(n)]),
        "site": np.full(n, ""),
        "split": np.array(split or [""] * n),
        "metadata": pd.DataFrame({"sex": np.resize(["F", "M", None], n)}),
        "unit": "child (number in the file name)",
        "source": "made here",
    }
    return ImageSet(**{**fields, **changes})


CAUSES = {name: Finding("cause", (name,), ("normal",)) for name in ("bacteria", "virus")}


def assert_no_shared_units(task) -> None:
    parts = [set(part.units.tolist()) for part in (task.train, task.val, task.test)]
    assert len(set.union(*parts)) == sum(len(part) for part in parts)


def test_findings_become_labels_with_gaps_and_parts_share_no_child():
    task = image_task(films(), CAUSES, groups={"sex": "sex"}, val_share=0.2, seed=0)
    assert task.labels == ("bacteria", "virus")
    assert task.unit == "child"
    assert_no_shared_units(task)
    assert sum(len(part) for part in (task.train, task.val, task.test)) == 60
    rows = {str(row) for row in task.train.labels.tolist()}
    assert rows == {"[0.0, 0.0]", "[1.0, nan]", "[nan, 1.0]"}
    assert set(task.train.groups["sex"]) == {"F", "M", ""}
    assert task.train.inputs.shape[1:] == (1, 8, 8)
    assert 0 <= float(task.train.inputs.min()) < float(task.train.inputs.max()) <= 1


def test_images_of_another_value_are_left_out_and_the_published_test_part_stays_whole():
    split = ["train"] * 40 + ["test"] * 20
    task = image_task(films(split), {"bacteria": CAUSES["bacteria"]}, seed=0)
    assert len(task.test) == (films(split).labels["cause"][40:] != "virus").sum()
    assert_no_shared_units(task)
    assert len(task.val) > 0
    everyone = image_task(films(split), {"pneumonia": Finding("cause", ("bacteria", "virus"))}, seed=0)
    assert len(everyone.test) == 20


def test_volumes_get_a_channel_too():
    task = image_task(films(images=RNG.random((60, 4, 4, 4)).astype(np.float32)), CAUSES, seed=0)
    assert task.train.inputs.shape[1:] == (1, 4, 4, 4)


def test_unknown_columns_and_colour_are_refused():
    with pytest.raises(ValueError, match="column must be one of sex, cause, got 'age'"):
        image_task(films(), CAUSES, groups={"age": "age"}, seed=0)
    with pytest.raises(ValueError, match="images must be grey"):
        image_task(films(images=np.zeros((60, 8, 8, 3), np.uint8)), CAUSES, seed=0)


def trial(n: int = 200) -> Trial:
    table = pd.DataFrame({
        "result": np.resize(["negative", "negative", "positive", "invalid"], n),
        "gender": np.resize(["female", "male"], n),
        "age": np.linspace(0, 60, n),
        "pan_day": np.linspace(4, 107, n),
        "drive_thru_ind": np.resize([0, 1, 1], n),
        "patient_class": np.resize(["inpatient", None, "emergency"], n),
        "ct_result": 20.0,
    })  # fmt: skip
    ids = np.array([f"s{i // 3}" for i in range(n)])
    return Trial("covid_testing", table, ids, np.full(n, ""), FACTS["covid_testing"])


def test_covid_tests_are_split_by_subject_and_never_show_what_gives_the_result_away():
    task = covid_task(trial(), seed=0)
    assert_no_shared_units(task)
    assert sum(len(part) for part in (task.train, task.val, task.test)) == 150  # invalid results are left out
    assert task.train.inputs.shape[1] == 25
    assert float(task.train.inputs.abs().max()) <= 1
    changed = trial()
    changed.table["ct_result"] = np.where(changed.table["result"] == "positive", 20.0, 45.0)
    assert torch.equal(covid_task(changed, seed=0).train.inputs, task.train.inputs)
    assert set(task.test.groups["age"]) <= {"00-04", "05-17", "18-44", "45+"}


def test_the_summary_counts_examples_and_units():
    row = summarise({"films": image_task(films(), CAUSES, val_share=0.2, seed=0)}).loc["films"]
    assert row["train"] == "36 images of 18"
    assert row["most of one unit"] == 2
    assert row["share of positives"] == "0.50 / 0.50"


def test_pixel_statistics_see_brightness_and_not_places():
    image = torch.rand(3, 1, 6, 6)
    shuffled = image.flatten(2)[..., torch.randperm(36)].reshape(3, 1, 6, 6)
    torch.testing.assert_close(pixel_statistics(image)[:, :7], pixel_statistics(shuffled)[:, :7])
    assert pixel_statistics(image).shape == (3, 8)


class Counted:
    """Inputs on disk, as it were."""

    reads = 0

    def __len__(self):
        return 6

    def __getitem__(self, row):
        type(self).reads += 1
        return np.full((1, 2), row, dtype=np.float32)


def test_lazy_inputs_are_read_batch_by_batch_and_give_the_same_as_a_tensor():
    labels = np.arange(6)[:, None] % 2
    lazy = Examples(Counted(), labels, np.arange(6)).subset([5, 4, 0])
    assert Counted.reads == 0
    held = Examples(torch.arange(6.0).reshape(6, 1, 1).expand(6, 1, 2), labels, np.arange(6)).subset([5, 4, 0])
    for one, two in zip(load_batches(lazy, [[2, 0], [1]]), load_batches(held, [[2, 0], [1]]), strict=True):
        torch.testing.assert_close(one, two)


@pytest.mark.parametrize(
    ("labels", "units", "groups", "message"),
    [
        (np.zeros((3, 1)), np.arange(4), {}, "labels must be"),
        (np.full((4, 1), 2), np.arange(4), {}, "labels must be 0, 1, or nan"),
        (np.zeros((4, 1)), np.arange(4), {"sex": ["F"]}, r"groups\['sex'\] must have shape \(4,\), got \(1,\)"),
    ],
)
def test_examples_that_do_not_fit_are_refused(labels, units, groups, message):
    with pytest.raises(ValueError, match=message):
        Examples(torch.zeros(4, 2), labels, units, groups)


@pytest.mark.skipif(not os.environ.get("MEDREPRO_DATA"), reason="MEDREPRO_DATA is not set: no real sets")
def test_the_real_sets_have_the_published_sizes():
    from medrepro.data.medmnist import load_pneumoniamnist_rebuilt
    from medrepro.data.trials import load_trial

    task = image_task(load_pneumoniamnist_rebuilt(), {"pneumonia": Finding("label", ("pneumonia",))}, seed=0)
    assert [len(part) for part in (task.train, task.val, task.test)] == [4698, 524, 624]
    assert_no_shared_units(task)
    covid = covid_task(load_trial("covid_testing"), seed=0)
    assert sum(len(part) for part in (covid.train, covid.val, covid.test)) == 15223
    assert sum(int(part.labels.sum()) for part in (covid.train, covid.val, covid.test)) == 865
    assert_no_shared_units(covid)
