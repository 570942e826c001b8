"""Gaps between subgroups and what privacy does to them, with positive controls."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from medrepro.stats import bootstrap_multilabel_auroc, multilabel_auroc
from medrepro.stats.fairness import gap_amplification, group_metric
from medrepro.training.dp_sgd import train_private
from medrepro.training.examples import Examples, age_bands
from medrepro.training.multilabel import predict_logits, seeded_model, train_ordinary
from medrepro.training.planted_gaps import flip_labels, plant_minority, under_represent, weaken_group
from medrepro.training.subgroup_audit import Audit, audit_accuracy, audit_auroc

N, K = 300, 2
UNITS = np.arange(N) // 2
ABOUT = {"units": UNITS, "unit": "patient", "n_boot": 60, "seed": 3}


def macro(y, scores) -> float:
    return float(multilabel_auroc(y, scores).macro[0])


def made(seed: int = 0) -> tuple[np.ndarray, dict[float, np.ndarray], dict[str, np.ndarray]]:
    rng = np.random.default_rng(seed)
    y = (rng.random((N, K)) < 0.4).astype(float)
    scores = {e: y + rng.standard_normal((N, K)) * s for e, s in ((1.0, 2.0), (8.0, 1.5), (math.inf, 1.0))}
    return y, scores, {"sex": rng.choice(["female", "male"], N), "age": rng.choice(["00-29", "30-59", "60+"], N)}


def audited(**changes) -> Audit:
    y, scores, groups = made()
    return audit_auroc(y, scores, groups=groups, **{**ABOUT, **changes})


def test_the_amplification_is_that_of_the_statistics_layer_interval_and_all():
    y, scores, groups = made()
    ours = audited().amplification(1.0, math.inf, "sex", "female", "male")
    theirs = gap_amplification(
        macro,
        y,
        scores[math.inf],
        scores[1.0],
        groups["sex"],
        between=("male", "female"),
        units=UNITS,
        n_boot=60,
        seed=3,
    )
    for name in ("value", "low", "high"):
        assert getattr(ours.difference, name) == pytest.approx(getattr(theirs.difference, name), abs=1e-12)
    assert ours.p_value == pytest.approx(theirs.p_value)


def test_groups_and_all_cases_are_those_of_group_metric_and_of_the_bootstrap():
    y, scores, groups = made()
    audit = audited()
    theirs = group_metric(macro, y, scores[8.0], groups=groups["age"], units=UNITS, n_boot=60, seed=3)
    for group in ("00-29", "60+"):
        one, two = audit.score(8.0, ("age", group)), theirs.estimate(group)
        assert (one.value, one.low, one.high) == pytest.approx((two.value, two.low, two.high), abs=1e-12)
        assert one.n == two.n
    cost = bootstrap_multilabel_auroc(y, np.stack([scores[1.0], scores[math.inf]]), units=UNITS, n_boot=60, seed=3)
    assert audit.difference(1.0, math.inf).difference.low == pytest.approx(cost.compare(0, 1).difference.low, abs=1e-12)
    assert audit.spread(8.0, "age").value == pytest.approx(theirs.gap().value)


def test_two_training_runs_count_as_their_mean():
    y, scores, groups = made()
    both = audit_auroc(y, {"arm": np.stack([scores[1.0], scores[8.0]])}, groups=groups, **ABOUT)
    audit = audited()
    mean = (audit.score(1.0).value + audit.score(8.0).value) / 2
    assert both.score("arm").value == pytest.approx(mean)
    assert both.score("arm").high < audit.score(8.0).high


def test_the_gap_compares_a_group_with_the_weighted_mean_of_the_others():
    audit = audited()
    rest = [audit.score(1.0, ("age", group)) for group in ("30-59", "60+")]
    expected = (
        np.average([e.value for e in rest], weights=[e.n for e in rest]) - audit.score(1.0, ("age", "00-29")).value
    )
    assert audit.gap(1.0, "age", "00-29").value == pytest.approx(expected)
    assert audit.gap(1.0, "sex", "male").value == pytest.approx(-audit.gap(1.0, "sex", "female").value)


def test_accuracy_gaps_are_shares_of_right_calls_and_unknown_labels_are_left_out():
    y, scores, groups = made()
    y[::7, 0] = math.nan
    calls = {e: s > 0.5 for e, s in scores.items()}
    audit = audit_accuracy(y, calls, groups=groups, **ABOUT)
    women = groups["sex"] == "female"
    right = [np.mean((calls[1.0] == y)[women & ~np.isnan(y[:, k]), k]) for k in range(K)]
    assert audit.score(1.0, ("sex", "female")).value == pytest.approx(np.mean(right))
    whole = audit_accuracy(made()[0], calls, groups=groups, **ABOUT)
    theirs = group_metric(
        np.mean, (calls[1.0] == made()[0]).mean(axis=1), groups=groups["sex"], units=UNITS, n_boot=60, seed=3
    )
    assert whole.gap(1.0, "sex", "female").low == pytest.approx(theirs.compare("male", "female").difference.low)


def test_the_correlation_with_epsilon_is_pearsons():
    audit, budgets = audited(), {1.0: 1.0, 8.0: 8.0, math.inf: 20.0}
    gaps = [audit.gap(arm, "sex", "female").value for arm in budgets]
    assert audit.correlation(budgets, "sex", "female").value == pytest.approx(
        np.corrcoef(list(budgets.values()), gaps)[0, 1]
    )
    with pytest.raises(ValueError, match="x must be finite"):
        audit.correlation({e: e for e in audit.arms}, "sex", "female")
    with pytest.raises(ValueError, match="at least 3 arms"):
        audit.correlation({1.0: 1.0, 8.0: 8.0}, "sex", "female")


def test_more_groups_looked_at_together_get_wider_intervals():
    audit = audited(n_boot=400)
    one, all_three = (a.gap(1.0, "age", "60+") for a in (audit, audit.at_level(1 - 0.05 / 3)))
    assert all_three.low < one.low < one.value < one.high < all_three.high


def test_equal_arms_amplify_nothing_and_a_weakened_group_is_found():
    """The positive control at the level of scores: the audit sees a spoilt group, and only in that group."""
    rng = np.random.default_rng(0)
    y = (rng.random((1200, K)) < 0.4).astype(float)
    before = y + 0.7 * rng.standard_normal(y.shape)
    sex = np.repeat(["female", "male"], 600)
    after = weaken_group(before, sex == "female", 0.5, seed=1)
    audit = audit_auroc(
        y, {"before": before, "same": before, "after": after}, groups={"sex": sex},
        units=np.arange(1200), unit="patient", n_boot=200, seed=0,
    )  # fmt: skip
    assert audit.amplification("same", "before", "sex", "female").difference.value == 0
    found = audit.amplification("after", "before", "sex", "female").difference
    assert found.low > 0.05
    a = audit.score("before", ("sex", "female")).value
    assert audit.score("after", ("sex", "female")).value == pytest.approx(0.5 * a + 0.25, abs=0.03)
    assert audit.difference("after", "before", ("sex", "male")).difference.value == 0


def with_minority(n: int, share: float, seed: int) -> Examples:
    """Half of the features tell the label of the majority, the other half that of a minority with weaker values."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n)
    minority = rng.random(n) < share
    x = rng.standard_normal((n, 8)).astype(np.float32)
    signal = 0.4 * (2 * y - 1)[:, None]  # an AUROC of about 0.87 at best: far from the ceiling
    x[:, :4] = np.where(minority[:, None], 0, x[:, :4] + signal)
    x[:, 4:] = np.where(minority[:, None], x[:, 4:] + signal, 0)
    return Examples(
        torch.from_numpy(x), y[:, None], np.arange(n), {"group": np.where(minority, "minority", "majority")}
    )


