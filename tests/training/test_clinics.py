"""Four clinics of one trial: fixed scales and cuts, nothing from one clinic in another."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from medrepro.data import DataError
from medrepro.data.trials import FACTS
from medrepro.training.clinics import CLINICS, FEATURES, OUTCOMES, SCALES, load_clinics
from tiny_image_sets import needs_data


def write(folder, changes=None):
    """Twenty women a clinic; bleeding is 10, 20, ... 100, 10, ... %."""
    rng = np.random.default_rng(0)
    n = 20 * len(CLINICS)
    facts = FACTS["opt"]
    table = pd.DataFrame({column: [""] * n for column in facts.leaks})
    table["PID"] = [f"p{i:03d}" for i in range(n)]
    table["Clinic"] = np.repeat(CLINICS, 20)
    table[facts.outcome] = "No"
    for column, (centre, unit) in SCALES.items():
        table[column] = centre + unit * rng.standard_normal(n)
    table["Group"], table["Use.Tob"] = ["T", "C"] * (n // 2), ["Yes", "No", "No", ""] * (n // 4)
    for column, _ in OUTCOMES.values():
        table[column] = np.tile(np.arange(10, 101, 10), n // 10) * (1.0 if column == "V5..BOP" else 0.02)
    for column, values in (changes or {}).items():
        table[column] = values(table)
    table.to_csv(folder / "opt.csv", index=False)
    return {"opt.csv": folder / "opt.csv"}


def test_a_label_is_a_fixed_cut_and_inputs_stand_on_fixed_scales(tmp_path):
    files = write(tmp_path)
    table = pd.read_csv(files["opt.csv"]).set_index("PID")
    sites = load_clinics(files=files, seed=0)
    assert [site.name for site in sites] == list(CLINICS)
    for site in sites:
        women = table.loc[site.everyone.units]
        assert (women["Clinic"] == site.name).all()
        assert site.everyone.y[:, 0].tolist() == (women["V5..BOP"] > 50).astype(float).tolist()
        age = site.everyone.x[:, FEATURES.index("Age")]
        assert age == pytest.approx((women["Age"].to_numpy() - 25) / 5, abs=1e-5)
        assert site.everyone.x[:, FEATURES.index("Group")].tolist() == (women["Group"] == "T").astype(float).tolist()
        assert site.everyone.x[:, FEATURES.index("Use.Tob")].sum() == (women["Use.Tob"] == "Yes").sum()


def test_another_clinics_values_change_nothing_here(tmp_path):
    before = load_clinics(files=write(tmp_path), seed=0)
    wild = {c: lambda t, c=c: t[c].where(t["Clinic"] != "NY", 1000 - t[c]) for c in (*SCALES, "V5..BOP")}
    after = load_clinics(files=write(tmp_path, wild), seed=0)
    for one, two in zip(before[:3], after[:3], strict=True):
        for part in ("train", "val", "test"):
            assert np.array_equal(getattr(one, part).x, getattr(two, part).x)
            assert np.array_equal(getattr(one, part).y, getattr(two, part).y)
    assert not np.array_equal(before[3].everyone.x, after[3].everyone.x)


def test_missing_inputs_stand_at_the_centre_and_women_without_the_outcome_are_left_out(tmp_path):
    changes = {
        "BMI": lambda t: "",
        "V5..BOP": lambda t: t["V5..BOP"].where(np.arange(len(t)) % 20 > 3),
        "V5.Pl.I": lambda t: t["V5.Pl.I"].where(np.arange(len(t)) % 20 > 7),
    }
    files = write(tmp_path, changes)
    one, two = (load_clinics(outcomes, files=files, seed=0) for outcomes in (["bleeding"], ["bleeding", "plaque"]))
    assert [len(site.everyone) for site in one] == [16] * 4
    assert [len(site.everyone) for site in two] == [12] * 4
    assert (one[0].everyone.x[:, FEATURES.index("BMI")] == 0).all()
    assert two[0].everyone.y.shape == (12, 2)


def test_no_later_visit_and_no_leak_is_a_feature():
    assert not [name for name in FEATURES if name.startswith(("V3", "V5")) or name in FACTS["opt"].leaks]
    assert len(FEATURES) == 15


def test_unknown_outcomes_missing_columns_and_empty_clinics_are_errors(tmp_path):
    with pytest.raises(ValueError, match=r"outcomes must be some of bleeding, .*, got \['pain'\]"):
        load_clinics(["pain"], files=write(tmp_path), seed=0)
    files = write(tmp_path, {"Clinic": lambda t: t["Clinic"].replace("NY", "KY")})
    with pytest.raises(DataError, match="opt: clinic NY has 0 women with bleeding"):
        load_clinics(files=files, seed=0)
    pd.read_csv(files["opt.csv"]).drop(columns="BL.GE").to_csv(files["opt.csv"], index=False)
    with pytest.raises(DataError, match=r"opt: column BL.GE is missing"):
        load_clinics(files=files, seed=0)


@needs_data("medicaldata_trials")
def test_the_real_clinics_have_the_published_numbers_of_women_and_both_labels_everywhere():
    sites = load_clinics(seed=0)
    assert {site.name: len(site.everyone) for site in sites} == {"KY": 180, "MN": 217, "MS": 142, "NY": 120}
    for site in sites:
        for part in ("train", "val", "test"):
            assert 0.2 < getattr(site, part).y.mean() < 0.85
    full = load_clinics(list(OUTCOMES), seed=0)
    assert {site.name: len(site.everyone) for site in full} == {"KY": 173, "MN": 196, "MS": 129, "NY": 95}
    assert all(0.1 < share < 0.95 for site in full for share in site.everyone.y.mean(axis=0))
