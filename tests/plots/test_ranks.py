"""Figures of ranks: what is drawn is what was given."""

from __future__ import annotations

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest

from medrepro.plots.ranks import indistinct_groups, plot_rank_intervals, plot_rank_slopes, ranks_table
from medrepro.stats import Estimate

matplotlib.use("Agg")


def _rank(value: float, low: float, high: float) -> Estimate:
    return Estimate(value, low, high, n=40, unit="patient")


RANKS = {
    "unweighted": {"one-hot": _rank(1, 1, 2), "Gaussian": _rank(2, 1, 3), "progress-bar": _rank(3, 2, 3)},
    "quadratic": {"one-hot": _rank(3, 2, 3), "Gaussian": _rank(1, 1, 2), "progress-bar": _rank(2, 1, 3)},
}


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


def test_slopes_join_the_ranks_of_each_arm_with_the_best_on_top():
    ax = plot_rank_slopes(RANKS)
    assert {line.get_label(): line.get_ydata().tolist() for line in ax.lines}["one-hot"] == [1, 3]
    assert ax.yaxis_inverted()
    written = [text.get_text() for text in ax.texts]
    assert written == ["one-hot", "Gaussian", "progress-bar", "Gaussian", "progress-bar", "one-hot"]


def test_names_stay_apart_when_all_ranks_are_tied():
    tied = {"a": _rank(2, 1, 3), "b": _rank(2, 1, 3), "c": _rank(2, 1, 3)}
    ax = plot_rank_slopes({"x": tied, "y": tied})
    heights = [text.get_position()[1] for text in ax.texts[:3]]
    assert np.diff(sorted(heights)).min() >= 1


def test_intervals_run_from_best_to_worst_and_groups_are_bars():
    ax = plot_rank_intervals(RANKS["quadratic"], groups=[["Gaussian", "progress-bar"]])
    assert [label.get_text() for label in ax.get_yticklabels()] == ["Gaussian", "progress-bar", "one-hot"]
    lows = sorted(segment[0][0] for c in ax.collections[:3] for segment in c.get_segments())
    assert lows == [1, 1, 2]
    (bar,) = ax.collections[3].get_segments()
    assert (bar[0][1], bar[1][1]) == (-0.25, 1.25)


def test_groups_are_the_longest_runs_without_a_difference():
    p = {("a", "c"): 0.01, ("a", "d"): 0.001, ("b", "d"): 0.02}
    assert indistinct_groups("abcd", p) == [["a", "b"], ["b", "c"], ["c", "d"]]
    assert indistinct_groups("abcd", {("d", "a"): 0.01}) == [["a", "b", "c"], ["b", "c", "d"]]
    assert indistinct_groups("ab", {("a", "b"): 0.04}) == []
    assert indistinct_groups("ab", {("a", "b"): float("nan")}) == [["a", "b"]]


def test_the_table_holds_the_numbers_of_the_figure():
    assert ranks_table(RANKS).loc["Gaussian", "unweighted"] == "2 [1, 3]"


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match=r"ranks\['y'\] must hold the arms a"):
        plot_rank_slopes({"x": {"a": _rank(1, 1, 1)}, "y": {"b": _rank(1, 1, 1)}})
    with pytest.raises(ValueError, match="at least one column"):
        plot_rank_slopes({})
    with pytest.raises(ValueError, match="groups must name arms of ranks, got 'z'"):
        plot_rank_intervals({"a": _rank(1, 1, 1)}, groups=[["z"]])
    with pytest.raises(ValueError, match="at least one arm"):
        plot_rank_intervals({})
