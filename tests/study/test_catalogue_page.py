"""The catalogue as a page: complete, escaped, the same on every machine; its filters and ticks in a browser."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from bs4 import BeautifulSoup
from selenium import webdriver

from medrepro.data import manifests
from medrepro.study.card import load_card, study_ids
from medrepro.study.catalogue_page import catalogue_page, comes_by_itself

STATIC = Path(__file__).parents[2] / "book" / "_static"
DIGEST = "0" * 64


def manifest(place, name, **changes):
    made = {
        "name": name, "title": f"title of {name}", "access": "open", "licence": "CC BY 4.0", "citation": "Nobody 2024",
        "obtain": f"ask for {name}", "units": "patient", "traps": ["a trap"], "used_by": ["01_tiny"],
        "files": [{"path": "a.csv", "sha256": DIGEST, "bytes": 1500000}],
    } | changes  # fmt: skip
    (place / f"{name}.yaml").write_text(yaml.safe_dump({k: v for k, v in made.items() if v is not None}))


@pytest.fixture
def sets(tiny):
    """Four sets: one that is fetched, two of the user's, one model."""
    folder = tiny.root / "data_manifests"
    fetched = [{"path": "a.csv", "sha256": DIGEST, "bytes": 1500000, "sources": [{"url": "https://x.org/a"}]}]
    manifest(folder, "fetched", files=fetched)
    manifest(folder, "mine", title="<script>alert(1)</script> & co", traps=["one\n\ntwo"])
    manifest(folder, "cohort", access="private", files=None, folder="cohort", layout="images", used_by=["02_other"])
    manifest(folder, "weights", kind="model", access="registration", used_by=["01_tiny", "handbook_page"])
    return folder


def cards():
    data = {"embedded": (), "real": ("fetched",), "open": ("fetched", "mine"), "paper": ("mine", "cohort")}
    return [SimpleNamespace(id="01_tiny", title="A tiny study", data=data)]


def page():
    return BeautifulSoup(catalogue_page(cards()), "html.parser")


def test_every_manifest_of_the_book_has_one_row_with_its_facts():
    found = BeautifulSoup(catalogue_page([load_card(study) for study in study_ids()]), "html.parser")
    rows = {row["id"]: row for row in found.select("#mr-sets tbody tr")}
    assert sorted(rows) == manifests.names()
    for name, row in rows.items():
        loaded = manifests.load(name)
        text = " ".join(row.get_text(" ").split())
        for part in (loaded.title, loaded.licence, loaded.access, loaded.citation, *loaded.traps):
            assert part in text, f"{name}: {part}"
        assert row["data-studies"].split() == list(loaded.used_by)


def test_the_page_is_the_same_whatever_data_lie_on_the_machine(sets, monkeypatch, tmp_path):
    before = catalogue_page(cards())
    (tmp_path / "cohort").mkdir()
    monkeypatch.setenv("MEDREPRO_DATA", str(tmp_path))
    assert catalogue_page(cards()) == before


def test_text_of_a_manifest_is_escaped_and_cannot_end_the_html_block(sets):
    text = catalogue_page(cards())
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    inside = text[text.index('<div class="mr-glance') : text.rindex("</div>")]
    assert not re.search(r"\n\s*\n", inside)


def test_a_preset_says_what_it_needs_and_what_comes_by_itself(sets):
    lines = {line.code.get_text(): " ".join(line.get_text(" ").split()) for line in page().select("[data-needs]")}
    assert lines["embedded"] == "embedded runs without data of yours"
    assert lines["real"] == "real runs without data of yours (fetched by itself: fetched)"
    assert lines["open"] == "open needs mine (fetched by itself: fetched)"
    assert lines["paper"] == "paper needs mine , cohort"


def test_links_lead_to_rows_and_to_chapters_that_exist(sets):
    found = page()
    ids = {tag["id"] for tag in found.select("[id]")}
    for link in found.select("a[href^='#']"):
        assert link["href"][1:] in ids
    assert {a["href"] for a in found.select("#mr-sets a")} == {"../chapters/01_tiny.html"}
    assert found.find(id="cohort").select_one("td[data-label='Named by'] span")["title"] == "02 other"


def test_what_comes_by_itself_needs_no_tick(sets):
    found = page()
    assert found.find(id="fetched").input is None
    assert "medrepro data fetch fetched" in found.find(id="fetched").get_text()
    assert found.find(id="mine").input["value"] == "mine"
    assert comes_by_itself(manifests.load("fetched"))
    assert not comes_by_itself(manifests.load("cohort"))


def test_sizes_counts_and_digests_are_in_the_facts(sets):
    facts = page().find(id="mine").get_text(" ")
    assert "size: 1.5 MB" in facts
    assert f"a.csv: SHA256 {DIGEST}" in facts
    assert "1 private" in " ".join(page().select_one(".mr-legend").get_text(" ").split())


@pytest.fixture
def browser(sets, tmp_path):
    """The page with its script and style, without the rest of the book, in Chromium."""
    chromium, chromedriver = shutil.which("chromium") or shutil.which("google-chrome"), shutil.which("chromedriver")
    if not chromium or not chromedriver:
        pytest.skip("needs chromium and chromedriver, which are not installed here")
    text = catalogue_page(cards())
    style, script = (STATIC / name for name in ("catalogue.css", "catalogue.js"))
    body = text[text.index('<div class="mr-glance') :]
    head = f"<!doctype html><meta charset=utf-8><style>{style.read_text()}</style>"
    (tmp_path / "page.html").write_text(f"{head}{body}<script>{script.read_text()}</script>")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in ("--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'chromium'}"):
        options.add_argument(flag)
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(chromedriver))
    try:
        driver.get((tmp_path / "page.html").as_uri())
        yield driver
    finally:
        driver.quit()


def shown(driver):
    return driver.execute_script(
        "return [...document.querySelectorAll('#mr-sets tbody tr')].filter(r => !r.hidden).map(r => r.id)"
    )


def test_filters_and_ticks_work_in_a_browser(browser):
    def choose(name, value):
        browser.execute_script(
            "const f = document.querySelector('.mr-filter'); f.elements[arguments[0]].value = arguments[1];"
            "f.dispatchEvent(new Event('input'))", name, value,
        )  # fmt: skip

    def ready(preset):
        return browser.execute_script(
            "return [...document.querySelectorAll('[data-needs]')].find(l => l.querySelector('code').textContent ==="
            " arguments[0]).querySelector('.mr-ready').textContent", preset,
        )  # fmt: skip

    assert shown(browser) == ["cohort", "fetched", "mine", "weights"]
    choose("study", "02_other")
    assert shown(browser) == ["cohort"]
    choose("study", "")
    choose("access", "open")
    choose("text", "ALERT traps")
    assert shown(browser) == ["mine"]
    choose("text", "")
    choose("access", "")
    choose("kind", "model")
    assert shown(browser) == ["weights"]
    choose("kind", "")
    choose("have", "yes")
    assert shown(browser) == ["fetched"]
    choose("have", "")
    browser.find_element("css selector", "#mine input").click()
    assert ready("open") == "runs with what you have"
    assert ready("paper") == "needs mine (yours), cohort"
    browser.refresh()
    assert ready("open") == "runs with what you have", "ticks are kept"
    browser.find_element("css selector", "#mine input").click()
    assert ready("open").startswith("needs mine")
