"""Report texts: parsing of the archive, sentences, and the bags made of them."""

from __future__ import annotations

import io
import os
import tarfile

import numpy as np
import pandas as pd
import pytest

from medrepro.data import DataError
from medrepro.data.openi import FINDINGS, distinct_sentences, load_reports, report_sentences, split_sentences
from medrepro.data.report_bags import make_bags, split_reports

REPORT = """<?xml version="1.0"?>{doctype}<eCitation><uId id="CXR1"/><MedlineCitation><Article><Abstract>
<AbstractText Label="INDICATION">Cough</AbstractText><AbstractText Label="FINDINGS">{findings}</AbstractText>
<AbstractText Label="IMPRESSION">No acute disease.</AbstractText></Abstract></Article></MedlineCitation></eCitation>"""


def archive(path, *texts):
    with tarfile.open(path, "w:gz") as out:
        for number, text in enumerate(texts):
            info = tarfile.TarInfo(f"ecgen-radiology/{number + 1}.xml")
            content = text.encode()
            info.size = len(content)
            out.addfile(info, io.BytesIO(content))


def files(folder, *texts):
    archive(folder / "reports.tgz", *texts)
    (folder / "labels.csv").write_text("filename," + ",".join(FINDINGS) + ",normal\nCXR1" + ",0" * 14 + ",1\n")
    (folder / "test.txt").write_text("CXR1\n")
    names = {"NLMCXR_reports.tgz": "reports.tgz", "openi_gld_std14.csv": "labels.csv", "openi-testset.txt": "test.txt"}
    return {name: folder / made for name, made in names.items()}


def test_entities_in_a_report_are_refused(tmp_path):
    bomb = '<!DOCTYPE x [<!ENTITY a "aaaaaaaa"><!ENTITY b "&a;&a;&a;">]>'
    with pytest.raises(DataError, match=r"1.xml is not a plain XML report: EntitiesForbidden"):
        load_reports(files(tmp_path, REPORT.format(doctype=bomb, findings="&b;")))


def test_a_broken_archive_is_a_data_error(tmp_path):
    made = files(tmp_path, REPORT.format(doctype="", findings="Clear."))
    whole = made["NLMCXR_reports.tgz"].read_bytes()
    made["NLMCXR_reports.tgz"].write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="is not a readable archive"):
        load_reports(made)


def test_a_report_of_unlikely_size_is_refused(tmp_path):
    with pytest.raises(DataError, match="bytes, allowed are"):
        load_reports(files(tmp_path, REPORT.format(doctype="", findings="a" * 2**21)))


def test_other_counts_than_the_manifest_are_refused(tmp_path):
    with pytest.raises(DataError, match="openi_reports: 1 reports were loaded, expected 3955"):
        load_reports(files(tmp_path, REPORT.format(doctype="", findings="Clear.")))


def test_labels_without_a_report_are_named(tmp_path):
    made = files(tmp_path, REPORT.format(doctype="", findings="Clear.").replace("CXR1", "CXR9"))
    with pytest.raises(DataError, match="1 labelled reports are not in the archive, first CXR1"):
        load_reports(made)


def test_sentences_are_verbatim_and_list_numbers_fall_away():
    text = "1. Heart size is 12.5 cm. No effusion.  2. XXXX is clear! Is it? Yes"
    assert split_sentences(text) == ["Heart size is 12.5 cm.", "No effusion.", "XXXX is clear!", "Is it?", "Yes"]
    assert split_sentences("") == []


@pytest.fixture(scope="module")
def table():
    """A table like the real one: 400 reports, each with sentences of its own; 60 have an effusion."""
    rng = np.random.default_rng(0)
    rows = [
        {"report_id": f"CXR{i}", "findings": f"Finding {i}. Word {rng.integers(9)}.", "impression": f"Seen {i}."}
        for i in range(400)
    ]
    made = pd.DataFrame(rows).assign(**dict.fromkeys(FINDINGS, 0))
    made.loc[::7, "Effusion"] = 1
    return made


@pytest.fixture(scope="module")
def vectors(table):
    return np.random.default_rng(1).normal(size=(len(distinct_sentences(table)), 5)).astype(np.float32)


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_a_positive_bag_holds_exactly_one_report_with_the_finding(table, vectors, split):
    bags = make_bags(table, vectors, "Effusion", 40, split=split, reports_per_bag=5, seed=0)
    positive = table["Effusion"].to_numpy() == 1
    assert bags.labels.sum() == 20
    for label, report, evidence, features in zip(bags.labels, bags.report, bags.evidence, bags.features, strict=True):
        assert len(set(report)) == 5
        assert positive[list(set(report))].sum() == label
        assert (positive[report] == evidence).all()
        assert len(features) == len(report) == len(evidence)


