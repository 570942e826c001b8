"""What a run on a protected cohort may keep: aggregates, and nothing of a single case."""

from __future__ import annotations

import copy
import math

import pytest

from medrepro.data import DataError, cohort_rules
from medrepro.data.cohort_rules import (
    FIGURE_MIME,
    LEDGER_MIME,
    TABLE_MIME,
    WITHHELD,
    protect_notebook,
    require_local,
    suppress_estimate,
    suppress_table,
)
from medrepro.stats import Estimate


def table(*rows):
    return {"columns": ["n", "mean age"], "index": [f"group {i}" for i in range(len(rows))], "data": [*map(list, rows)]}


def notebook(*outputs, source="1"):
    return {"metadata": {"widgets": {"state": 1}}, "cells": [
        {"cell_type": "markdown", "source": "text", "attachments": {"a.png": {"image/png": "secret"}}},
        {"cell_type": "code", "source": source, "outputs": list(outputs)},
    ]}  # fmt: skip


def shown(**data):
    return {"output_type": "display_data", "metadata": {}, "data": data}


@pytest.mark.parametrize("counts", [{"n": 9}, {"n": 50, "n_pos": 1}, {"n": 50, "n_pos": 41, "n_neg": 9}])
def test_an_estimate_on_fewer_than_ten_of_a_kind_is_undefined(counts):
    row = suppress_estimate(Estimate(0.8, 0.7, 0.9, unit="patient", **counts).to_dict())
    assert math.isnan(Estimate.from_dict(row).value)
    assert not {9, 1} & {row["n"], row["n_pos"], row["n_neg"]}
    assert "fewer than 10" in row["note"]


@pytest.mark.parametrize("counts", [{"n": 10}, {"n": 50, "n_pos": 10, "n_neg": 40}, {"n": 50, "n_pos": 0}])
def test_an_estimate_on_ten_or_none_is_kept(counts):
    row = Estimate(0.8, 0.7, 0.9, unit="patient", **counts).to_dict()
    assert suppress_estimate(row) == row


def test_a_small_count_takes_its_row_with_it_and_ten_is_not_small():
    data = suppress_table(table([9, 61.5], [10, 70.25], [0, None]))["data"]
    assert data == [["< 10", WITHHELD], [10, 70.25], [0, None]]


def test_a_row_of_totals_does_not_give_a_hidden_count_away():
    data = suppress_table(table([4, 61.5], [30, 62.0], [20, 63.0], [54, 62.2]))["data"]
    assert data == [["< 10", WITHHELD], [30, 62.0], [WITHHELD, WITHHELD], [54, 62.2]]


def test_two_hidden_counts_protect_each_other():
    data = suppress_table(table([4, 61.5], [5, 62.0], [45, 63.0], [54, 62.2]))["data"]
    assert [row[0] for row in data] == ["< 10", "< 10", 45, 54]


def test_only_aggregates_remain_of_a_notebook():
    book = notebook(
        {"output_type": "stream", "name": "stdout", "text": "Jane Doe, 61"},
        {"output_type": "execute_result", "execution_count": 1, "metadata": {}, "data": {"text/html": "<td>Jane Doe"}},
        shown(**{"image/png": "Jane Doe"}),
        shown(**{FIGURE_MIME: {"aggregate": False}, "text/html": "Jane Doe"}),
        shown(**{FIGURE_MIME: {"aggregate": "yes"}, "text/html": "Jane Doe"}),
        shown(**{FIGURE_MIME: {"aggregate": True}, "text/html": "<img><details>Jane Doe</details>"}),
        shown(**{TABLE_MIME: table([3, 61.5]), "text/html": "<table><caption>Ages</caption>3 Jane Doe</table>"}),
        shown(**{LEDGER_MIME: {"claims": {}}, "text/html": "verdicts", "text/plain": "Jane Doe"}),
        {"output_type": "error", "ename": "KeyError", "evalue": "Jane Doe", "traceback": ["Jane Doe"]},
    )
    protect_notebook(book)
    assert "Jane" not in str(book)
    assert "secret" not in str(book)
    outputs = book["cells"][1]["outputs"]
    assert outputs[5]["data"]["text/html"] == "<img>"
    assert outputs[6]["data"]["text/html"].startswith('<table class="mr-data"><caption>Ages</caption>')
    assert "61.5" not in str(outputs[6])
    assert outputs[7]["data"] == {LEDGER_MIME: {"claims": {}}, "text/html": "verdicts"}
    assert outputs[8] == {"output_type": "error", "ename": "KeyError", "evalue": WITHHELD, "traceback": []}


def test_protecting_twice_changes_nothing():
    book = notebook(shown(**{TABLE_MIME: table([3, 61.5], [20, 2.0]), "text/html": ""}), shown(**{"text/plain": "x"}))
    protect_notebook(book)
    again = copy.deepcopy(book)
    protect_notebook(again)
    assert again == book


def test_private_folders_are_blotted_out_of_sources_and_outputs():
    book = notebook(
        shown(**{LEDGER_MIME: {"notes": {"C1": ["read /data/cohort/a.csv"]}}, "text/html": "/data/cohort/a.csv"}),
        source="path = '/data/cohort/a.csv'",
    )
    protect_notebook(book, ["/data/cohort"])
    assert "/data/cohort" not in str(book)
    assert book["cells"][1]["source"] == "path = '(data)/a.csv'"


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:8000/v1", "http://localhost/v1", "http://[::1]:80/"])
def test_a_protected_run_may_ask_this_machine(monkeypatch, endpoint):
    monkeypatch.setenv("MEDREPRO_PROTECTED", "1")
    require_local(endpoint)


@pytest.mark.parametrize(
    "endpoint",
    ["https://api.example.org/v1", "http://localhost@example.org/", "http://127.0.0.1.example.org/", "http://10.0.0.2/",
     "http://0.0.0.0/", "example.org", ""],
)  # fmt: skip
def test_a_protected_run_may_ask_nobody_else(monkeypatch, endpoint):
    monkeypatch.setenv("MEDREPRO_PROTECTED", "1")
    with pytest.raises(DataError, match="only be sent to this machine"):
        require_local(endpoint)
    monkeypatch.setenv("MEDREPRO_PROTECTED", "")
    require_local(endpoint)


def test_credentialed_and_private_sets_are_protected_and_open_ones_are_not(tiny):
    folder = tiny.root / "data_manifests"
    for access in ("open", "registration", "credentialed", "private"):
        (folder / f"{access}_set.yaml").write_text(
            f"name: {access}_set\ntitle: t\naccess: {access}\nlicence: l\ncitation: c\nobtain: o\nunits: patient\n"
            "folder: x\nlayout: y\n"
        )
    assert not cohort_rules.protects(["open_set", "registration_set"])
    assert cohort_rules.protects(["open_set", "credentialed_set"])
    assert cohort_rules.protects(["private_set"])
