"""Every count that a manifest states is counted by the adapter that loads the set."""

from __future__ import annotations

import importlib

import pytest

from medrepro.data import manifests
from medrepro.data.image_sets import assert_counts
from tiny_image_sets import needs_data

# Manifest, folder of the user, and the calls that load all of it.
SETS = [
    ("busi", "busi", ["busi.load_busi"]),
    ("chase_db1", "chase_db1", ["chase.load_chase"]),
    ("covid_chestxray_cohen", "covid_chestxray_cohen", ["covid_cxr.load_cohen", "brixia.load_brixia"]),
    ("covid19_hannover_cxr", "covid19_hannover_cxr", ["covid_cxr.load_hannover"]),
    ("lidc_nodules", "lidc_nodules", ["lidc_masks.load_masks"]),
    ("medical_qa", "medical_qa", ["medical_qa.load_questions"]),
    ("mri_kspace_brain", "mri_kspace_brain", ["kspace.load_kspace"]),
    ("nih_chestxray14_boxes", "nih_cxr14_metadata", ["nih_boxes.load_boxes"]),
    ("nih_four_findings", "nih_four_findings", ["nih_experts.load_expert_labels"]),
    ("pediatric_cxr_kermany", "pediatric_cxr_kermany", ["kermany.load_kermany"]),
    ("pneumoniamnist_rebuilt", "pneumoniamnist", ["medmnist.load_pneumoniamnist_rebuilt"]),
    ("vqa_med_2019_test", "vqa_med_2019_test", ["vqa_med.load_vqa_med"]),
]


@pytest.mark.parametrize(
    ("name", "calls"), [pytest.param(name, calls, marks=needs_data(folder), id=name) for name, folder, calls in SETS]
)
def test_every_count_of_the_manifest_is_asserted_while_loading(name, calls, monkeypatch):
    counted = set()

    def note(which, found, expected=None):
        if which == name:
            counted.update(found)
        assert_counts(which, found, expected)

    for call in calls:
        module, function = call.split(".")
        adapter = importlib.import_module(f"medrepro.data.{module}")
        monkeypatch.setattr(adapter, "assert_counts", note)
        getattr(adapter, function)()
    assert set(manifests.load(name).counts) <= counted
