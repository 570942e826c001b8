"""The rendered pages as files: no other host, no dead link, no picture without a text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

from bs4 import BeautifulSoup

_LOADS = {
    "script": ("src",), "img": ("src", "srcset"), "iframe": ("src",), "source": ("src", "srcset"), "audio": ("src",),
    "video": ("src", "poster"), "embed": ("src",), "object": ("data",), "track": ("src",), "input": ("src",),
    "image": ("href", "xlink:href"), "use": ("href", "xlink:href"),
}  # fmt: skip
_LINK_LOADS = {"stylesheet", "preload", "prefetch", "preconnect", "dns-prefetch", "icon", "modulepreload", "manifest"}
_OTHER_HOST = re.compile(r"^(?:https?:)?//", re.IGNORECASE)
_CSS_URL = re.compile(r"""(?:url\(\s*|@import\s+)["']?((?:https?:)?//[^"')\s]+)""", re.IGNORECASE)


@cache
def parsed(page: Path) -> BeautifulSoup:
    return BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser")


def pages(book: Path) -> list[Path]:
    found = sorted(p for p in book.rglob("*.html") if "_static" not in p.parts)
    assert found, f"no pages in {book}"
    return found


def loaded(page: BeautifulSoup) -> Iterator[str]:
    """Addresses that a browser fetches for this page without being asked."""
    for tag, attributes in _LOADS.items():
        for element in page.find_all(tag):
            yield from (element[name] for name in attributes if element.has_attr(name))
    for link in page.find_all("link", href=True):
        if _LINK_LOADS & set(link.get("rel", ())):
            yield link["href"]


def test_the_scan_sees_what_a_browser_would_load():
    page = BeautifulSoup(
        '<img src="//a/b.png"><link rel="stylesheet" href="https://c"><a href="https://d">d</a>', "html.parser"
    )
    assert sorted(address for address in loaded(page) if _OTHER_HOST.match(address)) == ["//a/b.png", "https://c"]
    assert _CSS_URL.findall("x{background:url('https://e/f.png')} y{background:url(data:image/png;base64,//8A)}") == [
        "https://e/f.png"
    ]


def test_no_page_loads_anything_from_another_host(built_book):
    wrong = [
        f"{page.relative_to(built_book)}: {address}"
        for page in pages(built_book)
        for address in loaded(parsed(page))
        if _OTHER_HOST.match(address)
    ]
    styles = [*built_book.rglob("*.css"), *pages(built_book)]
    wrong += [
        f"{s.relative_to(built_book)}: {a}" for s in styles for a in _CSS_URL.findall(s.read_text(encoding="utf-8"))
    ]
    assert not wrong


def test_every_link_inside_the_book_leads_somewhere(built_book):
    dead, n_checked = [], 0
    for page in pages(built_book):
        for link in parsed(page).find_all("a", href=True):
            address = urlsplit(link["href"])
            if address.scheme or address.netloc:
                continue
            target = (page.parent / unquote(address.path)).resolve() if address.path else page
            n_checked += 1
            if not target.is_file():
                dead.append(f"{page.relative_to(built_book)}: {link['href']}")
            elif address.fragment and target.suffix == ".html":
                name = unquote(address.fragment)
                if not parsed(target).find(attrs={"id": name}):
                    dead.append(f"{page.relative_to(built_book)}: {link['href']}")
    assert n_checked > 50
    assert not dead


def test_every_picture_has_a_text_that_is_not_its_file_name(built_book):
    pictures = [(page, image) for page in pages(built_book) for image in parsed(page).find_all("img")]
    assert any("mr-figure" in image.parent.get("class", ()) for _, image in pictures)
    wrong = [
        f"{page.relative_to(built_book)}: {image.get('src')}"
        for page, image in pictures
        if not image.get("alt", "").strip() or re.search(r"\.(png|svg|jpe?g)$", image["alt"])
    ]
    assert not wrong


def test_figures_are_files_beside_the_pages(built_book):
    figures = [i for page in pages(built_book) for i in parsed(page).select("figure.mr-figure > img")]
    assert figures
    assert not [image["src"][:60] for image in figures if image["src"].startswith("data:")]


def test_formulas_need_no_script(built_book):
    formulas = [f for page in pages(built_book) for f in parsed(page).find_all("math")]
    assert formulas
    assert not list(built_book.rglob("*mathjax*.js"))
    assert not [str(f)[:200] for f in formulas if re.search(r"\\[A-Za-z]", f.get_text())]


def test_the_table_of_results_lists_every_square_of_the_picture(built_book):
    page = parsed(built_book / "results.html")
    rows = {row["id"] for row in page.select("#mr-results tbody tr")}
    squares = [square["href"].removeprefix("#") for square in page.select(".mr-square")]
    assert sorted(rows) == sorted(squares)


def test_placeholders_of_the_landing_page_are_filled(built_book):
    assert "{{" not in parsed(built_book / "index.html").select_one("article").get_text()
