"""Twelve small clinical tables of the R packages medicaldata and pROC, with what must not be used to predict.

Each table comes with the column of its patients, its site, its outcome and `leaks`: columns that are known only with
or after the outcome, or that give it away. `features` leaves all of them out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .errors import DataError
from .fetch import locate_all
from .image_sets import assert_counts
from .readers import read_table

NAME = "medicaldata_trials"


@dataclass(frozen=True)
class Facts:
    """What is known of a table: its columns by role, and what to keep in mind."""

    rows: int
    patient: str | None = None  # None: a row is a patient
    site: str | None = None
    outcome: str | None = None
    leaks: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()
    note: str = ""


FACTS: dict[str, Facts] = {
    "aSAH": Facts(113, outcome="outcome", leaks=("gos6",), note="GPL >= 3; gos6 is the outcome in five grades"),
    "blood_storage": Facts(316, outcome="Recurrence", leaks=("Censor", "TimeToRecurrence")),
    "covid_testing": Facts(
        15524, patient="subject_id", site="clinic_name", outcome="result",
        leaks=("ct_result", "payor_group", "rec_ver_tat"),
        ids=("fake_first_name", "fake_last_name", "test_id"),
        note="anonymised, shifted in time and permuted by its publishers; children and adults; 301 results are invalid",
    ),
    "cytomegalovirus": Facts(
        64, patient="ID", outcome="cmv", leaks=("time.to.cmv", "agvhd", "time.to.agvhd", "cgvhd", "time.to.cgvhd")
    ),
    "indo_rct": Facts(602, patient="id", site="site", outcome="outcome", leaks=("bleed",)),
    "laryngoscope": Facts(
        99, outcome="attempt1_S_F",
        leaks=("attempt1_time", "attempt2_time", "attempt2_assigned_method", "attempt2_S_F", "attempt3_time",
               "attempt3_assigned_method", "attempt3_S_F", "attempts", "failures", "total_intubation_time",
               "intubation_overall_S_F", "bleeding", "ease", "sore_throat", "view"),
    ),
    "licorice_gargle": Facts(
        235, outcome="pacu30min_throatPain",
        leaks=("extubation_cough", "pacu30min_cough", "pacu30min_swallowPain", "pacu90min_cough",
               "pacu90min_throatPain", "postOp4hour_cough", "postOp4hour_throatPain", "pod1am_cough",
               "pod1am_throatPain"),
    ),
    "opt": Facts(
        823, patient="PID", site="Clinic", outcome="Preg.ended...37.wk",
        note="columns V3..., V5... are later visits, O...1 and O...5 laboratory values of visits 1 and 5; preterm "
             "birth cannot be predicted across clinics here, the dental outcomes of visit 5 can",
        leaks=("Birth.outcome", "GA.at.outcome", "Birthweight", "Fetal.congenital.anomaly", "Apgar1", "Apgar5",
               "Any.SAE.", "GA...1st.SAE", "X..Vis.Att", "X..Vis.Elig", "X1st.Miss.Vis", "N.PAL.sites", "Bact.vag",
               "Gest.diab", "Oligo", "Polyhyd", "Gonorrhea", "Chlamydia", "Strep.B", "Traumatic.Inj", "UTI",
               "Pre.eclamp", "ETXU_CAT5", "OFIBRIN5", "Completed.EDC", "Tx.comp.", "Tx.time", "EDC.necessary.",
               "N.extractions", "N.perm.restorations", "Local.anes", "Topical.Anest"),
    ),
    "polyps": Facts(22, patient="participant_id", outcome="number12m", leaks=("number3m",)),
    "smartpill": Facts(95, outcome="Group", note="healthy volunteers (1) and patients (0): a case-control table"),
    "strep_tb": Facts(107, patient="patient_id", outcome="improved",
                      leaks=("radiologic_6m", "rad_num", "strep_resistance")),
    "supraclavicular": Facts(
        103, patient="subject", outcome="onset_sensory",
        leaks=("nerve_block_censor", "onset_first_sensory", "onset_motor", "med_duration", "med_censor", "vps_rest",
               "vps_movement", "opioid_total", "fentanyl", "alfentanil", "midazolam"),
    ),
}  # fmt: skip
_COUNTS = {"covid_testing_valid": 15223, "covid_testing_valid_subjects": 12301}


@dataclass(frozen=True, eq=False)
class Trial:
    """A table and the roles of its columns; patient_id and site have one entry a row."""

    name: str
    table: pd.DataFrame
    patient_id: NDArray[np.str_]
    site: NDArray[np.str_]
    facts: Facts

    @property
    def outcome(self) -> pd.Series:
        """The outcome, as published."""
        return self.table[self.facts.outcome]

    def features(self, outcome: str | None = None) -> pd.DataFrame:
        """Columns that were known before the outcome: no ids, no site, no leaks, no later visits.

        outcome: another column that is to be predicted and is left out with them.
        """
        facts = self.facts
        known = {facts.patient, facts.site, facts.outcome, outcome, *facts.leaks, *facts.ids}
        later = [c for c in self.table if self.name == "opt" and _is_later(c)]
        return self.table.drop(columns=[c for c in self.table if c in known] + [c for c in later if c not in known])


def load_trial(name: str, files: Mapping[str, Path] | None = None) -> Trial:
    """One table; text without outer blanks, empty text missing, columns of numbers as numbers.

    files: the twelve files by name; found, verified and counted when left out. site is "" where there is one site.
    Raises ValueError for an unknown name, DataError when a column of `FACTS` is missing or rows are lost.
    """
    if name not in FACTS:
        raise ValueError(f"name must be one of {', '.join(FACTS)}, got {name!r}")
    facts, given = FACTS[name], locate_all(NAME) if files is None else files
    roles = [c for c in (facts.patient, facts.site, facts.outcome, *facts.leaks, *facts.ids) if c]
    raw = read_table(given[f"{name}.csv"], roles, na_values=["", "NA"])
    table = raw.apply(_clean)
    ids = raw[facts.patient] if facts.patient else pd.Series([f"row-{row:05d}" for row in range(len(raw))])
    if ids.isna().any():
        raise DataError(f"{NAME}: {name}: {facts.patient}: {ids.isna().sum()} rows have no patient")
    site = table[facts.site].astype(str) if facts.site else pd.Series("", index=table.index)
    made = Trial(name, table, ids.to_numpy(dtype=str), site.to_numpy(dtype=str), facts)
    if files is None:
        assert_counts(NAME, {name: len(table)}, {name: facts.rows})
        if name == "covid_testing":
            valid = (table["result"] != "invalid").to_numpy()
            found = {"covid_testing_valid": int(valid.sum())}
            assert_counts(NAME, found | {"covid_testing_valid_subjects": len(set(made.patient_id[valid]))}, _COUNTS)
    return made


def _is_later(column: str) -> bool:
    """Columns of the table opt that belong to a visit after the first."""
    return column.startswith(("V3.", "V5.")) or (column.startswith("O") and column[-1] == "5")


def _clean(column: pd.Series) -> pd.Series:
    text = column.str.strip().replace("", np.nan)
    numbers = pd.to_numeric(text, errors="coerce")
    return numbers if numbers.notna().sum() == text.notna().sum() else text
