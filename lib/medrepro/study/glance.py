"""Results at a glance: every claim of every study in one table, and the facts of the landing page."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from ..stats.results import Estimate
from .card import RUNGS, THEMES
from .picture import in_words, interval_picture
from .tables import rung_badge, status_badge
from .verdicts import STATUSES

Row = Mapping[str, Any]  # Verdict.to_dict()

RUNG_MEANS = {
    "stand-in": "made-up data with a known truth: it shows what the method does, not that it helps patients",
    "real": "real open data, but not the patients of the paper",
    "cohort": "the patients of the paper",
}
# The style sheet lays rows out as grids, which hides the table from screen readers unless roles name it.
_COLUMNS = (
    ("study", "Study"),
    ("claim", "Claim"),
    ("reported", "Paper reports"),
    ("measured", "This run measured"),
    ("rung", "Rung"),
    ("about", "About"),
    ("status", "Status"),
)
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_NUMBERS_AT_END = 1e300  # text without a number sorts behind every number


def _html(value: object) -> str:
    """Escaped text on one line: an empty line would end the HTML block in Markdown."""
    return escape(" ".join(str(value).split()))


_ILLUSTRATION: Row = {
    "study": "",
    "title": "",
    "claim": "C1",
    "text": "the new model ranks cases better than the old one",
    "status": "holds",
    "reported": "0.94",
    "origin": "abstract",
    "value_status": "needs data",
    "rung": "stand-in",
    "parts": [
        {
            "id": "",
            "quantity": "AUROC difference, new minus old",
            "criterion": "95 % interval > 0",
            "allowed": (0.0, None),
            "status": "holds",
            "estimate": Estimate(0.03, 0.012, 0.048, n=600, unit="patient").to_dict(),
        }
    ],
}


def glance_page(verdicts: Sequence[Row], records: Sequence[Mapping[str, Any]] = ()) -> str:
    """Markdown of the page that shows all verdicts at once.

    verdicts: rows of the embedded runs. records: {"study", "preset", "seeds": [...], "verdicts": [row, ...]}, judged
    by the cards as they are now; each is shown with the claim it is about.
    """
    rows = sorted(verdicts, key=_order)
    recorded = _recorded(records)
    studies = dict.fromkeys((row["study"], row["title"]) for row in rows)
    body = "\n".join(_table_row(row, recorded.get((row["study"], row["claim"]), ())) for row in rows)
    head = "".join(f'<th scope="col" role="columnheader" data-key="{key}">{name}</th>' for key, name in _COLUMNS)
    return f"""---
html_theme.sidebar_secondary.remove: true
---

# Results at a glance

Every claim of every study in this book, as judged in the run that the book was built from. How to read a line:
[How to read a verdict](guides/verdicts.md).

