"""The catalogue in the rendered book: in its place, complete without scripts, readable, filtered, ticked."""

from __future__ import annotations

import pytest
from test_browser import _EFFECTIVE_CONTRAST

from medrepro.data import manifests

PAGE = "data/catalogue.html"
_TEXT = (
    ".mr-catalogue :is(li, p, small, code, a, span, label, select, button, caption, th, td, summary, strong, b, output)"
)
_ROWS = "[...document.querySelectorAll('#mr-sets tbody tr')]"


@pytest.fixture
def page(browser):
    """The catalogue on a wide screen, with nothing ticked."""
    browser.size(1280, 800)
    browser.open(PAGE)
    browser.run("localStorage.removeItem('medrepro-have')")
    browser.open(PAGE)
    return browser


def shown(browser) -> list[str]:
    return browser.run(f"return {_ROWS}.filter((r) => r.getClientRects().length).map((r) => r.id)")


def choose(browser, name: str, value: str) -> None:
    browser.run(
        "const f = document.querySelector('.mr-catalogue .mr-filter').elements[arguments[0]]; f.value = arguments[1];"
        "f.dispatchEvent(new Event('input', {bubbles: true}))",
        name,
        value,
    )


def test_the_navigation_leads_to_the_catalogue_and_it_to_the_guide(page):
    assert page.run("return [...document.querySelectorAll('nav a.current, nav .current > a')].length") > 0
    links = page.run("return [...document.querySelectorAll('article a')].map((a) => a.getAttribute('href'))")
    assert "../guides/data.html" in links


def test_a_row_for_every_manifest_is_shown_and_fits_its_width(page):
    for width in (1280, 1000, 360):
        page.size(width, 800)
        page.open(PAGE)
        assert shown(page) == manifests.names()
        # Of the table and of each row and cell: what is cut off is not readable, on a phone as on a screen.
        cut = page.run(
            "return [...document.querySelectorAll('.mr-catalogue .mr-scroll, #mr-sets tbody :is(tr, td)')]"
            ".filter((e) => e.scrollWidth > e.clientWidth + 1).map((e) => e.textContent.trim().slice(0, 60))"
        )
        assert not cut, f"at {width}: {cut[:5]}"
        assert page.run("return document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("mode", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_its_text_reaches_a_contrast_of_4_5_with_all_details_open(browser, mode, width):
    browser.size(width, 800)
    browser.open(PAGE, mode)
    browser.run("for (const d of document.querySelectorAll('.mr-catalogue details')) d.open = true")
    found = browser.run(_EFFECTIVE_CONTRAST, _TEXT)
    assert len(found) > 10 * len(manifests.names())
    assert not [f"{name} {ratio:.2f}" for name, ratio in found if ratio < 4.5][:10]


def test_filters_by_access_and_study_agree_with_the_manifests(page):
    sets = [manifests.load(name) for name in manifests.names()]
    for access in manifests.ACCESS:
        choose(page, "access", access)
        assert shown(page) == [m.name for m in sets if m.access == access] != []
    choose(page, "study", "07_dp_fairness")
    choose(page, "access", "private")
    both = [m.name for m in sets if m.access == "private" and "07_dp_fairness" in m.used_by]
    assert shown(page) == both != []
    page.run("document.querySelector('.mr-catalogue .mr-filter button[type=reset]').click()")
    page.driver.execute_async_script("setTimeout(arguments[0], 50)")
    assert shown(page) == manifests.names()


def test_a_link_can_ask_for_the_sets_of_one_study(browser):
    browser.size(1280, 800)
    browser.open(f"{PAGE}?study=34_ccan#all-sets")
    assert shown(browser) == [n for n in manifests.names() if "34_ccan" in manifests.load(n).used_by] != []


def test_a_tick_changes_what_can_be_run_and_is_kept(page):
    def ready():
        return page.run(
            "return [...document.querySelectorAll('.mr-catalogue [data-needs]')].filter((l) => l.dataset.needs)"
            ".map((l) => [l.dataset.needs.split(' '), l.querySelector('.mr-ready').textContent])"
        )

    before = ready()
    assert before
    assert all(text.startswith("needs ") for _, text in before)
    needs = before[0][0]
    for name in needs:
        page.run("document.querySelector(`#${arguments[0]} input`).click()", name)
    assert {text for lacking, text in ready() if lacking == needs} == {"runs with what you have"}
    assert page.run("return JSON.parse(localStorage.getItem('medrepro-have'))") == sorted(needs)
    page.run("localStorage.removeItem('medrepro-have')")


def test_a_tick_box_is_reached_and_set_by_the_keyboard(page):
    page.run("document.querySelector('#busi input').focus()")
    assert page.run("return document.activeElement.getAttribute('aria-label')") == "I have busi"
    page.driver.switch_to.active_element.send_keys(" ")
    assert page.run("return document.querySelector('#busi input').checked")
    page.run("localStorage.removeItem('medrepro-have')")


def test_without_scripts_all_rows_are_there_and_nothing_that_would_do_nothing(browser):
    browser.size(1280, 800)
    browser.scripts(allowed=False)
    try:
        browser.driver.get(f"{browser.book.as_uri()}/{PAGE}")
    finally:
        browser.scripts(allowed=True)
    assert shown(browser) == manifests.names()
    dead = browser.run(
        "return [...document.querySelectorAll('.mr-catalogue :is(input, select, button)')]"
        ".filter((e) => e.getClientRects().length).length"
    )
    assert dead == 0
    assert browser.run("return document.querySelector('.mr-catalogue .mr-hint').getClientRects().length") == 0