def test_a_row_is_the_embedding_of_its_sentence(table, vectors):
    place = {s: i for i, s in enumerate(distinct_sentences(table))}
    sentences = report_sentences(table)
    bags = make_bags(table, vectors, "Effusion", 4, reports_per_bag=5, seed=0)
    report = bags.report[0]
    order = report[np.sort(np.unique(report, return_index=True)[1])]
    expected = [vectors[place[s]] for r in order for s in sentences[r]]
    assert np.array_equal(bags.features[0], expected)


def test_the_parts_share_no_report_and_no_text_and_do_not_depend_on_the_seed(table, vectors):
    table = pd.concat([table, table.iloc[:40].assign(report_id="copy")], ignore_index=True)
    part = split_reports(table)
    assert set(part) == {"train", "val", "test"}
    texts = table["findings"] + table["impression"]
    assert (texts.groupby(texts).apply(lambda t: len(set(part[t.index]))) == 1).all()
    seen = {}
    for split in ("train", "val", "test"):
        rows = [
            make_bags(table, vectors, "Effusion", 40, split=split, reports_per_bag=5, seed=seed).report
            for seed in (0, 1)
        ]
        seen[split] = {r for bags in rows for bag in bags for r in bag}
        assert all(part[r] == split for r in seen[split])
    assert not seen["train"] & seen["test"]


def test_test_bags_of_different_blocks_share_no_report(table, vectors):
    bags = make_bags(table, vectors, "Effusion", 60, split="test", reports_per_bag=5, seed=0)
    owner = {}
    for block, report in zip(bags.block, bags.report, strict=True):
        for r in set(report):
            assert owner.setdefault(r, block) == block
    assert len(set(bags.block)) > 5
    assert set(make_bags(table, vectors, "Effusion", 10, reports_per_bag=5, seed=0).block) == {-1}


def test_equal_seeds_give_equal_bags_and_others_do_not(table, vectors):
    one, two, other = (make_bags(table, vectors, "Effusion", 10, reports_per_bag=5, seed=s) for s in (3, 3, 4))
    assert all(np.array_equal(a, b) for a, b in zip(one.report, two.report, strict=True))
    assert any(not np.array_equal(a, b) for a, b in zip(one.report, other.report, strict=True))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"finding": "effusion"}, "finding must be one of Atelectasis"),
        ({"finding": "Hernia"}, "must hold reports with Hernia"),
        ({"n_bags": 3}, "n_bags must be an even number >= 2, got 3"),
        ({"split": "dev"}, "split must be train, val or test, got 'dev'"),
        ({"reports_per_bag": 1}, "reports_per_bag must be >= 2, got 1"),
        ({"reports_per_bag": 500}, "must hold reports with Effusion and 500 without it"),
        ({"embeddings": np.zeros((3, 5))}, r"embeddings must have shape \(\d+, d\), got \(3, 5\)"),
    ],
)
def test_a_wrong_request_for_bags_is_named(table, vectors, change, message):
    arguments = {"embeddings": vectors, "finding": "Effusion", "n_bags": 4, "reports_per_bag": 5, "seed": 0, **change}
    with pytest.raises(ValueError, match=message):
        make_bags(table, **arguments)


@pytest.fixture(scope="module")
def reports():
    if not os.environ.get("MEDREPRO_DATA"):
        pytest.skip("the reports are not redistributable: set MEDREPRO_DATA to a folder that holds openi_iu_cxr")
    return load_reports()


def test_the_real_reports_have_the_published_counts(reports):
    assert len(reports) == 3826
    assert reports[["Effusion", "Cardiomegaly"]].sum().tolist() == [153, 345]
    both = (reports["findings"] != "") & (reports["impression"] != "")
    assert both.sum() == 3331
    part = pd.Series(split_reports(reports)).value_counts()
    assert part.to_dict() == {"train": 2200, "test": 1226, "val": 400}


def test_the_real_sentences_are_parts_of_the_reports_as_published(reports):
    for text, sentences in zip(
        reports["findings"] + " " + reports["impression"], report_sentences(reports), strict=True
    ):
        assert all(sentence in text for sentence in sentences)
    per_bag = 20 * np.mean([len(s) for s in report_sentences(reports)])
    assert 100 < per_bag < 130
