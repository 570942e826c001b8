"""Manifests: what is accepted, and what a mistake is answered with."""

from __future__ import annotations

import pytest

from medrepro import locations
from medrepro.data import DataError, UnknownDataError
from medrepro.data.manifests import load, names


def test_every_manifest_of_the_project_is_valid_and_complete():
    assert {"lidc_annotations", "openi_reports", "minilm", "pathmnist_224", "tcga_nsclc", "tcga_rcc"} <= set(names())
    for name in names():
        manifest = load(name)
        assert manifest.traps, f"{name} states no trap"
        for file in manifest.files:
            assert file.sha256 or file.md5


def test_the_manifests_are_found_beside_the_checkout():
    assert locations.manifests_dir().name == "data_manifests"


def test_an_unknown_data_set_is_answered_with_the_nearest_name(sets):
    sets.write(sets.raw())
    with pytest.raises(UnknownDataError, match="unknown data set 'sampel'; did you mean 'sample'"):
        load("sampel")


def test_an_unknown_file_of_a_data_set_is_answered_with_the_nearest_name(sets):
    with pytest.raises(UnknownDataError, match=r"sample has no file 'b.csv'; did you mean 'a.csv'"):
        load(sets.write(sets.raw())).file("b.csv")


def test_a_file_must_be_named_when_there_are_several(sets):
    raw = sets.raw()
    raw["files"].append({**raw["files"][0], "path": "b.csv"})
    with pytest.raises(UnknownDataError, match=r"sample has 2 files: name one of a.csv, b.csv"):
        load(sets.write(raw)).file()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lisence": "CC0"}, r"sample.yaml: lisence: unknown key; did you mean 'licence'"),
        ({"licence": None}, r"sample.yaml: licence: is missing"),
        ({"licence": ""}, r"sample.yaml: licence: must be text"),
        ({"access": "free"}, r"sample.yaml: access: must be one of open, registration, credentialed, private"),
        ({"counts": {"patients": "many"}}, r"sample.yaml: counts: must map names to whole numbers"),
        ({"traps": "one"}, r"sample.yaml: traps: must be a list"),
        ({"files": []}, r"sample.yaml: files: give either files or the user's folder, got neither"),
        ({"folder": "x"}, r"sample.yaml: files: .* got both"),
        ({"file": {"sha256": "abc"}}, r"files\[0\].sha256: must be 64 lower-case hexadecimal digits, got 'abc'"),
        ({"file": {"sha256": None}}, r"files\[0\].sha256: is missing"),
        ({"file": {"bytes": -1}}, r"files\[0\].bytes: must be a whole number of bytes"),
        ({"file": {"path": "../a.csv"}}, r"files\[0\].path: must be a relative path without '..'"),
        ({"file": {"user_path": "/etc/passwd"}}, r"files\[0\].user_path: must be a relative path"),
        ({"file": {"sha265": "0"}}, r"files\[0\].sha265: unknown key; did you mean 'sha256'"),
        ({"file": {"sources": [{"uri": "x"}]}}, r"files\[0\].sources\[0\]: must be \{url: ...\} or"),
        ({"file": {"sources": [{"url": "ftp://x"}]}}, r"sources\[0\].url: must start with https://"),
        ({"file": {"sources": [{"pypi": "pylidc", "member": "a"}]}}, r"sources\[0\].pypi: must be pinned"),
    ],
)
def test_a_wrong_manifest_names_file_and_key(sets, changes, message):
    name = sets.write(sets.raw(**changes))
    with pytest.raises(DataError, match=message):
        load(name)


def test_a_manifest_under_another_name_is_refused(sets):
    sets.write(sets.raw(), stem="other")
    with pytest.raises(DataError, match=r"other.yaml: name: must equal the file's name 'other', got 'sample'"):
        load("other")


def test_broken_yaml_is_one_line(sets):
    (sets.folder / "broken.yaml").write_text("name: [unclosed")
    with pytest.raises(DataError, match=r"broken.yaml: is not valid YAML") as caught:
        load("broken")
    assert "\n" not in str(caught.value)
