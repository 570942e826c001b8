"""Privacy accountants: Opacus, integrals with 40 digits, exact Gaussian mechanism, properties of composition."""

import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from medrepro.stats import privacy
from medrepro.stats.privacy import epsilon, gaussian_epsilon, renyi_divergence

REFERENCE = json.loads((Path(__file__).parents[1] / "reference" / "privacy.json").read_text())
ACCOUNTING = json.loads((Path(__file__).parents[1] / "reference" / "fairness.json").read_text())["privacy"]
noises, rates = st.floats(0.3, 5), st.floats(1e-4, 0.5)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", REFERENCE["runs"], ids=lambda case: str(case["run"]))
def test_accountants_match_opacus(case):
    found = epsilon(*case["run"])
    assert found.rdp == pytest.approx(case["rdp"], rel=1e-6)
    assert found.order == pytest.approx(case["order"])
    assert found.prv == pytest.approx(case["prv"], rel=1e-9)
    assert found.gdp == pytest.approx(case["gdp"], rel=1e-6)
    assert found.prv < found.rdp


@pytest.mark.parametrize("case", ACCOUNTING, ids=lambda case: str(case["run"]))
def test_accountants_agree_with_dp_accounting(case):
    """Its RDP takes other orders; its privacy loss distribution and ours are upper bounds within 0.01 and 0.02."""
    found = epsilon(*case["run"])
    assert found.rdp == pytest.approx(case["rdp"], rel=1e-4)
    assert found.prv == pytest.approx(case["pld"], abs=0.02)


@pytest.mark.parametrize("case", REFERENCE["divergence"], ids=lambda case: f"{case['noise']}, {case['rate']}")
def test_divergence_matches_integrals_with_forty_digits(case):
    found = [renyi_divergence(order, case["noise"], case["rate"]) for order in case["orders"]]
    np.testing.assert_allclose(found, case["values"], rtol=1e-8, atol=1e-13)


@given(st.integers(2, 40), noises, rates)
def test_the_integral_and_the_binomial_sum_agree_at_whole_orders(order, noise, rate):
    whole = privacy._by_binomial(order, noise, rate)
    assert privacy._by_integral(order, noise, rate) == pytest.approx(whole, rel=1e-9, abs=1e-12)


@given(st.floats(1.05, 60), st.floats(1.01, 2), noises, rates)
def test_divergence_rises_with_order_and_rate_and_falls_with_noise(order, factor, noise, rate):
    once = renyi_divergence(order, noise, rate)
    assert renyi_divergence(order * factor, noise, rate) >= once * (1 - 1e-9) - 1e-12
    assert renyi_divergence(order, noise, rate * factor) >= once * (1 - 1e-9) - 1e-12
    assert renyi_divergence(order, noise * factor, rate) <= once * (1 + 1e-9) + 1e-12
    assert 0 <= once <= order / (2 * noise**2) * (1 + 1e-9)  # sampling never adds loss


@given(st.floats(0.01, 30), st.floats(1e-10, 0.5))
def test_gaussian_epsilon_solves_its_equation(mu, delta):
    found = gaussian_epsilon(mu, delta)
    at_zero = norm.cdf(mu / 2) - norm.cdf(-mu / 2)
    if found == 0:
        assert at_zero <= delta * (1 + 1e-9)
    else:
        second = math.exp(found + norm.logcdf(-found / mu - mu / 2))
        assert norm.cdf(-found / mu + mu / 2) - second == pytest.approx(delta, rel=1e-6, abs=1e-14)


def test_full_batches_give_the_exact_gaussian_mechanism_below_the_renyi_bound():
    found = epsilon(2.0, 1.0, 9, 1e-5)
    assert found.gdp == found.prv == gaussian_epsilon(1.5, 1e-5)
    assert found.gdp < found.rdp < 1.15 * found.gdp
    # Without sampling each order's bound is known in closed form.
    order = np.array(privacy.ORDERS)
    bound = 9 * order / 8 + np.log1p(-1 / order) - (math.log(1e-5) + np.log(order)) / (order - 1)
    assert found.rdp == pytest.approx(bound.min(), rel=1e-12)


