"""The book's pages: outputs merged into the current prose, tables judged again, failures shown."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from helpers import notebook, tiny_cells
from medrepro import cli
from medrepro.study import book as book_module
from medrepro.study.book import build_book, stage_pages
from medrepro.study.runner import run_jobs
from medrepro.study.store import RunStore

TOC = """\
format: jb-book
root: index
parts:
  - caption: Statistics handbook
    chapters: []
  - caption: Guides
    chapters: []
"""


@pytest.fixture
def book(tiny, monkeypatch):
    """The tiny project as a book; rendering, which takes half a minute, is left to the tests of the real book."""
    (tiny.root / "book" / "_toc.yml").write_text(TOC)
    (tiny.root / "book" / "index.md").write_text("# Tiny\n")
    rendered = []

    def render(stage: Path, output: Path) -> None:
        html = output / "_build" / "html"
        html.mkdir(parents=True, exist_ok=True)
        (html / "index.html").write_text("rendered")
        rendered.append(stage)

    monkeypatch.setattr(book_module, "_render", render)
    tiny.rendered = rendered
    return tiny


def build():
    return build_book(lambda jobs: run_jobs(jobs, RunStore()))


def staged(tiny) -> dict:
    return json.loads((tiny.root / "build" / "stage" / "chapters" / "01_tiny.ipynb").read_text())


def text_of(page: dict) -> str:
    return json.dumps(page, ensure_ascii=False)


def test_an_unchanged_book_is_neither_executed_nor_rendered_again(book):
    first, second = build(), build()
    assert (first.executed, first.rendered) == (["01_tiny"], True)
    assert (second.executed, second.reused, second.rendered) == ([], ["01_tiny"], False)
    assert len(book.rendered) == 1


def test_edited_prose_is_rendered_with_the_stored_outputs(book):
    build()
    cells = tiny_cells()
    cells[0] = ("markdown", "# Renamed\n\nNew words.")
    book.write(cells)
    result = build()
    assert (result.executed, result.rendered) == ([], True)
    page = staged(book)
    assert "New words." in text_of(page)
    assert "mr-holds" in text_of(page)


def test_an_edited_criterion_changes_the_page_without_a_run(book):
    build()
    book.edit_card("bound: 0.0", "bound: 5.0")
    result = build()
    assert (result.executed, result.rendered) == ([], True)
    assert "mr-fails" in text_of(staged(book))
    assert (
        "mr-holds" not in text_of([c for c in staged(book)["cells"] if c["cell_type"] == "code"]).split("negative")[0]
    )


def test_a_failed_chapter_shows_its_error_and_the_command_ends_with_code_3(book, capsys):
    second = book.root / "notebooks" / "02_broken"
    second.with_suffix(".yaml").write_text(book.card.read_text().replace("01_tiny", "02_broken"))
    cells = [(kind, source.replace("01_tiny", "02_broken")) for kind, source in tiny_cells(extra="1 / 0")]
    second.with_suffix(".ipynb").write_text(json.dumps(notebook(cells)))
    assert cli.main(["book", "--quiet"]) == 3
    captured = capsys.readouterr()
    assert "02_broken: cell" in captured.err
    assert "ZeroDivisionError" in captured.err
    broken = json.loads((book.root / "build" / "stage" / "chapters" / "02_broken.ipynb").read_text())
    assert "This chapter failed in this build" in text_of(broken)
    assert "ZeroDivisionError" in text_of(broken)
    assert "mr-holds" in text_of(staged(book))


def test_code_is_folded_but_the_parameters_are_not(book):
    build()
    tags = {tuple(cell["metadata"]["tags"]) for cell in staged(book)["cells"] if cell["cell_type"] == "code"}
    assert tags == {("hide-input",), ("parameters",)}


def test_the_page_states_how_it_was_made_and_shows_the_record(book, capsys):
    assert cli.main(["record", "01_tiny", "--seeds", "2", "--quiet"]) == 0
    build()
    text = text_of(staged(book))
    assert "How this page was made" in text
    assert "Preset embedded, 2 seeds" in text
    assert "2 × holds" in text


def test_the_table_of_contents_lists_the_study_under_its_theme(book):
    outcomes = []

    def execute(jobs):
        outcomes.extend(run_jobs(jobs, RunStore()))
        return outcomes

    build_book(execute)
    toc = stage_pages(book.root, outcomes)["_toc.yml"].decode()
    assert toc.index("Explainable and robust classifiers") < toc.index("chapters/01_tiny")
    assert "Statistics handbook" not in toc  # no page yet: an empty part would not be read


def test_a_page_that_cannot_be_rendered_is_one_line_and_keeps_the_old_book(book, monkeypatch, capsys):
    build()

    def warn(stage, output):
        raise book_module.ChapterError("the pages could not be rendered: WARNING: x")

    monkeypatch.setattr(book_module, "_render", warn)
    book.edit_card("planted mean", "the planted mean")
    book.edit_card("bound: 0.0", "bound: 5.0")
    assert cli.main(["book", "--quiet"]) == 3
    assert "could not be rendered" in capsys.readouterr().err
    assert (book.root / "build" / "book" / "index.html").read_text() == "rendered"


def test_edited_prose_renders_its_page_and_a_changed_navigation_renders_all(book):
    build()
    kept = book.root / "build" / "sphinx" / "kept"
    kept.write_text("pages that Sphinx would not render again")
    book.write([("markdown", "# Renamed"), *tiny_cells()[1:]])
    assert build().rendered
    assert kept.exists()
    toc = book.root / "book" / "_toc.yml"
    toc.write_text(toc.read_text().replace("Guides\n    chapters: []", "Guides\n    chapters: [{file: guide}]"))
    assert build().rendered
    assert not kept.exists()


def test_the_handbook_keeps_the_order_and_titles_of_its_table_of_contents(book):
    folder = book.root / "book" / "statistics"
    folder.mkdir()
    for name in ("a", "b", "c"):
        (folder / f"{name}.ipynb").write_text(json.dumps(notebook([("markdown", f"# Page {name}"), ("code", "1")])))
    chapters = ", ".join(f"{{file: statistics/{name}, title: T{name}}}" for name in ("c", "absent", "a"))
    toc = (book.root / "book" / "_toc.yml").read_text()
    toc = toc.replace("    chapters: []", f"    folder: statistics\n    chapters: [{chapters}]", 1)
    (book.root / "book" / "_toc.yml").write_text(toc)
    build()
    made = yaml.safe_load((book.root / "build" / "stage" / "_toc.yml").read_text())
    part = next(part for part in made["parts"] if part["caption"] == "Statistics handbook")
    assert part["chapters"] == [
        {"file": "statistics/c", "title": "Tc"},
        {"file": "statistics/a", "title": "Ta"},
        {"file": "statistics/b"},
    ]
