"""A user's table of a cohort: what is accepted, that every problem is named by row, and that no cell is repeated."""

from __future__ import annotations

import csv
import json
import os

import pytest

from medrepro.data import DataError, UnknownDataError, data_hashes
from medrepro.data.cohort_table import check_table, register_table, table_path
from medrepro.data.fetch import registered_table
from medrepro.data.table_checks import ranges

PNG = b"\x89PNG\r\n\x1a\n" + bytes(8)
HEADER = ["path", "patient_id", "split", "age", "sex", "edema", "grade"]
SECRETS = ("Meier", "film0", "secret")  # parts of cells that must never be repeated


class Cohort:
    """A cohort `beds` of six films in a user's data folder, and tables of it."""

    def __init__(self, sets, access="private"):
        self.sets, self.own = sets, sets.own
        rules = {
            "labels": {"edema": [0, 1], "grade": ["", 1, 2, 3]},
            "columns": ["age"],
            "studies": {"34_ccan": ["edema"], "07_dp": ["edema", "grade"]},
        }
        users = list(rules["studies"])
        raw = sets.raw("beds", files=None, folder="beds", layout="PNG", access=access, used_by=users, table=rules)
        self.name = sets.write(raw)
        (self.own / "beds" / "deep").mkdir(parents=True)
        for number in range(6):
            (self.own / "beds" / f"film0{number}.png").write_bytes(PNG)

    def rows(self):
        splits = ["train", "train", "train", "val", "test", "test"]
        return [
            [f"film0{i}.png", f"Meier{i // 2 if split == 'train' else i}", split, str(60 + i), "F", str(i % 2), "3"]
            for i, split in enumerate(splits)
        ]

    def table(self, rows=None, header=HEADER, raw=None):
        path = self.own.parent / "table.csv"
        if raw is not None:
            path.write_bytes(raw)
            return path
        with path.open("w", newline="", encoding="utf-8") as stream:
            csv.writer(stream).writerows([header, *(self.rows() if rows is None else rows)])
        return path

    def check(self, *, study=None, **table):
        return check_table(self.name, self.table(**table), study=study, folder=self.own)

    def problems(self, **table):
        said = [str(problem) for problem in self.check(**table).problems]
        for line in said:
            assert "\n" not in line
            assert not [secret for secret in SECRETS if secret in line], f"repeats a cell: {line}"
        return said


@pytest.fixture
def cohort(sets):
    return Cohort(sets)


def changed(cohort, row, **cells):
    """The rows with some cells of one row replaced; row: as a spreadsheet counts."""
    rows = cohort.rows()
    for column, value in cells.items():
        rows[row - 2][HEADER.index(column)] = value
    return rows


# what is accepted


def test_a_clean_table_is_registered_with_its_counts(cohort):
    report = cohort.check()
    assert report.problems == ()
    assert (report.n_rows, report.n_patients) == (6, 5)
    assert report.splits == {"train": 3, "val": 1, "test": 2}
    assert report.studies == ("34_ccan", "07_dp")
    stored = register_table(report, folder=cohort.own)
    assert stored == table_path("beds", folder=cohort.own)
    with stored.open(newline="", encoding="utf-8") as stream:
        assert list(csv.DictReader(stream))[5] == dict(zip(HEADER, cohort.rows()[5], strict=True))
    assert sorted(p.name for p in stored.parent.iterdir()) == ["beds.csv", "beds.json"]


def test_the_note_beside_a_table_holds_counts_only_and_no_small_cell(cohort):
    stored = register_table(cohort.check(), folder=cohort.own)
    text = stored.with_suffix(".json").read_text()
    assert json.loads(text)["splits"] == {"train": "< 10", "val": "< 10", "test": "< 10"}
    assert not [secret for secret in SECRETS if secret in text]


def test_counts_of_an_open_cohort_are_not_suppressed(sets):
    assert Cohort(sets, access="open").check().public_splits == {"train": 3, "val": 1, "test": 2}


