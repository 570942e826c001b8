"""Common names of chest findings: what 1, 0, -1 and nothing become, and that the table fits the collections."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from medrepro.data import manifests
from medrepro.data.labels import CAVEATS, FINDINGS, TABLE, common_findings, harmonise, resolve
from medrepro.data.openi import FINDINGS as OPENI

NIH = "Atelectasis Cardiomegaly Consolidation Edema Effusion Emphysema Fibrosis Hernia Infiltration Mass Nodule "
NIH += "Pleural_Thickening Pneumonia Pneumothorax"


def native(collection, rows=1, value=0.0, **changes):
    columns = dict.fromkeys((label for group in TABLE[collection].values() for label in group), value)
    return pd.DataFrame({**columns, **changes}, index=range(rows))


@pytest.mark.parametrize("collection", TABLE)
def test_every_name_of_a_collection_is_a_common_one_and_no_label_is_repeated_in_it(collection):
    assert set(TABLE[collection]) <= set(FINDINGS)
    assert all(len(group) == len(set(group)) > 0 for group in TABLE[collection].values())
    assert set(CAVEATS) <= set(FINDINGS)


@pytest.mark.parametrize("collection", [c for c in TABLE if c != "openi_reports"])
def test_names_are_those_that_the_manifest_of_the_collection_asks_for(collection):
    rules = manifests.load(collection).table
    assert set(rules.labels) <= set(TABLE[collection])


def test_the_fourteen_findings_of_nih_and_openi_are_all_used():
    used = {label for group in TABLE["chestxray14"].values() for label in group}
    assert used == {*NIH.split(), "No Finding"}
    assert {label for group in TABLE["openi_reports"].values() for label in group} == {*OPENI, "normal"}


@pytest.mark.parametrize(
    ("mass", "nodule", "expected"),
    [(0, 0, 0), (1, 0, 1), (0, 1, 1), (1, -1, 1), (-1, 0, -1), (1, np.nan, 1), (0, np.nan, np.nan), (-1, np.nan, -1)],
)
def test_of_several_labels_present_goes_before_uncertain_before_missing_before_absent(mass, nodule, expected):
    made = harmonise("chestxray14", native("chestxray14", Mass=mass, Nodule=nodule), ["nodule_mass"])
    assert made["nodule_mass"].tolist() == pytest.approx([expected], nan_ok=True)


def test_what_a_collection_does_not_have_is_missing_and_not_absent():
    made = harmonise("chexpert", native("chexpert"), ["hernia", "edema"])
    assert np.isnan(made["hernia"]).all()
    assert made["edema"].tolist() == [0]


def test_uncertain_and_missing_cells_follow_the_stated_policy():
    raw = pd.DataFrame({"edema": [1, 0, -1, np.nan]})
    cases = {
        ("keep", "keep"): [1, 0, -1, np.nan],
        ("positive", "keep"): [1, 0, 1, np.nan],
        ("negative", "negative"): [1, 0, 0, 0],
        ("missing", "keep"): [1, 0, np.nan, np.nan],
        ("missing", "negative"): [1, 0, 0, 0],
        ("positive", "negative"): [1, 0, 1, 0],
    }
    for (uncertain, missing), expected in cases.items():
        made = resolve(raw, uncertain=uncertain, missing=missing)["edema"].tolist()
        assert made == pytest.approx(expected, nan_ok=True)
    assert raw["edema"].tolist() == pytest.approx([1, 0, -1, np.nan], nan_ok=True)


def test_findings_common_to_all_collections_are_those_that_can_be_compared():
    assert common_findings("chestxray14", "chexpert", "mimic_cxr_jpg", "padchest", "vindr_cxr") == [
        "no_finding", "atelectasis", "cardiomegaly", "consolidation", "edema", "effusion", "pneumonia", "pneumothorax",
    ]  # fmt: skip
    assert "nodule_mass" in common_findings("chestxray14", "padchest", "vindr_cxr")


def test_wrong_collections_names_columns_and_values_are_named():
    with pytest.raises(ValueError, match=r"collection must be one of chestxray14, .*, got 'nih'"):
        harmonise("nih", native("chexpert"))
    with pytest.raises(ValueError, match=r"names must be of no_finding, .*, got 'Edema'"):
        harmonise("chexpert", native("chexpert"), ["Edema"])
    with pytest.raises(ValueError, match="labels must have the column 'Edema' of chexpert"):
        harmonise("chexpert", native("chexpert").drop(columns="Edema"), ["edema"])
    with pytest.raises(ValueError, match="labels must be 1, 0, -1 or nan, got others in Edema"):
        harmonise("chexpert", native("chexpert", Edema=0.5), ["edema"])
    with pytest.raises(ValueError, match="uncertain must be keep, positive, negative or missing, got 'ones'"):
        resolve(native("chexpert"), uncertain="ones")
    with pytest.raises(ValueError, match="collections must be of"):
        common_findings("nih")
