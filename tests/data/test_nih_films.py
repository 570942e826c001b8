"""The table of NIH films: made-up tables are refused by name, the published counts hold on the real one."""

import pandas as pd
import pytest

from medrepro.data import DataError
from medrepro.data.nih_films import FINDINGS, first_films, load_films


def table(path, labels):
    rows = pd.DataFrame(
        {
            "Finding Labels": labels,
            "Follow-up #": range(len(labels)),
            "Patient ID": 7,
            "Patient Age": 60,
            "Patient Gender": "F",
            "View Position": "PA",
        }
    )
    rows.to_csv(path, index=False)
    return path


def test_a_table_with_other_counts_is_refused(tmp_path):
    with pytest.raises(DataError, match="2 films were loaded, expected 112120"):
        load_films(table(tmp_path / "films.csv", ["Edema", "No Finding"]))


def test_unknown_findings_are_named(tmp_path):
    with pytest.raises(DataError, match="findings must be those of ChestX-ray14, got Fracture"):
        load_films(table(tmp_path / "films.csv", ["Edema|Fracture"]))


def test_another_file_is_refused(tmp_path):
    other = tmp_path / "other.csv"
    other.write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match=r"other\.csv is not the expected table"):
        load_films(other)


@pytest.fixture(scope="module")
def films():
    try:
        return load_films()
    except DataError as error:
        pytest.skip(str(error))


def test_published_counts_hold(films):
    """Counts of the publication's label table (v2020) for three findings, and one row a patient for first films."""
    assert films[["Hernia", "Infiltration", "Effusion"]].sum().tolist() == [227, 19894, 13317]
    first = first_films(films)
    assert len(first) == films["patient_id"].nunique()
    assert (first["follow_up"] == films.groupby("patient_id")["follow_up"].min().to_numpy()).all()
    assert set(first["sex"]) == {"F", "M"}
    assert set(first["view"]) == {"AP", "PA"}
    assert films[list(FINDINGS)].isin([0, 1]).all(axis=None)