def test_numbers_and_spaces_are_stored_in_one_way(cohort):
    rows = changed(cohort, 2, edema="1.0", grade="", split=" train ", age="60.5")
    report = cohort.check(rows=rows)
    assert report.problems == ()
    assert dict(zip(*report.lines[:2], strict=True)) | {"edema": "1", "grade": "", "split": "train"} == dict(
        zip(*report.lines[:2], strict=True)
    )


def test_a_byte_order_mark_other_columns_and_empty_lines_at_the_end_do_no_harm(cohort):
    header = [*HEADER, "secret_note"]
    lines = [",".join(header), *(",".join([*row, "secret"]) for row in cohort.rows())]
    report = cohort.check(raw=b"\xef\xbb\xbf" + "\r\n".join([*lines, "", ""]).encode())
    assert report.problems == ()
    assert report.notes == ("columns 8 are not kept: this book does not use them",)
    assert "secret" not in str(report.lines)


def test_a_cell_may_hold_a_line_break_and_rows_are_still_counted_as_records(cohort):
    rows = changed(cohort, 3, edema="7")
    header = [*HEADER, "remark"]
    assert cohort.problems(rows=[[*row, "two\nlines"] for row in rows], header=header) == [
        "row 3: edema: must be one of 0, 1"
    ]


def test_a_table_without_validation_part_is_accepted_and_said(cohort):
    report = cohort.check(rows=changed(cohort, 5, split="train"))
    assert report.problems == ()
    assert report.notes == ("no row has split 'val'",)


# every problem, by row


def test_every_problem_is_named_at_once_with_all_its_rows(cohort):
    rows = cohort.rows()
    rows[0][HEADER.index("edema")] = rows[1][HEADER.index("edema")] = rows[4][HEADER.index("edema")] = "maybe"
    rows[1][HEADER.index("path")] = "deep/secret.png"
    rows[3][HEADER.index("split")] = "valid"
    rows[5][HEADER.index("age")] = "secret"
    assert cohort.problems(rows=rows) == [
        "rows 2-3, 6: edema: must be one of 0, 1",
        "row 3: path: does not exist",
        "row 5: split: must be one of train, val, test",
        "row 7: age: must be years from 0 to 120, or empty",
    ]


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("", "is empty"),
        ("/etc/passwd", "must lie inside the folder beds, written with / and without '..'"),
        ("../secret.png", "must lie inside the folder beds, written with / and without '..'"),
        ("C:\\secret.png", "must lie inside the folder beds, written with / and without '..'"),
        ("deep\\secret.png", "must lie inside the folder beds, written with / and without '..'"),
        ("secret.png", "does not exist"),
        ("deep", "is not a file"),
        ("film01.png/secret", "does not exist"),
        ("hollow.png", "is an empty file"),
        ("lie.png", "is not what its ending .png says"),
        ("x" * 5000, "cannot be read|does not exist"),
    ],
)
def test_a_path_that_leads_to_no_image_is_named_by_row(cohort, path, said):
    (cohort.own / "beds" / "hollow.png").write_bytes(b"")
    (cohort.own / "beds" / "lie.png").write_bytes(b"<html>sign in</html>")
    assert cohort.problems(rows=changed(cohort, 4, path=path)) in [[f"row 4: path: {text}"] for text in said.split("|")]


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read every file")
def test_a_file_that_may_not_be_read_is_named_by_row(cohort):
    (cohort.own / "beds" / "film02.png").chmod(0)
    assert cohort.problems() == ["row 4: path: cannot be read"]


def test_one_file_in_several_rows_is_named_with_all_of_them(cohort):
    rows = changed(cohort, 4, path="film00.png")
    rows[4][0] = "./film00.png"
    assert cohort.problems(rows=rows) == ["rows 2, 4, 6: path: is the same file in all of these rows"]


