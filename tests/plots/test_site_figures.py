"""Figures of several sites show the numbers that they are given."""

from __future__ import annotations

import math

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from medrepro.plots import plot_gain_by_size, plot_site_differences, plot_site_matrix
from medrepro.stats import Estimate

MATRIX = pd.DataFrame({"KY": [0.92, 0.71, 0.9], "MN": [math.nan, 0.85, 0.88]}, index=["KY", "MN", "federated"])


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


def estimate(value: float, half: float = 0.05) -> Estimate:
    return Estimate(value, value - half, value + half, n=120, unit="patient")


def texts(ax) -> list[str]:
    return [text.get_text() for text in ax.texts]


def test_a_matrix_writes_every_value_and_a_dash_for_a_missing_one():
    ax = plot_site_matrix(MATRIX)
    assert sorted(texts(ax)) == sorted(["0.92", "–", "0.71", "0.85", "0.90", "0.88"])
    assert [label.get_text() for label in ax.get_yticklabels()] == ["KY", "MN", "federated"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("tested at", "trained at")


def test_a_matrix_frames_only_models_at_their_own_site():
    frames = [patch.get_xy() for patch in plot_site_matrix(MATRIX).patches]
    assert [(round(x), round(y)) for x, y in frames] == [(0, 0), (1, 1)]


def test_a_signed_matrix_is_centred_at_nought_and_a_plain_one_starts_at_chance():
    low, high = plot_site_matrix(MATRIX - 0.8, signed=True).images[0].get_clim()
    assert low == -high == pytest.approx(-0.12)
    assert plot_site_matrix(MATRIX).images[0].get_clim() == (0.5, 1.0)
    assert plot_site_matrix(MATRIX * 0, signed=True).images[0].get_clim() == (-1, 1)


def test_written_values_stand_out_from_their_shade():
    ax = plot_site_matrix(pd.DataFrame({"a": [0.5], "b": [1.0]}, index=["m"]))
    assert [text.get_color() for text in ax.texts] == ["white", "black"]


def test_differences_are_drawn_in_order_with_their_numbers_and_a_summary_below():
    groups = {
        "KY": {"vs MN": estimate(0.02), "vs best": estimate(0.01)},
        "MN": {"vs MN": Estimate(math.nan, math.nan, math.nan, n=90), "vs best": estimate(-0.03)},
    }
    ax = plot_site_differences(groups, xlabel="difference in AUROC", summary=estimate(0.005, 0.01))
    shown = texts(ax)
    assert shown == [
        "+0.020 [-0.030, +0.070]",
        "+0.010 [-0.040, +0.060]",
        "vs MN: undefined",
        "-0.030 [-0.080, +0.020]",
        "+0.005 [-0.005, +0.015]",
    ]
    rows = [text.get_position()[1] for text in ax.texts]
    assert rows == sorted(rows)
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert labels == ["KY (n = 120)", "MN (n = 120)", "mean over sites"]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["vs MN", "vs best"]


def test_one_comparison_a_site_needs_no_legend():
    assert plot_site_differences({"KY": {"gain": estimate(0.1)}}, xlabel="x").get_legend() is None


def test_gains_stand_over_their_sizes_on_a_logarithmic_axis():
    gains = {"KY": estimate(0.1), "MN": estimate(-0.02), "MS": Estimate(math.nan, math.nan, math.nan)}
    ax = plot_gain_by_size([60, 240, 100], gains, ylabel="gain")
    assert ax.get_xscale() == "log"
    points = [(line.get_xdata()[0], line.get_ydata()[0]) for line in ax.lines if line.get_marker() == "o"]
    assert np.array(points) == pytest.approx(np.array([(60, 0.1), (240, -0.02)]))
    with pytest.raises(ValueError, match=r"sizes must hold one number a gain \(3\), got 2"):
        plot_gain_by_size([1, 2], gains, ylabel="gain")
