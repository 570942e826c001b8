"""The book: every chapter's run, staged as one folder of pages and rendered by Jupyter Book."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from .. import locations
from .card import THEMES
from .catalogue_page import catalogue_page
from .chapters import Chapter, handbook_chapters, study_chapters
from .errors import ChapterError, InputError
from .glance import fill_landing, glance_page
from .pages import chapter_page
from .parameters import PRESETS
from .records import read_record, recorded_verdicts
from .report import run_verdicts
from .runner import Job, Outcome

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


@dataclass
class BookResult:
    """What a build did: which chapters ran, which failed, where the pages are."""

    index: Path
    executed: list[str] = field(default_factory=list)
    reused: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    rendered: bool = True

    def to_dict(self) -> dict[str, Any]:
        return {**vars(self), "index": str(self.index)}

    def text(self) -> str:
        ran = f"executed: {', '.join(self.executed) or 'none'}; reused: {', '.join(self.reused) or 'none'}"
        return f"{ran}\n{'book' if self.rendered else 'book (unchanged)'}: {self.index}"


def build_book(
    execute: Callable[[Sequence[Job]], list[Outcome]], *, force: bool = False, out: Path | None = None
) -> BookResult:
    """Run what must run, stage, render; chapters that failed show their error and are named in the result.

    execute: runs the jobs. out: folder of the rendered pages (default `build/book`). Raises InputError outside a
    checkout and ChapterError when the pages cannot be rendered without a warning.
    """
    root = locations.project_root()
    if root is None:
        raise InputError("the book is built in a checkout of the project, not from an installed package")
    jobs = [Job(chapter, chapter.resolve(), force=force) for chapter in (*study_chapters(), *handbook_chapters())]
    outcomes = execute(jobs)
    build = root / "build"
    out = (out or build / "book").absolute()
    result = BookResult(out / "index.html")
    for outcome in outcomes:
        (result.executed if outcome.executed else result.reused).append(outcome.job.chapter.id)
        if outcome.error:
            result.errors.append(str(outcome.error))
    pages = stage_pages(root, outcomes)
    digest = _digest(pages)
    stamp = out / ".stage"
    if not force and result.index.is_file() and stamp.is_file() and stamp.read_text() == digest:
        result.rendered = False
        return result
    try:
        if _write_stage(build / "stage", pages) & _shown_on_every_page(pages):
            shutil.rmtree(build / "sphinx", ignore_errors=True)  # Sphinx would render only the pages that changed
        _render(build / "stage", build / "sphinx")
        _publish(build / "sphinx" / "_build" / "html", out)
        stamp.write_text(digest)
    except OSError as error:
        raise InputError(f"{error.filename or build}: cannot be written: {error.strerror}") from None
    return result


def stage_pages(root: Path, outcomes: Sequence[Outcome]) -> dict[str, bytes]:
    """Every staged file by its relative path."""
    book = root / "book"
    pages = {
        path.relative_to(book).as_posix(): path.read_bytes()
        for path in book.rglob("*")
        if path.is_file() and not _is_input_only(path.relative_to(book))
    }
    pages["_config.yml"] = (root / "_config.yml").read_bytes()
    verdicts: list[dict[str, Any]] = []
    for outcome in outcomes:
        chapter = outcome.job.chapter
        records = _records(chapter)
        page = chapter_page(chapter, outcome.run, outcome.error, records)
        pages[f"{chapter.page}.ipynb"] = (json.dumps(page, indent=1) + "\n").encode()
        verdicts += [verdict.to_dict() for verdict in run_verdicts(outcome)]
    pages["results.md"] = glance_page(
        verdicts, [row for outcome in outcomes for row in _judged_records(outcome)]
    ).encode()
    pages["index.md"] = fill_landing(pages["index.md"].decode(), verdicts).encode()
    chapters = [outcome.job.chapter for outcome in outcomes]
    pages["data/catalogue.md"] = catalogue_page([chapter.card for chapter in chapters if chapter.card]).encode()
    staged = {name.rpartition(".")[0] for name in pages}
    pages["_toc.yml"] = _toc(pages["_toc.yml"].decode(), chapters, staged).encode()
    return pages


def _is_input_only(path: Path) -> bool:
    return path.parts[0] == "results" or path.suffix == ".ipynb" or "__pycache__" in path.parts


def _records(chapter: Chapter) -> list[dict[str, Any]]:
    if chapter.card is None:
        return []
    found = [read_record(chapter.id, preset) for preset in PRESETS]
    return [record for record in found if record]


def _judged_records(outcome: Outcome) -> list[dict[str, Any]]:
    """The study's records with the verdicts that its card gives them now."""
    card = outcome.job.chapter.card
    if card is None:
        return []
    return [
        {**record, "verdicts": [verdict.to_dict() for verdict in recorded_verdicts(card, record)]}
        for record in _records(outcome.job.chapter)
    ]