def test_each_patient_on_two_sides_of_the_split_is_named_with_their_rows(cohort):
    rows = changed(cohort, 7, patient_id="Meier0")
    rows[3][1] = rows[4][1] = "Meier9"
    assert cohort.problems(rows=rows) == [
        "rows 2-3, 7: patient_id: is one patient on two sides of the split",
        "rows 5-6: patient_id: is one patient on two sides of the split",
    ]


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        ({"patient_id": ""}, "patient_id: is empty"),
        ({"patient_id": "  "}, "patient_id: is empty"),
        ({"split": ""}, "split: must be one of train, val, test"),
        ({"split": "Train"}, "split: must be one of train, val, test"),
        ({"edema": ""}, "edema: must be one of 0, 1"),
        ({"edema": "-1"}, "edema: must be one of 0, 1"),
        ({"edema": "nan"}, "edema: must be one of 0, 1"),
        ({"edema": "1e400"}, "edema: must be one of 0, 1"),
        ({"grade": "0"}, "grade: must be one of 1, 2, 3 or empty"),
        ({"sex": "female"}, "sex: must be one of F, M, O or empty"),
        ({"age": "-1"}, "age: must be years from 0 to 120, or empty"),
        ({"age": "nan"}, "age: must be years from 0 to 120, or empty"),
        ({"age": "121"}, "age: must be years from 0 to 120, or empty"),
    ],
)
def test_a_value_that_is_not_allowed_is_named_by_row_and_column(cohort, cells, said):
    assert f"row 3: {said}" in cohort.problems(rows=changed(cohort, 3, **cells))


def test_rows_that_are_empty_or_have_too_many_cells_are_named(cohort):
    rows = [*cohort.rows(), ["", "", "", "", "", "", ""], ["film05.png", "secret"], [*cohort.rows()[0], "secret"]]
    assert cohort.problems(rows=rows) == [
        "row 8: is empty",
        "row 9: has 2 cells, the header has 7",
        "row 10: has 8 cells, the header has 7",
    ]


def test_a_part_without_rows_and_a_required_column_without_values_are_named(cohort):
    rows = [[*row[:3], "", *row[4:]] for row in cohort.rows() if row[2] != "test"]
    assert cohort.problems(rows=rows) == ["age: is empty in every row", "split: no row has split 'test'"]


# the header


@pytest.mark.parametrize(
    ("header", "said"),
    [
        (["path", "patientid", *HEADER[2:]], ["row 1: patient_id: is missing; is it column 2?"]),
        (["path", "patient_id", "split", "years", *HEADER[4:]], ["row 1: age: is missing"]),
        ([*HEADER[:6], "edema"], ["row 1: columns 6, 7 have the same name"]),
        ([*HEADER[:5], "oedem", "x"], ["row 1: has no label column, expected some of edema, grade"]),
        (["Path", *HEADER[1:]], ["row 1: path: is missing; is it column 1?"]),
    ],
)
def test_a_wrong_header_is_named(cohort, header, said):
    assert cohort.problems(header=header) == said


def test_a_table_without_a_header_does_not_give_its_first_row_away(cohort):
    raw = "\n".join(",".join(row).replace("Meier", "patient_Meier") for row in cohort.rows())
    said = cohort.problems(raw=raw.encode())
    assert "row 1: path: is missing" in said
    assert cohort.check(raw=raw.encode()).notes == ()


def test_a_study_that_needs_a_label_makes_it_required(cohort):
    header, rows = HEADER[:6], [row[:6] for row in cohort.rows()]
    assert cohort.check(rows=rows, header=header).studies == ("34_ccan",)
    said = cohort.check(rows=rows, header=header, study="07_dp").problems
    assert [str(problem) for problem in said] == ["row 1: grade: is missing"]
    with pytest.raises(UnknownDataError, match=r"beds: states no labels for study '7_dp'; did you mean '07_dp'"):
        cohort.check(study="7_dp")


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"", ["the table is empty"]),
        (b" \n\n", ["the table is empty"]),
        (",".join(HEADER).encode(), ["has a header and no row that can be read"]),
        (";".join(HEADER).encode() + b"\n1;2;3;4;5;6;7\n", ["row 1: columns are separated by ';', expected ','"]),
        (
            "path,patient_id".encode("utf-16"),
            ["holds NUL bytes: save it as CSV in UTF-8, not as UTF-16 or as a workbook"],
        ),
        (b"path,patient_id\nM\xfcller,1\nok,2\n\xff,3\n", ["rows 2, 4: is not UTF-8: save the table as CSV in UTF-8"]),
    ],
    ids=["empty", "blank", "header only", "semicolons", "utf-16", "latin-1"],
)
def test_a_file_that_is_no_table_is_named(cohort, raw, said):
    assert cohort.problems(raw=raw) == said


