"""Tables of results: what a reader sees and what another run is compared with."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from medrepro.plots import show_table, spell, table
from medrepro.plots.tables import TABLE_MIME
from medrepro.stats import Estimate

HALF = Estimate(0.51239, 0.4, 0.6, n=12, unit="patient")


@pytest.fixture
def shown(monkeypatch):
    outputs = []
    monkeypatch.setattr("medrepro.plots.tables.display", lambda data, raw: outputs.append(data))
    return outputs


def test_cells_are_spelled_as_a_reader_expects():
    cells = [HALF, 0.98765, 12345, True, "text", None, math.nan]
    assert [spell(cell) for cell in cells] == ["0.51 [0.40, 0.60]", "0.99", "12,345", True, "text", "–", "–"]


def test_a_shown_table_carries_its_numbers_at_four_digits(shown):
    show_table(table({"a & b": [HALF, 3], "c": [None, 4]}, ["AUROC < 1", "n"], rows_are="model"), "Results, p < 0.05")
    numbers = shown[0][TABLE_MIME]
    assert numbers == {
        "columns": ["AUROC < 1", "n"],
        "index": ["a & b", "c"],
        "data": [[[0.5124, 0.4, 0.6], 3], [None, 4]],
    }


def test_text_of_a_shown_table_is_escaped(shown):
    show_table(table({"<b>x</b>": [1]}, ["<i>y</i>"]), "p < 0.05")
    html = shown[0]["text/html"]
    assert "<caption>p &lt; 0.05</caption>" in html
    assert "<b>" not in html
    assert "<i>" not in html


def test_an_undefined_estimate_is_null_not_a_number(shown):
    show_table(pd.DataFrame({"x": [Estimate(math.nan, math.nan, math.nan)]}, dtype=object), "nothing")
    assert shown[0][TABLE_MIME]["data"] == [[[None, None, None]]]


def test_a_row_of_another_length_is_refused():
    with pytest.raises(ValueError, match="columns"):
        table({"a": [1, 2]}, ["one"])
