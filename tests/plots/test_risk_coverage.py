"""The picture of accuracy against coverage shows what its results hold."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pytest

from medrepro.plots.risk_coverage import plot_risk_coverage
from medrepro.stats.rejection import coverage_curve, reject


@pytest.fixture
def results():
    rng = np.random.default_rng(0)
    uncertainty = rng.choice([0.0, 0.3, 0.6], 90)
    correct = rng.random(90) < 0.9 - 0.8 * uncertainty
    curve = coverage_curve(correct, uncertainty, n_boot=20, seed=0)
    return (
        curve,
        reject(correct, uncertainty, 0.3, n_boot=50, seed=0),
        reject(correct, uncertainty, -1, n_boot=50, seed=0),
    )


def test_curve_band_best_and_filters_are_drawn_where_they_belong(results):
    curve, kept, nothing = results
    ax = plot_risk_coverage({"semantic": curve}, filters={"0.3": kept, "none": nothing})
    drawn = {line.get_label().split(",")[0]: line for line in ax.get_lines()}
    np.testing.assert_array_equal(drawn["semantic"].get_ydata(), curve.accuracy)
    np.testing.assert_array_equal(drawn["best possible"].get_ydata(), curve.best)
    band = ax.collections[0].get_paths()[0].vertices
    assert band[:, 1].min() == pytest.approx(curve.random_low.min())
    assert [text.get_text() for text in ax.texts] == ["0.3"]
    assert ax.texts[0].xy == (kept.coverage.value, kept.kept.value)
    assert "coverage" in ax.get_xlabel()
    assert ax.get_ylim()[0] < curve.accuracy[-1]
    plt.close(ax.figure)


def test_no_curve_and_an_unknown_band_are_named(results):
    with pytest.raises(ValueError, match="curves must hold at least one curve, got none"):
        plot_risk_coverage({})
    with pytest.raises(ValueError, match="band must be one of a, got 'b'"):
        plot_risk_coverage({"a": results[0]}, band="b")