def amplified(train: Examples, test: Examples) -> Audit:
    model = seeded_model(lambda: nn.Linear(8, 1), 0)
    model.weight.data.zero_()
    settings = {"delta": 1e-4, "clip": 1.0, "sample_rate": 0.1, "steps": 60, "lr": 0.05}
    private = [train_private(model, train, epsilon=1.0, seed=s, **settings).model for s in range(3)]
    ordinary = train_ordinary(model, train, epochs=20, batch_size=len(train) // 10, lr=0.05, seed=0).model
    scores = {
        "private": np.stack([predict_logits(m, test) for m in private]),
        "ordinary": predict_logits(ordinary, test),
    }
    return audit_auroc(
        test.labels, scores, groups=test.groups, units=test.units, unit="patient", n_boot=200, seed=0
    )  # fmt: skip


def test_privacy_amplifies_the_gap_of_a_planted_minority_and_not_of_equal_halves():
    """The positive control through training: a group that is seldom seen is lost under noise first."""
    test = with_minority(2000, 0.5, seed=1)
    rare = amplified(under_represent(with_minority(1600, 0.5, seed=0), "group", "minority", 0.04, seed=0), test)
    even = amplified(with_minority(1600, 0.5, seed=0), test)
    planted, none = (a.amplification("private", "ordinary", "group", "minority").difference for a in (rare, even))
    assert planted.low > 0
    assert planted.low > none.high


def test_flipped_labels_and_missing_units_hit_one_group_only():
    data = with_minority(400, 0.5, seed=0)
    inside = data.groups["group"] == "minority"
    flipped = flip_labels(data, "group", "minority", 0.3, seed=0)
    assert (flipped.labels == data.labels)[~inside].all()
    assert (flipped.labels != data.labels)[inside].mean() == pytest.approx(0.3, abs=0.12)
    fewer = under_represent(data, "group", "minority", 0.1, seed=0)
    assert (fewer.groups["group"] == "minority").sum() == round(0.1 * inside.sum())
    assert (fewer.groups["group"] == "majority").sum() == (~inside).sum()
    with pytest.raises(ValueError, match="group must be one of majority, minority, got 'x'"):
        flip_labels(data, "group", "x", 0.1, seed=0)
    with pytest.raises(ValueError, match=r"keep must be from 0 to 1, got 2"):
        under_represent(data, "group", "minority", 2, seed=0)


def test_a_planted_minority_is_rendered_differently_unit_by_unit_and_keeps_its_labels():
    images = torch.rand(400, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    data = Examples(images, np.arange(400)[:, None] % 2, np.arange(400) // 2, {"sex": np.resize(["F", "M"], 400)})
    planted = plant_minority(data, 0.2, seed=0)
    inside = planted.groups["rendering"] == "minority"
    assert inside.mean() == pytest.approx(0.2, abs=0.1)
    assert (inside[::2] == inside[1::2]).all()
    assert torch.equal(planted.inputs[~inside], images[~inside])
    torch.testing.assert_close(planted.inputs[inside][..., 0], 1 - images[inside][..., -1])
    assert (planted.labels == data.labels).all()
    assert set(planted.groups) == {"sex", "rendering"}
    with pytest.raises(ValueError, match="data must hold images"):
        plant_minority(with_minority(10, 0.5, seed=0), 0.2, seed=0)


def test_age_bands_hold_their_lower_edge_and_sort_by_age():
    bands = age_bands([0, 4.9, 5, 45, 138, math.nan, -1], (0, 5, 45, math.inf))
    assert bands.tolist() == ["00-04", "00-04", "05-44", "45+", "45+", "", ""]
    assert age_bands([100, 99.9], (0, 30, 100)).tolist() == ["", "30-99"]
    with pytest.raises(ValueError, match="rising"):
        age_bands([1], (5, 0))


def test_a_group_without_a_class_is_undefined_and_unknown_groups_are_in_none():
    y, scores, groups = made()
    y[groups["sex"] == "female", 0] = 0
    groups["age"][:100] = ""
    audit = audit_auroc(y, scores, groups=groups, **ABOUT)
    assert audit.score(1.0, ("sex", "female")).undefined
    assert not audit.score(1.0, ("sex", "female"), label=1).undefined
    assert audit.groups("age") == ("00-29", "30-59", "60+")


def test_unknown_names_and_other_shapes_are_named():
    y, scores, groups = made()
    with pytest.raises(ValueError, match=r"arm must be one of 1.0, 8.0, inf, got 3"):
        audited().score(3)
    with pytest.raises(ValueError, match="attribute must be one of age, sex, got 'race'"):
        audited().gap(1.0, "race", "x")
    with pytest.raises(ValueError, match="group must be one of female, male, got 'x'"):
        audited().gap(1.0, "sex", "x")
    with pytest.raises(ValueError, match=r"\(n, K\) = \(300, 2\), got \(1, 5, 2\)"):
        audit_auroc(y, {1.0: scores[1.0][:5]}, groups=groups, **ABOUT)
    with pytest.raises(ValueError, match="calls must be 0 or 1"):
        audit_accuracy(y, scores, groups=groups, **ABOUT)