@settings(max_examples=12)
@given(st.floats(0.6, 4), st.floats(0.001, 0.2), st.integers(1, 400))
def test_more_steps_less_noise_or_smaller_delta_never_lower_the_renyi_bound(noise, rate, steps):
    def bound(noise, rate, steps, delta):
        divergence = steps * np.array([renyi_divergence(order, noise, rate) for order in privacy.ORDERS])
        return privacy._from_renyi(divergence, np.array(privacy.ORDERS), delta)[0]

    once = bound(noise, rate, steps, 1e-5)
    assert bound(noise, rate, 2 * steps, 1e-5) >= once
    assert bound(noise / 1.5, rate, steps, 1e-5) >= once - 1e-9
    assert bound(noise, rate, steps, 1e-7) >= once


def test_edges_are_infinite_zero_or_explained():
    assert epsilon(0.0, 0.1, 10, 1e-5).rdp == epsilon(0.0, 0.1, 10, 1e-5).prv == math.inf
    assert epsilon(0.0, 0.1, 10, 1e-5).note == "no noise: no guarantee"
    assert epsilon(1.0, 0.1, 0, 1e-5).rdp == epsilon(1.0, 0.0, 10, 1e-5).prv == 0.0
    assert gaussian_epsilon(0.0, 1e-5) == gaussian_epsilon(0.1, 0.5) == 0.0
    assert gaussian_epsilon(1e6, 1e-5) == pytest.approx(1e12 / 2, rel=1e-4)
    assert renyi_divergence(3.0, 0.0, 0.1) == math.inf
    assert (renyi_divergence(3.0, 1.0, 0.0), renyi_divergence(3.0, 2.0, 1.0)) == (0.0, 3 / 8)
    large = epsilon(0.5, 0.3, 20000, 1e-5)
    assert math.isnan(large.prv)
    assert "PRV: left out" in large.note
    assert "at the edge of those tried" in large.note
    assert "not computed (PRV)" in str(large)


def test_without_opacus_the_other_accountants_remain(monkeypatch):
    monkeypatch.setitem(sys.modules, "opacus.accountants", None)
    found = epsilon(1.1, 0.01, 1000, 1e-5)
    assert math.isnan(found.prv)
    assert found.note == "PRV: Opacus is not installed"
    assert str(found) == "epsilon 1.71 (RDP), not computed (PRV), 1.38 (GDP) at delta = 1e-05"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: epsilon(-1.0, 0.1, 1, 1e-5), "noise_multiplier must be a finite number >= 0, got -1.0"),
        (lambda: epsilon(0.01, 0.1, 1, 1e-5), "noise_multiplier must be 0 or at least 0.03, got 0.01"),
        (lambda: epsilon(math.nan, 0.1, 1, 1e-5), "noise_multiplier must be a finite number"),
        (lambda: epsilon(1.0, 1.5, 1, 1e-5), "sample_rate must be a finite number from 0 to 1, got 1.5"),
        (lambda: epsilon(1.0, "0.1", 1, 1e-5), "sample_rate must be a finite number from 0 to 1"),
        (lambda: epsilon(1.0, 0.1, 1.5, 1e-5), "steps must be a whole number >= 0, got 1.5"),
        (lambda: epsilon(1.0, 0.1, -1, 1e-5), "steps must be a whole number >= 0"),
        (lambda: epsilon(1.0, 0.1, 1, 0.0), "delta must be a number between 0 and 1, got 0.0"),
        (lambda: epsilon(1.0, 0.1, 1, 1), "delta must be a number between 0 and 1, got 1"),
        (lambda: renyi_divergence(1.0, 1.0, 0.1), "order must be a number above 1, got 1.0"),
        (lambda: renyi_divergence(2.0, 1.0, -0.1), "sample_rate must be a finite number"),
        (lambda: gaussian_epsilon(-1.0, 0.1), "mu must be a number from 0"),
        (lambda: gaussian_epsilon(1.0, 0.0), "delta must be above 0"),
        (lambda: gaussian_epsilon(1.0, 1.0), "delta must be a number from 0 to below 1"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
