"""Clinical tables: roles of the columns, no leak among the features, and the real counts."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from medrepro.data import DataError
from medrepro.data.splitting import split_by_patient
from medrepro.data.trials import FACTS, load_trial
from tiny_image_sets import needs_data


@pytest.fixture
def files(tmp_path):
    """All tables with the columns that `FACTS` names, a feature, and three rows of two patients."""
    for name, facts in FACTS.items():
        roles = [c for c in (facts.patient, facts.site, facts.outcome, *facts.leaks, *facts.ids) if c]
        table = pd.DataFrame({column: ["1", "2", "2"] for column in roles}).assign(feature=["3", "4 ", " "])
        table.to_csv(tmp_path / f"{name}.csv", index=False)
    return {path.name: path for path in tmp_path.iterdir()}


@pytest.mark.parametrize("name", FACTS)
def test_features_hold_neither_ids_nor_outcome_nor_leaks(name, files):
    trial = load_trial(name, files)
    assert list(trial.features()) == ["feature"]
    assert trial.features()["feature"].tolist() == pytest.approx([3, 4, np.nan], nan_ok=True)
    assert len(trial.patient_id) == len(trial.site) == len(trial.outcome) == 3
    assert (trial.site == "").all() == (FACTS[name].site is None)


@pytest.mark.parametrize("name", FACTS)
def test_no_patient_of_a_table_is_on_two_sides(name, files):
    trial = load_trial(name, files)
    parts = split_by_patient(trial.patient_id, {"train": 0.5, "test": 0.5}, seed=0)
    assert not set(trial.patient_id[parts["train"]]) & set(trial.patient_id[parts["test"]])


def test_later_visits_of_opt_are_no_features_and_a_second_outcome_is_left_out(files):
    path = files["opt.csv"]
    table = pd.read_csv(path).assign(**{"V5..BOP": 1, "V3.GE": 1, "OAA5": 1, "OAA1": 1, "BL.GE": 1, "BMI": 30})
    table.to_csv(path, index=False)
    assert list(load_trial("opt", files).features("BMI")) == ["feature", "OAA1", "BL.GE"]


def test_text_is_trimmed_and_numbers_become_numbers(files):
    path = files["aSAH.csv"]
    pd.read_csv(path).assign(gender=["No ", "   ", "Yes"], age=["1.5", "", "NA"]).to_csv(path, index=False)
    table = load_trial("aSAH", files).table
    assert table["gender"].tolist()[::2] == ["No", "Yes"]
    assert pd.isna(table["gender"][1])
    assert table["age"].tolist() == pytest.approx([1.5, np.nan, np.nan], nan_ok=True)


def test_unknown_tables_missing_columns_and_rows_without_a_patient_are_errors(files):
    with pytest.raises(ValueError, match=r"name must be one of aSAH, .*, got 'other'"):
        load_trial("other", files)
    path = files["opt.csv"]
    pd.read_csv(path).drop(columns="Clinic").to_csv(path, index=False)
    with pytest.raises(DataError, match=r"opt\.csv: has no column 'Clinic'"):
        load_trial("opt", files)
    path = files["indo_rct.csv"]
    pd.read_csv(path).assign(id=["1", "", "2"]).to_csv(path, index=False)
    with pytest.raises(DataError, match="indo_rct: id: 1 rows have no patient"):
        load_trial("indo_rct", files)


@needs_data("medicaldata_trials")
def test_the_real_tables_have_their_rows_sites_and_subjects():
    trials = {name: load_trial(name) for name in FACTS}  # rows, valid results and their subjects: asserted
    assert pd.Series(trials["opt"].site).value_counts().to_dict() == {"MN": 247, "KY": 211, "MS": 192, "NY": 173}
    assert trials["indo_rct"].outcome.value_counts().to_dict() == {"0_no": 523, "1_yes": 79}
    assert (trials["opt"].outcome == "Yes").sum() == 103
    assert (trials["covid_testing"].outcome == "positive").sum() == 865
    assert not any(column.startswith(("V3", "V5")) for column in trials["opt"].features())