def _toc(template: str, chapters: Sequence[Chapter], staged: Container[str]) -> str:
    """The table of contents, completed: one part per theme that has a chapter, and every page of the handbook.

    The template gives the order of a part with a `folder`; pages of that folder which it does not name come last, and
    names that are not among the `staged` pages are left out.
    """
    toc = yaml.safe_load(template)
    executed = [chapter.page for chapter in chapters if chapter.card is None]
    for part in toc["parts"]:
        folder = part.pop("folder", None)
        if folder is not None:
            named = [entry for entry in part["chapters"] if entry["file"] in staged]
            files = [entry["file"] for entry in named]
            rest = [page for page in executed if page.startswith(f"{folder}/") and page not in files]
            part["chapters"] = named + [{"file": page} for page in rest]
    by_theme = {theme: [c.page for c in chapters if c.card and c.card.theme == theme] for theme in THEMES}
    themes = [{"caption": THEMES[theme], "chapters": [{"file": page} for page in by_theme[theme]]} for theme in THEMES]
    at = next(i for i, part in enumerate(toc["parts"]) if part["caption"] == "Statistics handbook")
    toc["parts"][at:at] = themes
    toc["parts"] = [part for part in toc["parts"] if part["chapters"]]  # the reader of this file refuses empty parts
    return yaml.safe_dump(toc, sort_keys=False)


def _digest(pages: dict[str, bytes]) -> str:
    digest = hashlib.sha256(locations.lock_file().read_bytes())
    for name in sorted(pages):
        digest.update(name.encode() + b"\0" + hashlib.sha256(pages[name]).digest())
    return digest.hexdigest()


def _shown_on_every_page(pages: dict[str, bytes]) -> set[str]:
    """Names of the staged files that make the frame of all pages: settings, navigation, style, extension."""
    return {name for name in pages if name in ("_config.yml", "_toc.yml") or name.startswith(("_static/", "_ext/"))}


def _write_stage(folder: Path, pages: dict[str, bytes]) -> set[str]:
    """Write what changed and remove what is gone; the names of what was written.

    An untouched file keeps its time, so that Sphinx reads only the rest.
    """
    written = set()
    for path in folder.rglob("*") if folder.is_dir() else ():
        if path.is_file() and path.relative_to(folder).as_posix() not in pages:
            path.unlink()
    for name, content in pages.items():
        path = folder / name
        if not path.is_file() or path.read_bytes() != content:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            written.add(name)
    return written


def _render(stage: Path, output: Path) -> None:
    # jupyter-book has no module to run with -m; its script lies beside the interpreter.
    program = Path(sys.executable).with_name("jupyter-book")
    command = [str(program), "build", str(stage), "--path-output", str(output), "-W", "--keep-going"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return
    text = _COLOUR.sub("", done.stdout + done.stderr)
    log = output.with_name("render.log")
    log.write_text(text, encoding="utf-8")
    # Sphinx warns of a page when it reads it and not again: the next build must read all of them.
    shutil.rmtree(output, ignore_errors=True)
    lines = [line.strip() for line in text.splitlines() if "WARNING" in line or "Error" in line]
    raise ChapterError(f"the pages could not be rendered: {lines[0] if lines else 'unknown'}; see {log}")


def _publish(html: Path, out: Path) -> None:
    """Copy the pages beside their place and rename, so that a reader never sees half a book."""
    part = out.with_name(f".{out.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    shutil.copytree(html, part)
    old = out.with_name(f".{out.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if out.exists():
        out.rename(old)
    part.rename(out)
    shutil.rmtree(old, ignore_errors=True)
