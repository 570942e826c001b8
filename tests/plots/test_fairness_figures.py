"""Figures of privacy and fairness."""

from __future__ import annotations

import math

import matplotlib.pyplot as plt
import pytest

from medrepro.plots.fairness import (
    INFINITY_LABEL,
    describe_amplification,
    describe_by_epsilon,
    plot_amplification,
    plot_by_epsilon,
)
from medrepro.stats import Comparison, Estimate


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


def about(value: float, half: float = 0.02) -> Estimate:
    return Estimate(value, value - half, value + half, n=100, unit="patient")


CURVES = {
    "2D": {1.0: about(0.72), 3.0: about(0.78), 8.0: about(0.81), math.inf: about(0.85)},
    "3D": {1.0: about(0.66), 8.0: Estimate(math.nan, math.nan, math.nan), math.inf: about(0.9)},
}


def test_infinity_has_its_own_tick_behind_the_break_of_a_log_axis():
    ax = plot_by_epsilon(CURVES, reported={"3D": {0.29: 0.87, math.inf: 0.997}}, band="2D")
    labels = [tick.get_text() for tick in ax.get_xticklabels()]
    assert labels == ["0.29", "1", "3", "8", INFINITY_LABEL]
    assert ax.get_xscale() == "log"
    assert list(ax.get_xticks()) == sorted(ax.get_xticks())
    assert "3D, reported in the paper" in [text.get_text() for text in ax.get_legend().get_texts()]


def test_no_line_runs_across_the_break():
    ax = plot_by_epsilon({"2D": CURVES["2D"]})
    end = ax.get_xticks()[-1]
    joined = [line for line in ax.lines if line.get_linestyle() == "-" and len(line.get_xdata()) > 1]
    assert len(joined) == 1
    assert max(joined[0].get_xdata()) < end


def test_budgets_without_infinity_and_infinity_alone_are_drawn_and_others_refused():
    assert INFINITY_LABEL not in [t.get_text() for t in plot_by_epsilon({"a": {1.0: about(0.7)}}).get_xticklabels()]
    assert plot_by_epsilon({"a": {math.inf: about(0.7)}}).get_xticklabels()[-1].get_text() == INFINITY_LABEL
    for curves in ({}, {"a": {}}, {"a": {0.0: about(0.7)}}):
        with pytest.raises(ValueError, match="curves must hold budgets epsilon > 0"):
            plot_by_epsilon(curves)


def test_amplifications_are_drawn_in_points_with_their_margin():
    change = Comparison(about(0.03), 1.0, 0.3, -0.5, "bootstrap")
    ax = plot_amplification({"women": about(0.001), "minority": change}, margin=0.02, highlight=["minority"])
    assert [text.get_text() for text in ax.get_yticklabels()] == ["women", "minority"]
    assert "margin of ±2 points" in [text.get_text() for text in ax.get_legend().get_texts()]
    assert any("3.000 [1.000, 5.000]" in text.get_text() for text in ax.texts)


def test_the_words_name_every_value():
    text = describe_by_epsilon(CURVES)
    assert "2D: 0.720 [0.700, 0.740] at epsilon 1" in text
    assert "0.850 [0.830, 0.870] without privacy." in text
    assert "undefined at epsilon 8" in text
    assert "women 3.0 [1.0, 5.0]" in describe_amplification({"women": about(0.03)})
