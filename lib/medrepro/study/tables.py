"""Tables of claims and verdicts as HTML that needs no script; the book's style sheet gives them their look."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

from ..stats.results import Estimate
from .card import Card
from .parameters import PRESETS
from .verdicts import PartVerdict, Verdict, combine, judge_card, judge_parts

_SYMBOLS = {"holds": "✓", "fails": "✗", "undecided": "?", "needs data": "○", "not testable": "–"}


def status_symbol(status: str) -> str:
    """The second cue beside a status's colour, for places too small for its word."""
    return _SYMBOLS[status]


def status_badge(status: str) -> str:
    """Word, symbol and colour class, so that no reader depends on colour."""
    name = status.replace(" ", "-")
    symbol = f'<span aria-hidden="true">{status_symbol(status)}</span>'
    return f'<span class="mr-status mr-{name}">{symbol} {escape(status)}</span>'


def rung_badge(rung: str) -> str:
    return f'<span class="mr-rung mr-rung-{rung}">{escape(rung)}</span>'


def measured_text(part: PartVerdict) -> str:
    """'0.94 [0.92, 0.96], n = 651 patients', the evidence of a check, or a dash."""
    if part.estimate is not None:
        return str(Estimate.from_dict(part.estimate))
    return part.evidence or "–"


def _details(summary: str, lines: Iterable[str]) -> str:
    items = "".join(f"<li>{line}</li>" for line in lines if line)
    return f"<details><summary>{escape(summary)}</summary><ul>{items}</ul></details>" if items else ""


def table(head: Iterable[str], rows: Iterable[Iterable[tuple[str, str]]], caption: str) -> str:
    """rows: (column name, HTML) per cell; the name goes into data-label for narrow screens."""
    head = list(head)
    top = "".join(f'<th scope="col">{escape(name)}</th>' for name in head)
    body = "".join(
        "<tr>" + "".join(f'<td data-label="{escape(name)}">{cell}</td>' for name, cell in row) + "</tr>" for row in rows
    )
    return (
        f'<div class="mr-scroll"><table class="mr-table"><caption>{escape(caption)}</caption>'
        f"<thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def claims_table(card: Card) -> str:
    """Claim, reported value with its origin, and the criterion that will decide."""
    rows = []
    for claim in card.claims:
        decides = "<br>".join(
            f"{escape(part.quantity)}: <strong>{escape(str(part))}</strong>" for part in claim.parts
        ) or escape(claim.reason)
        why = _details(
            "why, and what it leans on",
            [
                escape(claim.margin_because and f"Margin: {claim.margin_because}"),
                escape((claim.leans_on and "Leans on: " + ", ".join(claim.leans_on)) or ""),
                escape(_power_text(claim.power)),
            ],
        )
        rows.append(
            [
                ("Claim", f"<strong>{escape(claim.id)}</strong> {escape(claim.text)}"),
                ("Paper reports", f"{escape(claim.reported_text)} <small>({escape(claim.reported['origin'])})</small>"),
                ("About", "the method" if claim.scope == "method" else "these models"),
                ("Decided by", decides + why),
            ]
        )
    return table(("Claim", "Paper reports", "About", "Decided by"), rows, f"What {card.id} claims")


def _power_text(power: Mapping[str, Any] | None) -> str:
    if not power:
        return ""
    shown = ", ".join(f"{preset} {power[preset]:g}" for preset in PRESETS if preset in power)
    return f"Power, should the true value be {power['effect']:g}: {shown} ({power['how']})"


def _part_name(part: PartVerdict) -> str:
    return f"<em>{escape(part.id.replace('_', ' '))}</em> " if part.id else ""


def verdict_cells(verdict: Verdict) -> list[tuple[str, str]]:
    """The cells of one verdict, shared by a chapter's table and the table of its records."""
    ours = "".join(
        f"<div>{_part_name(part)}{escape(measured_text(part))}<br><small>{escape(part.quantity)}</small></div>"
        for part in verdict.parts
    )
    number = f" <small>number: {escape(verdict.value_status)}</small>" if verdict.value_status else ""
    scope = f"the {verdict.scope_judged}" if verdict.scope_judged == "method" else "these models"
    more = _details("why", [escape(verdict.reason), *map(escape, verdict.notes)])
    under = ' <small class="mr-underpowered">underpowered</small>' if verdict.underpowered else ""
    return [
        ("Claim", f"<strong>{escape(verdict.claim)}</strong> {escape(verdict.text)}"),
        ("Paper reports", f"{escape(verdict.reported)}{number}"),
        ("This run measured", ours or "–"),
        ("Criterion", "<br>".join(escape(text) for text in dict.fromkeys(p.criterion for p in verdict.parts)) or "–"),
        ("About", scope),
        ("Rung", rung_badge(verdict.rung)),
        ("Status", status_badge(verdict.status) + under + more),
    ]


def verdicts_table(card: Card, bundle: Mapping[str, Any], **run: Any) -> str:
    """The verdict table of one run and, below it, the controls that verdicts lean on."""
    verdicts = judge_card(card, bundle, **run)
    rows = [verdict_cells(verdict) for verdict in verdicts]
    head = [name for name, _ in rows[0]]
    html = table(head, rows, f"Verdicts of {card.id}, preset {bundle['preset']}")
    if card.controls:
        html += table(
            ("Control", "This run measured", "Must be", "Status"),
            [_control_row(control, bundle) for control in card.controls],
            "Controls: when one does not stand, the verdicts that lean on it are undecided",
        )
    return html


def _control_row(control: Any, bundle: Mapping[str, Any]) -> list[tuple[str, str]]:
    parts = judge_parts(control, bundle["controls"].get(control.id, {}))
    ours = "<br>".join(f"{escape(part.quantity)}: {escape(measured_text(part))}" for part in parts)
    must = "<br>".join(escape(part.criterion) for part in parts)
    status = combine([part.status for part in parts])
    text = f"<strong>{escape(control.id)}</strong> {escape(control.text)}"
    return [("Control", text), ("This run measured", ours), ("Must be", must), ("Status", status_badge(status))]