<div class="mr-glance">
{_legend(rows)}
{_picture(rows)}
<h2 id="all-claims">All claims</h2>
{_filter_form(rows, studies)}
<div class="mr-scroll"><table class="mr-table mr-all" id="mr-results" role="table">
<caption>{_sentence(rows)}</caption>
<thead role="rowgroup"><tr role="row">{head}</tr></thead>
<tbody role="rowgroup">
{body}
</tbody></table></div>
<p class="mr-none" hidden>No claim matches. <button type="button" class="mr-reset">Show all</button></p>
</div>
"""


def fill_landing(text: str, verdicts: Sequence[Row]) -> str:
    """The landing page with its tokens `{{example_verdict}}` and `{{counts}}` replaced."""
    return text.replace("{{example_verdict}}", _example(verdicts)).replace("{{counts}}", _counts(verdicts))


def _order(row: Row) -> tuple[int, str, int, str]:
    """By theme as in the table of contents, then study, then claim with C2 before C10."""
    themes = list(THEMES)
    place = themes.index(row["theme"]) if row["theme"] in themes else len(themes)
    number = re.search(r"\d+", row["claim"])
    return place, row["study"], int(number[0]) if number else 0, row["claim"]


def _anchor(row: Row) -> str:
    return f"{row['study']}-{row['claim']}"


def _chapter(row: Row) -> str:
    return f"chapters/{row['study']}.html#verdicts"


def _count(rows: Sequence[Row]) -> list[tuple[str, int]]:
    found = Counter(row["status"] for row in rows)
    return [(status, found[status]) for status in STATUSES if found[status]]


def _sentence(rows: Sequence[Row]) -> str:
    n_studies = len({row["study"] for row in rows})
    claims = "1 claim" if len(rows) == 1 else f"{len(rows)} claims"
    return f"{claims} of {n_studies} {'study' if n_studies == 1 else 'studies'}"


def _counts(rows: Sequence[Row]) -> str:
    """One line of counts, each a link to the claims behind it."""
    if not rows:
        return '<p class="mr-counts">No study has been run in this build.</p>'
    links = " ".join(
        f'<a href="results.html?status={status.replace(" ", "+")}#all-claims"><b>{count}</b> {status_badge(status)}</a>'
        for status, count in _count(rows)
    )
    return f'<p class="mr-counts"><span>{_sentence(rows)}:</span> {links}</p>'


def _legend(rows: Sequence[Row]) -> str:
    items = "".join(f"<li><b>{count}</b> {status_badge(status)}</li>" for status, count in _count(rows))
    under = sum(bool(row["underpowered"]) for row in rows)
    note = f"<li><b>{under}</b> of them underpowered</li>" if under else ""
    return f'<ul class="mr-legend" aria-label="Number of claims by status">{items}{note}</ul>'


def _picture(rows: Sequence[Row]) -> str:
    """One line per study with one square per claim; each square is a link that says what it stands for."""
    lines: dict[str, list[Row]] = {}
    for row in rows:
        lines.setdefault(row["study"], []).append(row)
    out = []
    for claims in lines.values():
        squares = "".join(
            f'<a class="mr-square" href="#{_html(_anchor(row))}" title="{_html(_square_name(row))}" '
            f'aria-label="{_html(_square_name(row))}">{status_badge(row["status"])}</a>'
            for row in claims
        )
        link = f'<a href="{_html(_chapter(claims[0]))}">{_html(claims[0]["title"])}</a>'
        out.append(f'<li><span class="mr-map-name">{link}</span><span class="mr-map-claims">{squares}</span></li>')
    return f'<ul class="mr-map" aria-label="Claims of each study by status">{"".join(out)}</ul>' if out else ""


def _square_name(row: Row) -> str:
    return f"{row['claim']} {row['status']}: {row['text']}"


def _filter_form(rows: Sequence[Row], studies: Iterable[tuple[str, str]]) -> str:
    """Hidden until the script that serves it runs; the table is complete without."""
    by_study = _options((study, f"{study[:2]} {title}") for study, title in studies)
    by_status = _options((status, f"{status} ({count})") for status, count in _count(rows))
    by_rung = _options((rung, rung) for rung in RUNGS if any(row["rung"] == rung for row in rows))
    return (
        '<form class="mr-filter" hidden role="search" aria-label="Filter the claims">'
        '<label class="mr-filter-text">Text<input type="search" name="text" autocomplete="off" '
        'placeholder="words in a claim or study"></label>'
        f'<label>Study<select name="study"><option value="">all</option>{by_study}</select></label>'
        f'<label>Status<select name="status"><option value="">all</option>{by_status}</select></label>'
        f'<label>Rung<select name="rung"><option value="">all</option>{by_rung}</select></label>'
        '<button type="reset">Show all</button><output class="mr-shown" aria-live="polite"></output></form>'
    )


def _options(pairs: Iterable[tuple[str, str]]) -> str:
    return "".join(f'<option value="{_html(value)}">{_html(text)}</option>' for value, text in pairs)


def _table_row(row: Row, recorded: Sequence[str]) -> str:
    claim_link = f'<a href="{_html(_chapter(row))}">{_html(row["claim"])}</a>'
    reported = _html(row["reported"]) + f" <small>{_html(row['origin'])}</small>"
    if row["value_status"]:
        reported += f'<small class="mr-number">this number: {_html(row["value_status"])}</small>'
    under = '<small class="mr-underpowered">underpowered</small>' if row["underpowered"] else ""
    cells = {
        "study": (row["study"], f'<span class="mr-study">{_html(row["title"])}</span>'),
        "claim": (row["claim"], f"<strong>{claim_link}</strong> {_html(row['text'])}"),
        "reported": (_first_number(row["reported"]), reported),
        "measured": (_first_value(row), _measured(row)),
        "rung": (RUNGS.index(row["rung"]) if row["rung"] in RUNGS else len(RUNGS), rung_badge(row["rung"])),
        "about": (row["scope_judged"], _about(row)),
        "status": (STATUSES.index(row["status"]), status_badge(row["status"]) + under + _why(row, recorded)),
    }
    tds = "".join(
        f'<td role="cell" data-label="{name}" data-sort="{_html(cells[key][0])}">{cells[key][1]}</td>'
        for key, name in _COLUMNS
    )
    names = " ".join(f'data-{name}="{_html(row[name])}"' for name in ("study", "status", "rung"))
    return f'<tr role="row" id="{_html(_anchor(row))}" {names}>{tds}</tr>'


def _about(row: Row) -> str:
    return "the method" if row["scope_judged"] == "method" else "these models"


def _measured(row: Row) -> str:
    out = []
    for part in row["parts"]:
        name = f"<em>{_html(part['id'])}</em> " if part["id"] else ""
        if part["estimate"] is not None:
            text = f"<b>{_html(Estimate.from_dict(part['estimate']))}</b>{interval_picture(part)}"
        else:
            text = _html(part.get("evidence") or "–")
        out.append(f"<div>{name}{text}<small>{_html(part['quantity'])}: {_html(part['criterion'])}</small></div>")
    return "".join(out) or "–"


def _why(row: Row, recorded: Sequence[str]) -> str:
    lines = [_html(text) for text in (row["reason"], *row["notes"]) if text]
    if row["leans_on"]:
        lines.append("leans on: " + _html(", ".join(row["leans_on"])))
    items = "".join(f"<li>{line}</li>" for line in (*lines, *recorded))
    word = "why" if row["reason"] else "more"
    return f"<details><summary>{word}</summary><ul>{items}</ul></details>" if items else ""


def _recorded(records: Sequence[Mapping[str, Any]]) -> dict[tuple[str, str], list[str]]:
    """Lines about recorded runs, by study and claim."""
    lines: dict[tuple[str, str], list[str]] = {}
    for record in records:
        n_seeds = len(record["seeds"])
        run = f"recorded, {record['preset']}, {n_seeds} {'seed' if n_seeds == 1 else 'seeds'}"
        for row in record["verdicts"]:
            text = f"{_html(run)} {rung_badge(row['rung'])} {status_badge(row['status'])} for {_about(row)}"
            lines.setdefault((row["study"], row["claim"]), []).append(text)
    return lines


def _first_number(text: str) -> float:
    found = _NUMBER.search(text)
    return float(found[0]) if found else _NUMBERS_AT_END


def _first_value(row: Row) -> float:
    for part in row["parts"]:
        if part["estimate"] is not None and isinstance(part["estimate"]["value"], float):
            return part["estimate"]["value"]
    return _NUMBERS_AT_END


def _is_long(row: Row) -> bool:
    """Whether the example would push the rest of the landing page off the first screen."""
    return len(row["text"]) > 90 or len(row["quantity"]) > 80


def _example(verdicts: Sequence[Row]) -> str:
    """One verdict, part by part in words: a real one that holds, else any decided one, else a labelled illustration."""
    fit = [row for row in verdicts if len(row["parts"]) == 1 and interval_picture(row["parts"][0])]
    wanted = ("holds", "fails", "undecided")
    fit = [row for row in fit if row["status"] in wanted]
    fit.sort(key=lambda row: (wanted.index(row["status"]), _is_long(row), *_order(row)))
    row = fit[0] if fit else _ILLUSTRATION
    part = row["parts"][0]
    if fit:
        source = f'<a href="{_html(_chapter(row))}">{_html(row["title"])}</a>, claim {_html(row["claim"])}'
    else:
        source = "<strong>Illustration with made-up numbers</strong>, not a result"
    estimate = Estimate.from_dict(part["estimate"])
    words = in_words(part)
    verdict = f"{words[0].upper()}{words[1:]}." if words else ""
    number = " That number itself needs the paper's own data." if row["value_status"] else ""
    facts = (
        ("Paper reports", _html(row["reported"]), f"as stated in the {_html(row['origin'])}.{number}"),
        (
            "This run measured",
            _html(estimate),
            f"{_html(part['quantity'])}; in brackets its {100 * estimate.level:.4g} % interval.",
        ),
        ("Must be", _html(part["criterion"]), "written down before the run."),
        ("Rung of evidence", rung_badge(row["rung"]), f"{RUNG_MEANS.get(row['rung'], '')}."),
    )
    items = "".join(
        f"<div><dt>{name}</dt><dd>{value}</dd><dd class='mr-gloss'>{gloss}</dd></div>" for name, value, gloss in facts
    )
    return (
        f'<section class="mr-example" aria-label="A verdict, explained"><p class="mr-source">{source}</p>'
        f'<p class="mr-said">“{_html(row["text"])}”</p><dl>{items}</dl>'
        f'<div class="mr-outcome">{interval_picture(part, labels=True)}'
        f"<p>{status_badge(row['status'])} {verdict}</p></div></section>"
    )
