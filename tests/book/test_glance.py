"""The page of all results as text: complete, escaped, ordered; the landing page's example and counts."""

from __future__ import annotations

import re

import pytest
from bs4 import BeautifulSoup
from sample import part, sample_verdicts, verdict

from medrepro.stats.results import Estimate
from medrepro.study.criteria import Criterion
from medrepro.study.glance import fill_landing, glance_page
from medrepro.study.picture import allowed_range, in_words, interval_picture
from medrepro.study.verdicts import STATUSES


def rows():
    return [v.to_dict() for v in sample_verdicts()]


def page(verdicts=None, records=()):
    return BeautifulSoup(glance_page(rows() if verdicts is None else verdicts, records), "html.parser")


def test_every_claim_has_one_row_with_its_status_in_words():
    found = {
        row["id"]: row.select_one("td[data-label=Status] .mr-status").get_text() for row in page().select("tbody tr")
    }
    assert len(found) == len(rows())
    for row in rows():
        assert row["status"] in found[f"{row['study']}-{row['claim']}"]


def test_rows_follow_the_themes_and_c10_comes_after_c3():
    ids = [row["id"] for row in page().select("tbody tr")]
    assert ids == [
        "01_medddpm-C1",
        "01_medddpm-C2",
        "01_medddpm-C3",
        "34_ccan-C1",
        "34_ccan-C2",
        "34_ccan-C3",
        "34_ccan-C10",
    ]


def test_text_of_a_card_is_escaped_and_cannot_end_the_html_block():
    text = glance_page(rows())
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    inside = text[text.index('<div class="mr-glance">') : text.rindex("</div>")]
    assert not re.search(r"\n\s*\n", inside)


def test_a_row_shows_interval_n_unit_criterion_rung_scope_and_marks():
    row = page().find(id="34_ccan-C1").get_text(" ")
    wanted = ["0.050 [0.030, 0.070], n = 651 patients", "95 % interval > 0", "stand-in", "these models", "underpowered"]
    wanted += ["0.970 ± 0.008", "abstract", "needs data", "leans on: permuted"]
    assert not [text for text in wanted if text not in row]


def test_a_part_without_interval_shows_its_evidence_and_an_unmeasured_claim_a_dash():
    found = page()
    assert "9" in found.find(id="34_ccan-C3").select_one("td[data-label='This run measured']").get_text()
    assert found.find(id="01_medddpm-C2").select_one("td[data-label='This run measured']").get_text() == "–"


def test_a_record_is_shown_with_its_claim_only():
    record = {"study": "34_ccan", "preset": "real", "seeds": [0, 1, 2, 3, 4], "verdicts": rows()[:1]}
    found = page(records=[record])
    assert "recorded, real, 5 seeds" in found.find(id="34_ccan-C1").get_text()
    assert "recorded" not in found.find(id="34_ccan-C2").get_text()


def test_a_book_without_a_run_still_has_its_pages():
    assert "0 claims of 0 studies" in glance_page([])
    landing = fill_landing("{{counts}} {{example_verdict}}", [])
    assert "No study has been run" in landing
    assert "Illustration with made-up numbers" in landing


def test_the_example_of_the_landing_page_is_a_real_verdict_when_there_is_one():
    landing = fill_landing("{{counts}} {{example_verdict}}", rows())
    assert "Illustration" not in landing
    assert "chapters/34_ccan.html#verdicts" in landing
    assert "The whole interval lies above 0." in landing
    assert "7 claims of 2 studies" in landing


def test_a_landing_page_without_placeholders_stays_as_it_is():
    assert fill_landing("# Tiny\n", rows()) == "# Tiny\n"


def test_counts_add_up_to_the_number_of_claims():
    links = BeautifulSoup(fill_landing("{{counts}}", rows()), "html.parser").select("a")
    assert sum(int(link.b.get_text()) for link in links) == len(rows())
    assert [link.get_text(" ") for link in links if not any(s in link.get_text() for s in STATUSES)] == []


@pytest.mark.parametrize(
    ("criterion", "allowed"),
    [
        (Criterion("", "q", "greater", -0.02), (-0.02, float("inf"))),
        (Criterion("", "q", "less", 1e-6, 0.9833), (float("-inf"), 1e-6)),
        (Criterion("", "q", "within", (-1.0, 2.5)), (-1.0, 2.5)),
    ],
)
def test_the_picture_shows_what_a_criterion_allows(criterion, allowed):
    assert allowed_range(vars(part(criterion, 1.0, 0.5))) == allowed


def test_a_check_and_an_undefined_interval_have_no_picture():
    assert allowed_range({"allowed": None}) is None
    above = Criterion("", "q", "greater", 0.0)
    undefined = Estimate(float("nan"), float("nan"), float("nan"), note="one class").to_dict()
    bare = vars(part(above, 1.0, 0.5)) | {"estimate": undefined, "status": "undecided"}
    assert interval_picture(bare) == ""
    assert interval_picture(vars(part(above, 1.0, 0.5)) | {"estimate": None}) == ""


@pytest.mark.parametrize(
    ("op", "bound", "value", "words"),
    [
        ("greater", 0.0, 1.0, "the whole interval lies above 0"),
        ("greater", 0.0, -1.0, "the whole interval lies below 0"),
        ("less", 0.0, -1.0, "the whole interval lies below 0"),
        ("less", 0.0, 1.0, "the whole interval lies above 0"),
        ("greater", 0.0, 0.1, "the interval crosses 0"),
        ("within", (-1.0, 1.0), 0.0, "the whole interval lies between -1 and 1"),
        ("within", (-1.0, 1.0), 5.0, "the whole interval lies outside -1 and 1"),
    ],
)
def test_words_and_picture_agree_with_the_verdict(op, bound, value, words):
    row = vars(part(Criterion("", "q", op, bound), value, 0.5))
    assert in_words(row) == words
    picture = BeautifulSoup(interval_picture(row), "html.parser")
    shade = picture.select_one(".mr-allowed")
    left, right = float(shade["x"]), float(shade["x"]) + float(shade["width"])
    low, high = map(float, re.match(r"M([\d.]+) [\d.]+H([\d.]+)", picture.select_one(".mr-bar")["d"]).groups())
    inside = left <= low and high <= right
    outside = high <= left or low >= right
    assert (inside, outside) == (row["status"] == "holds", row["status"] == "fails")


def test_an_interval_without_an_end_is_drawn_to_the_edge():
    endless = Estimate(1.0, 0.5, float("inf")).to_dict()
    row = vars(part(Criterion("", "q", "greater", 0.0), 1.0, 0.5)) | {"estimate": endless}
    assert "inf" not in interval_picture(row)
    assert "nan" not in interval_picture(row)


def test_an_unknown_theme_sorts_last_and_is_not_lost():
    extra = verdict("C1", "holds", study="00_new", theme="new").to_dict()
    ids = [row["id"] for row in page([extra, *rows()]).select("tbody tr")]
    assert ids[-1] == "00_new-C1"
