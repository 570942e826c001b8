"""The book's catalogue of data sets and models, from their manifests and the cards of the studies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from html import escape

from ..data import manifests
from ..data.catalogue import total_bytes
from ..data.manifests import ACCESS, Manifest
from .card import Card
from .parameters import PRESETS

_MEANS = {
    "open": "anyone may download it; some are fetched by themselves",
    "registration": "free after signing up or accepting terms",
    "credentialed": "after training, an application or a data use agreement",
    "private": "not shared, or not located; for those who hold it",
}
_COLUMNS = ("Have", "Data set or model", "Access", "Licence", "Named by", "Getting it")


def catalogue_page(cards: Sequence[Card]) -> str:
    """Markdown of the catalogue; the same on every machine, whatever data lie there.

    cards: those of the studies that have a chapter in this book; they say which preset reads what.
    """
    sets = [manifests.load(name) for name in manifests.names()]
    chapters = {card.id: card for card in cards}
    counts = Counter(manifest.access for manifest in sets)
    meaning = "".join(f"<li><b>{counts[a]}</b> {_badge(a)} {_MEANS[a]}</li>" for a in ACCESS if counts[a])
    rows = "\n".join(_row(manifest, chapters) for manifest in sets)
    head = "".join(f'<th scope="col">{name}</th>' for name in _COLUMNS)
    return f"""# Data and models

Everything that the studies name: what it is, who may have it, how to get it, and what is known to go wrong with it.
How to bring your own copy: [Bring your own data](../guides/data.md). The same list for your machine:
`medrepro data list`.

