"""Figures with a text alternative, and formulas without a script."""

from __future__ import annotations

import base64
import struct

import matplotlib
import pandas as pd
import pytest
from bs4 import BeautifulSoup
from medrepro_book import mathml

matplotlib.use("agg")
import matplotlib.pyplot as plt

from medrepro.plots.show import figure_html, show


@pytest.fixture
def axes():
    figure, axes = plt.subplots(figsize=(4, 3))
    axes.plot([1, 2, 3])
    yield axes
    plt.close(figure)


@pytest.fixture
def displayed(monkeypatch):
    bundles = []
    monkeypatch.setitem(show.__globals__, "display", lambda bundle, raw: bundles.append(bundle))
    return bundles


@pytest.mark.parametrize("alt", ["", "  \n "])
def test_a_figure_without_a_text_is_refused(axes, alt):
    with pytest.raises(ValueError, match="alt"):
        show(axes, alt=alt)


def test_a_text_that_repeats_the_caption_is_refused(axes):
    with pytest.raises(ValueError, match="caption"):
        show(axes, alt="n = 3", caption="n =  3")


def test_something_that_is_no_figure_is_refused():
    with pytest.raises(TypeError, match="Figure or Axes, got list"):
        show([1, 2], alt="a line")


def test_axes_figure_and_subfigure_give_the_whole_figure(displayed):
    for pick in (lambda f: f, lambda f: f.axes[0], lambda f: f.subfigures(1, 2)[0]):
        figure = plt.figure()
        figure.add_subplot()
        show(pick(figure), alt="an empty plot")
        assert not plt.fignum_exists(figure.number)  # closed: the inline backend must not show it again
    assert len(displayed) == 3


def test_the_output_carries_text_caption_picture_and_table(axes, displayed):
    show(axes, alt='A "line" <rises>', caption="n = 3 & more", table=pd.DataFrame({"x": [1.23456, 2.0]}))
    (bundle,) = displayed
    page = BeautifulSoup(bundle["text/html"], "html.parser")
    assert page.img["alt"] == 'A "line" <rises>'
    assert page.figcaption.get_text() == "n = 3 & more"
    assert [td.get_text() for td in page.select("td")] == ["1.235", "2"]
    assert 'A "line" <rises>' in bundle["text/plain"]
    png = base64.b64decode(page.img["src"].removeprefix("data:image/png;base64,"))
    width, height = struct.unpack(">II", png[16:24])
    assert png.startswith(b"\x89PNG")
    assert int(page.img["width"]) / int(page.img["height"]) == pytest.approx(width / height, rel=0.02)


def test_a_long_table_is_cut_and_says_so(axes):
    page = BeautifulSoup(figure_html(axes.figure, alt="a", table=pd.DataFrame({"x": range(1000)})), "html.parser")
    assert len(page.select("tbody tr")) == 200
    assert "first 200 of 1,000 rows" in page.summary.get_text()


def test_names_of_rows_are_kept(axes):
    table = pd.DataFrame({"x": [1.0]}, index=["site A"])
    assert "site A" in figure_html(axes.figure, alt="a", table=table)


def test_equal_figures_give_equal_outputs(axes):
    assert figure_html(axes.figure, alt="a") == figure_html(axes.figure, alt="a")


@pytest.mark.parametrize(
    ("latex", "expected"),
    [
        (r"\frac{1}{n}", "<mfrac>"),
        (r"\begin{aligned} a &= b \\ c &= d \end{aligned}", "<mtable"),
        (r"a &= b \\ c &= d", "<mtable"),
        (r"a &= \begin{cases} 1 & x \\ 0 & y \end{cases} \\ b &= c", "<mtable"),
        (r"W = \begin{pmatrix} a & b \\ c & d \end{pmatrix}", "<mtable"),
        (r"\operatorname{softmax}(x)", "<mi>softmax</mi>"),
    ],
)
def test_formulas_become_mathml(latex, expected):
    assert expected in mathml(latex, display=True)


def test_rows_of_an_alignment_are_not_numbered_one_by_one():
    assert "(1)" not in mathml(r"\begin{align} a &= b \\ c &= d \end{align}", display=True)


@pytest.mark.parametrize("latex", [r"\nosuchcommand x", "x^{", "a & b"])
def test_a_formula_that_cannot_be_translated_is_refused(latex):
    with pytest.raises(ValueError, match="formula"):
        mathml(latex, display=False)


def test_chapters_reach_it_as_medrepro_plots_show():
    import medrepro.plots

    assert medrepro.plots.show is show
