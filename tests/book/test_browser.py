"""The pages in a browser: requests, width of a phone, contrast, filter and sort."""

from __future__ import annotations

import pytest

_EFFECTIVE_CONTRAST = """
const rgba = (text) => {
  const n = text.match(/[\\d.]+/g).map(Number);
  return [n[0], n[1], n[2], n.length > 3 ? n[3] : 1];
};
const over = (a, b) => [0, 1, 2].map((i) => a[i] * a[3] + b[i] * (1 - a[3])).concat(1);
const light = (c) => {
  const [r, g, b] = c.map((x) => (x / 255 <= 0.04045 ? x / 255 / 12.92 : ((x / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const ground = (element) => {
  const layers = [];
  for (let e = element; e; e = e.parentElement) layers.push(rgba(getComputedStyle(e).backgroundColor));
  return layers.reverse().reduce((below, layer) => over(layer, below), [255, 255, 255, 1]);
};
const out = [];
for (const element of document.querySelectorAll(arguments[0])) {
  const own = [...element.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
  if (!own || !element.getClientRects().length || getComputedStyle(element).fontSize === "0px") continue;
  const below = ground(element);
  const [a, b] = [light(over(rgba(getComputedStyle(element).color), below)), light(below)];
  const name = element.className + ": " + element.textContent.trim().slice(0, 40);
  out.push([name, (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)]);
}
return out;
"""
_TEXT = (
    ".mr-status, .mr-status span, .mr-rung, .mr-underpowered, .mr-number, .mr-table td, .mr-table th, .mr-table small,"
    ".mr-table caption, .mr-table th button, .mr-table summary, .mr-table li, .mr-example *, .mr-doors *, .eqno,"
    ".mr-ways span, .mr-figure figcaption, .mr-figure summary, .mr-filter label, .mr-filter select, .mr-shown"
)
_ROWS = "[...document.querySelectorAll('#mr-results tbody tr')]"


@pytest.fixture
def chapter(built_book):
    """A chapter with a figure."""
    found = sorted(p for p in (built_book / "chapters").glob("*.html") if "mr-figure" in p.read_text(encoding="utf-8"))
    assert found
    return f"chapters/{found[0].name}"


@pytest.fixture
def everything(built_book):
    return sorted(p.relative_to(built_book).as_posix() for p in built_book.rglob("*.html") if "_static" not in p.parts)


def test_a_browser_asks_no_other_host(browser, everything):
    browser.size(1280, 800)
    browser.requested()
    asked = set()
    for page in everything:
        browser.open(page)
        asked |= browser.requested()
    assert any(address.endswith("medrepro.css") or "medrepro.css?" in address for address in asked)
    assert not sorted(a for a in asked if not a.startswith(("file:", "data:", "blob:", "about:", "chrome:")))


def test_no_page_scrolls_sideways_on_a_phone(browser, everything):
    browser.size(360, 740)
    wide = {}
    for page in everything:
        browser.open(page)
        width = browser.run("return document.documentElement.scrollWidth")
        if width > 360:
            wide[page] = width
    assert not wide


