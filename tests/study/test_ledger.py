"""The ledger inside a notebook: what it refuses, and that its estimates survive in a notebook run by hand."""

from __future__ import annotations

import json
from types import SimpleNamespace

import nbformat
import pytest
from nbclient import NotebookClient

from helpers import tiny_cells
from medrepro import cli
from medrepro.stats.results import Comparison, Estimate
from medrepro.study.errors import InputError
from medrepro.study.executed import ledger_bundle
from medrepro.study.ledger import BUNDLE_MIME, Ledger

GOOD = Estimate(0.5, 0.4, 0.6, n=50, unit="case")


@pytest.fixture
def ledger(tiny) -> Ledger:
    return Ledger.open("01_tiny", SimpleNamespace(preset="embedded", seed=0, arms=("a",)))


def test_a_ledger_shows_html_for_people_and_estimates_for_programs(ledger):
    ledger.judge("C1", Comparison(GOOD, 3.0, 0.001, -3.0, "z"))
    ledger.control("negative", Estimate(0.0, -0.1, 0.1, n=50, unit="case"))
    ledger.note("C1", "a <remark>")
    shown = ledger.table()._repr_mimebundle_()
    assert "mr-holds" in shown["text/html"]
    assert "a &lt;remark&gt;" in shown["text/html"]
    assert "0.50 [0.40, 0.60], n = 50 cases" in shown["text/html"]
    assert json.loads(json.dumps(shown[BUNDLE_MIME]))["claims"]["C1"][""]["estimate"]["low"] == 0.4
    assert "the mean is above zero" in ledger.claims()._repr_mimebundle_()["text/html"]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda ledger: ledger.judge("C9", GOOD), "unknown claim 'C9'"),
        (lambda ledger: ledger.judge("C1", 0.5), "expected an Estimate, got float"),
        (lambda ledger: ledger.judge("C1", {"part": GOOD}), "unknown part 'part'"),
        (lambda ledger: ledger.judge("C2", GOOD), "not testable"),
        (lambda ledger: ledger.check("C1", True, "x"), r"goes through judge\(\)"),
        (lambda ledger: ledger.control("negativ", GOOD), "did you mean 'negative'"),
        (lambda ledger: ledger.level("C2"), "no single confidence level"),
    ],
)
def test_what_does_not_fit_the_card_is_refused(ledger, call, message):
    with pytest.raises(InputError, match=message):
        call(ledger)


def run_by_hand(tiny, cells) -> dict:
    tiny.write(cells)
    book = nbformat.read(tiny.notebook, as_version=4)
    NotebookClient(book, kernel_name="python3", timeout=60).execute()
    return book


def test_a_notebook_run_by_hand_yields_the_same_record_as_the_command(tiny, capsys):
    book = run_by_hand(tiny, tiny_cells())
    path = tiny.root / "by_hand.ipynb"
    nbformat.write(book, path)
    assert cli.main(["read", str(path), "--json"]) == 0
    by_hand = json.loads(capsys.readouterr().out)
    assert cli.main(["run", "01_tiny", "--json", "--quiet"]) == 0
    by_command = json.loads(capsys.readouterr().out)
    for verdict in by_command["verdicts"]:
        verdict.update(run="", seconds=None, device="")
    assert by_hand["verdicts"] == by_command["verdicts"]
    assert by_hand["parameters"] == by_command["parameters"]


def test_cells_out_of_order_twice_or_not_at_all_are_refused(tiny):
    book = run_by_hand(tiny, tiny_cells())
    path = tiny.root / "by_hand.ipynb"
    code = [cell for cell in book.cells if cell.cell_type == "code"]

    def refused(message):
        nbformat.write(book, path)
        with pytest.raises(InputError, match=message):
            ledger_bundle(path)

    code[1].execution_count, code[2].execution_count = 3, 2
    refused("code cell 2 ran as number 3: cells ran out of order or twice")
    code[1].execution_count, code[2].execution_count = 2, None
    refused("code cell 3 was not run")
    code[2].execution_count = 3
    code[3].outputs = []
    refused("no verdict table")


def test_reading_something_else_is_one_line(tiny, capsys, tmp_path):
    path = tmp_path / "x.ipynb"
    for text, message in [("{", "cannot be read as a notebook"), ("[]", "not a notebook"), ("{}", "not a notebook")]:
        path.write_text(text)
        assert cli.main(["read", str(path)]) == 2
        err = capsys.readouterr().err
        assert message in err
        assert len(err.strip().splitlines()) == 1


def test_levels_follow_the_card(ledger):
    assert ledger.level("C1") == 0.95