def test_a_quote_that_is_never_closed_is_named_where_it_begins_to_hurt(cohort):
    raw = ",".join(HEADER) + "\n" + ",".join(cohort.rows()[0]) + '\n"film01.png,secret,train,1,F,0,3\n'
    assert any(
        line.startswith("row 3: cannot be read as CSV from here on") for line in cohort.problems(raw=raw.encode())
    )


# the registry


def test_a_table_with_problems_is_not_written_and_the_registered_one_stays(cohort):
    stored = register_table(cohort.check(), folder=cohort.own)
    before = stored.read_bytes()
    with pytest.raises(DataError, match="1 problems: nothing was imported"):
        register_table(cohort.check(rows=changed(cohort, 2, edema="9")), folder=cohort.own)
    assert stored.read_bytes() == before
    assert sorted(p.name for p in stored.parent.iterdir()) == ["beds.csv", "beds.json"]


def test_a_folder_that_cannot_be_written_is_one_line_and_leaves_nothing(cohort):
    (cohort.own / "cohort_tables").write_text("a file where a folder should be")
    with pytest.raises(DataError, match="beds: the table could not be stored") as caught:
        register_table(cohort.check(), folder=cohort.own)
    assert "\n" not in str(caught.value)
    assert sorted(p.name for p in cohort.own.iterdir()) == ["beds", "cohort_tables"]


def test_a_registered_table_that_was_altered_or_half_written_is_refused(cohort):
    with pytest.raises(DataError, match=r"no table is registered; check it with medrepro data import beds TABLE\.csv"):
        table_path("beds", folder=cohort.own)
    stored = register_table(cohort.check(), folder=cohort.own)
    note = stored.with_suffix(".json").read_text()
    stored.write_text(stored.read_text().replace("film00", "film01"))
    with pytest.raises(DataError, match="was altered since its import"):
        table_path("beds", folder=cohort.own)
    register_table(cohort.check(), folder=cohort.own)
    for broken in ("", "[]", "{}", note[:20]):
        stored.with_suffix(".json").write_text(broken)
        with pytest.raises(DataError, match="was altered since its import"):
            table_path("beds", folder=cohort.own)


def test_a_runs_key_changes_with_the_registered_table(cohort, monkeypatch):
    monkeypatch.setenv("MEDREPRO_DATA", str(cohort.own))
    keys = [data_hashes(["beds"])]
    for rows in (cohort.rows(), changed(cohort, 2, grade="1")):
        register_table(cohort.check(rows=rows))
        keys.append(data_hashes(["beds"]))
    assert len({key["beds"] for key in keys}) == 3
    assert registered_table(cohort.own, "beds").is_file()


def test_a_set_without_a_table_and_a_missing_folder_or_file_are_one_line(cohort, sets):
    plain = sets.write(sets.raw("plain"))
    with pytest.raises(UnknownDataError, match="plain: takes no table of yours"):
        check_table(plain, cohort.table(), folder=cohort.own)
    with pytest.raises(DataError, match="beds: no data folder is set"):
        check_table("beds", cohort.table())
    with pytest.raises(DataError, match="cannot be read: No such file"):
        check_table("beds", cohort.own / "none.csv", folder=cohort.own)


def test_rows_are_written_as_ranges():
    assert ranges([9, 2, 3, 4, 5, 3]) == "2-5, 9"
    assert ranges([]) == ""


def test_a_hundred_thousand_rows_are_checked_within_seconds(cohort):
    rows = [["film00.png", f"p{i}", "train", "60", "F", "0", ""] for i in range(100_000)]
    problems = cohort.check(rows=rows).problems
    assert [len(problem.rows) for problem in problems] == [0, 100_000]