@pytest.mark.parametrize("mode", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_text_of_badges_and_tables_reaches_a_contrast_of_4_5(browser, chapter, mode, width):
    browser.size(width, 800)
    pale, n_seen = [], 0
    for page in ("index.html", "results.html", "guides/verdicts.html", chapter):
        browser.open(page, mode)
        assert browser.run("return document.documentElement.dataset.theme") == mode
        found = browser.run(_EFFECTIVE_CONTRAST, _TEXT)
        n_seen += len(found)
        pale += [f"{page}: {name} {ratio:.2f}" for name, ratio in found if ratio < 4.5]
    assert n_seen > 60
    assert not pale


def test_the_landing_page_says_what_matters_on_one_screen(browser):
    browser.size(1280, 800)
    browser.open("index.html")
    bottoms = browser.run(
        "return ['h1', '.mr-counts', '.mr-example', '.mr-outcome', '.mr-doors']"
        ".map((s) => [s, document.querySelector('article ' + s).getBoundingClientRect().bottom])"
    )
    assert not [(name, bottom) for name, bottom in bottoms if bottom > 800]


def shown(browser) -> list[str]:
    return browser.run(f"return {_ROWS}.filter((r) => !r.hidden).map((r) => r.id)")


def choose(browser, name: str, value: str) -> None:
    browser.run(
        "const f = document.querySelector('.mr-filter').elements[arguments[0]]; f.value = arguments[1];"
        "f.dispatchEvent(new Event('input', {bubbles: true}))",
        name,
        value,
    )


def test_the_table_is_filtered_by_status_rung_study_and_text(browser):
    browser.size(1280, 800)
    browser.open("results.html")
    everything = shown(browser)
    for name in ("status", "rung", "study"):
        for value in browser.run(
            f"return [...document.querySelector('.mr-filter').elements.{name}.options].map((o) => o.value)"
        )[1:]:
            choose(browser, name, value)
            ids = shown(browser)
            expected = browser.run(
                f"return {_ROWS}.filter((r) => r.dataset.{name} === arguments[0]).map((r) => r.id)",
                value,
            )
            assert ids == expected != []
        choose(browser, name, "")
    texts = browser.run(f"return {_ROWS}.map((r) => [r.id, r.textContent.toLowerCase()])")
    words = browser.run(
        "return document.querySelector('#mr-results tbody tr:last-child td[data-label=Claim]').textContent"
    )
    choose(browser, "text", words.upper())
    assert shown(browser) == [row for row, text in texts if all(word in text for word in words.lower().split())] != []
    choose(browser, "text", "no such words anywhere")
    assert shown(browser) == []
    assert browser.run("return !document.querySelector('.mr-none').hidden")
    browser.run("document.querySelector('.mr-reset').click()")
    browser.driver.execute_async_script("setTimeout(arguments[0], 50)")
    assert shown(browser) == everything


def test_a_link_can_ask_for_one_status(browser):
    browser.open("results.html?status=holds#all-claims")
    statuses = browser.run(f"return {_ROWS}.filter((r) => !r.hidden).map((r) => r.dataset.status)")
    assert set(statuses) == {"holds"}


def test_a_column_sorts_both_ways_and_says_so(browser):
    browser.open("results.html")
    n_columns = browser.run("return document.querySelectorAll('#mr-results thead th').length")
    for column in range(n_columns):
        for direction in ("ascending", "descending"):
            header = f"document.querySelectorAll('#mr-results thead th')[{column}]"
            browser.run(f"{header}.querySelector('button').click()")
            assert browser.run(f"return {header}.getAttribute('aria-sort')") == direction
            assert browser.run("return document.querySelectorAll('#mr-results [aria-sort]').length") == 1
            keys = browser.run(f"return {_ROWS}.map((r) => r.cells[{column}].dataset.sort)")
            try:
                values = [float(key) for key in keys]
            except ValueError:
                assert (keys[0] <= keys[-1]) if direction == "ascending" else (keys[0] >= keys[-1])
            else:
                assert values == sorted(values, reverse=direction == "descending")


def test_claims_sort_by_number_not_by_letter(browser):
    browser.open("results.html")
    browser.run("document.querySelector('#mr-results th[data-key=claim] button').click()")
    keys = browser.run(
        "return [...document.querySelectorAll('#mr-results td[data-label=Claim]')].map((c) => c.dataset.sort)"
    )
    assert keys == sorted(keys, key=lambda key: int("".join(c for c in key if c.isdigit()) or 0))


def test_500_claims_are_filtered_in_a_tenth_of_a_second(browser):
    browser.size(1280, 800)
    # Copies of the page's own rows, put in before its script runs, make a table of 500.
    grow = """document.addEventListener('DOMContentLoaded', () => {
      const body = document.querySelector('#mr-results tbody'); if (!body) return;
      const rows = [...body.rows];
      while (body.rows.length < 500) {
        const copies = rows.map((row) => row.cloneNode(true));
        copies.forEach((copy, k) => (copy.id += body.rows.length + k));
        body.append(...copies);
      }
    })"""
    added = browser.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": grow})
    try:
        browser.open("results.html")
        n_rows, times = browser.run(
            """const form = document.querySelector('.mr-filter'), times = [];
            for (const text of ['holds', '', 'zzz', '', 'these models', 'text of c2', '']) {
              form.elements.text.value = text;
              const clock = performance.now();
              form.elements.text.dispatchEvent(new Event('input', {bubbles: true}));
              document.body.getBoundingClientRect();  // the layout is part of what a reader waits for
              times.push(performance.now() - clock);
            }
            return [document.querySelectorAll('#mr-results tbody tr').length, times]"""
        )
    finally:
        browser.driver.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", added)
    assert n_rows >= 500
    print("milliseconds per filter:", [round(t) for t in times])
    assert sorted(times)[len(times) // 2] < 100


def test_without_scripts_the_table_is_complete_and_no_dead_form_is_shown(browser):
    browser.scripts(allowed=False)
    try:
        browser.driver.get(f"{browser.book.as_uri()}/results.html")
    finally:
        browser.scripts(allowed=True)
    rows = browser.run(f"return {_ROWS}.map((r) => r.getBoundingClientRect().height)")
    squares = browser.run("return document.querySelectorAll('.mr-square').length")
    assert len(rows) == squares > 0
    assert min(rows) > 0
    assert browser.run("return getComputedStyle(document.querySelector('.mr-filter')).display") == "none"
    assert browser.run("return document.querySelectorAll('#mr-results th button').length") == 0


def test_a_square_of_the_picture_leads_to_its_row_even_when_the_row_is_filtered_out(browser):
    browser.size(1280, 800)
    browser.open("results.html")
    choose(browser, "text", "no such words anywhere")
    target = browser.run("const s = document.querySelector('.mr-square'); s.click(); return s.hash.slice(1)")
    assert target in shown(browser)


def test_status_is_told_by_word_and_symbol_too(browser, chapter):
    browser.open(chapter)
    badges = browser.run(
        "return [...document.querySelectorAll('.mr-status')].map((b) => b.textContent.trim().split(/ (.*)/))"
    )
    assert badges
    symbols = {word: symbol for symbol, word, *_ in badges}
    assert len(set(symbols.values())) == len(symbols)