<div class="mr-glance mr-catalogue">
<ul class="mr-legend" aria-label="Number of sets by access">{meaning}</ul>
<h2 id="ready">What can I run with what I have?</h2>
{_ready(chapters, {m.name: m for m in sets})}
<h2 id="all-sets">All data sets and models</h2>
{_form(sets, chapters)}
<div class="mr-scroll"><table class="mr-table" id="mr-sets">
<caption>{len(sets)} data sets and models</caption>
<thead><tr>{head}</tr></thead>
<tbody>
{rows}
</tbody></table></div>
<p class="mr-none" hidden>Nothing matches.</p>
</div>
"""


def comes_by_itself(manifest: Manifest) -> bool:
    """Whether every file is fetched when it is needed, without an account."""
    return bool(manifest.files) and all(file.sources for file in manifest.files)


def _text(value: object) -> str:
    """Escaped text on one line: an empty line would end the HTML block in Markdown."""
    return escape(" ".join(str(value).split()))


def _badge(access: str) -> str:
    look = {"open": "", "private": " mr-rung-cohort"}.get(access, " mr-rung-stand-in")
    return f'<span class="mr-rung{look}">{access}</span>'


def _ready(chapters: Mapping[str, Card], sets: Mapping[str, Manifest]) -> str:
    """One line a chapter and preset with what must be obtained for it; a script marks what the reader has."""
    if not chapters:
        return "<p>No chapter reads data yet.</p>"
    items = []
    for study, card in chapters.items():
        presets = []
        for preset in PRESETS:
            if preset not in card.data and preset != "embedded":
                continue
            names = card.data.get(preset, ())
            lacking = [n for n in names if n in sets and not comes_by_itself(sets[n])]
            links = ", ".join(f'<a href="#{_text(n)}">{_text(n)}</a>' for n in lacking)
            fetched = ", ".join(_text(n) for n in names if n not in lacking)
            said = f"needs {links}" if lacking else "runs without data of yours"
            said += f" <small>(fetched by itself: {fetched})</small>" if fetched else ""
            needs = _text(" ".join(lacking))
            presets.append(f'<li data-needs="{needs}"><code>{preset}</code> <span class="mr-ready">{said}</span></li>')
        title = f'<a href="../chapters/{_text(study)}.html">{_text(study[:2])} {_text(card.title)}</a>'
        items.append(f'<li><span class="mr-map-name">{title}</span><ul class="mr-presets">{"".join(presets)}</ul></li>')
    hint = (
        '<p class="mr-hint" hidden>Tick in the table below what you have; the lines follow. On your own machine, '
        "<code>medrepro data list --have</code> looks for you.</p>"
    )
    return f'{hint}<ul class="mr-chapters">{"".join(items)}</ul>'


def _form(sets: Sequence[Manifest], chapters: Mapping[str, Card]) -> str:
    """Hidden until the script that serves it runs; the table is complete without."""
    studies = sorted({user for manifest in sets for user in manifest.used_by})
    options = "".join(f'<option value="{_text(s)}">{_text(_name(s, chapters))}</option>' for s in studies)
    access = "".join(f'<option value="{a}">{a}</option>' for a in ACCESS)
    return (
        '<form class="mr-filter" hidden role="search" aria-label="Filter the sets">'
        '<label class="mr-filter-text">Text<input type="search" name="text" autocomplete="off" '
        'placeholder="words in a name, licence or trap"></label>'
        f'<label>Named by<select name="study"><option value="">all</option>{options}</select></label>'
        f'<label>Access<select name="access"><option value="">all</option>{access}</select></label>'
        '<label>Kind<select name="kind"><option value="">all</option><option value="data">data</option>'
        '<option value="model">model</option></select></label>'
        '<label>Mine<select name="have"><option value="">all</option><option value="yes">I have it</option>'
        '<option value="no">I do not have it</option></select></label>'
        '<button type="reset">Show all</button><output class="mr-shown" aria-live="polite"></output></form>'
    )


def _name(user: str, chapters: Mapping[str, Card]) -> str:
    """'34 Cascaded ...' for a chapter, words for a page or a study that has none here."""
    if user in chapters:
        return f"{user[:2]} {chapters[user].title}"
    return user.replace("_", " ")


def _row(manifest: Manifest, chapters: Mapping[str, Card]) -> str:
    itself = comes_by_itself(manifest)
    name = _text(manifest.name)
    box = f'<input type="checkbox" name="have" value="{name}" aria-label="I have {name}" hidden>'  # as the form
    cells = (
        "<small>comes by itself</small>" if itself else box,
        f"<strong>{_text(manifest.name)}</strong> {_text(manifest.title)}" + _details("traps", manifest.traps),
        _badge(manifest.access) + ("<small> model</small>" if manifest.kind == "model" else ""),
        f"<small>{_text(manifest.licence)}</small>",
        f"<small>{', '.join(_user(user, chapters) for user in manifest.used_by)}</small>",
        _obtain(manifest),
    )
    tds = "".join(f'<td data-label="{name}">{cell}</td>' for name, cell in zip(_COLUMNS, cells, strict=True))
    facts = f'data-access="{manifest.access}" data-kind="{manifest.kind}" data-itself="{"yes" if itself else "no"}"'
    return f'<tr id="{_text(manifest.name)}" {facts} data-studies="{_text(" ".join(manifest.used_by))}">{tds}</tr>'


def _user(user: str, chapters: Mapping[str, Card]) -> str:
    if user in chapters:
        return f'<a href="../chapters/{_text(user)}.html" title="{_text(chapters[user].title)}">{_text(user[:2])}</a>'
    return f'<span title="{_text(_name(user, {}))}">{_text(user[:2] if user[:2].isdigit() else _name(user, {}))}</span>'


def _obtain(manifest: Manifest) -> str:
    size = total_bytes(manifest)
    lines = [f"resample by: {manifest.units}"]
    lines += [f"size: {size / 1e6:,.1f} MB"] if size is not None else []
    lines += [f"counts: {', '.join(f'{key} {n:,}' for key, n in manifest.counts.items())}"] if manifest.counts else []
    lines += [f"your folder {manifest.folder}: {manifest.layout}"] if manifest.folder is not None else []
    lines += [f"{file.path}: {file.algorithm.upper()} {file.digest}" for file in manifest.files]
    lines += [f"your own table is checked by: medrepro data import {manifest.name} TABLE.csv"] if manifest.table else []
    lines += [f"cite: {manifest.citation}"]
    command = f"<code>medrepro data fetch {_text(manifest.name)}</code>" if comes_by_itself(manifest) else ""
    meanwhile = f"<small>meanwhile: {_text(manifest.stand_in)}</small>" if manifest.stand_in else ""
    return f"{command or _text(manifest.obtain)} {meanwhile}" + _details("facts", lines)


def _details(summary: str, lines: Sequence[str]) -> str:
    items = "".join(f"<li>{_text(line)}</li>" for line in lines)
    return f"<details><summary>{summary}</summary><ul>{items}</ul></details>" if items else ""
