"""Arms over several sites: equal chances for all, nothing from the site that is left out, and the falsifier."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from medrepro.stats import multilabel_auroc
from medrepro.training.federated import federate_all
from medrepro.training.site_arms import best_foreign, cut_to_match, match_n, train_arms, tune, validation_auc
from medrepro.training.site_evaluation import (
    FEDERATED,
    LEFT_OUT,
    POOLED,
    against_every_foreign,
    compare,
    gain_at_home,
    gain_over,
    gain_over_best,
    gain_over_mean,
    holm_over_sites,
    mean_over_sites,
    per_label_gain,
    score_sites,
    site_matrix,
)
from medrepro.training.sites import Site, leave_out
from tabular_sites import make_sites, recipe

RATES = [0.02, 0.1]


@pytest.fixture(scope="module")
def sites():
    return make_sites([40, 60, 80, 100])


@pytest.fixture(scope="module")
def arms(sites):
    return train_arms(sites, recipe(), RATES, matched_n=0, seed=0)


@pytest.fixture(scope="module")
def scores(arms, sites):
    return score_sites(arms, sites, n_boot=200, seed=0)


def test_the_site_that_is_left_out_contributes_nothing(arms, sites):
    """Its cases are replaced by nonsense: neither weights, rates, rounds nor the chosen rival move."""
    nonsense = replace(sites[1].train, x=sites[1].train.x * 100 + 7, y=1 - sites[1].train.y)
    spoilt = [s if s.name != "b" else Site("b", nonsense, replace(s.val, y=1 - s.val.y), s.test) for s in sites]
    again = train_arms(spoilt, recipe(), RATES, matched_n=0, seed=0)
    matched = [run.matched["b"].federated for run in (arms, again)]
    for before, after in ((arms.left_out["b"], again.left_out["b"]), matched):
        assert before.recipe == after.recipe
        assert before.round == after.round
        assert all(torch.equal(before.state[key], after.state[key]) for key in before.state)
    assert best_foreign(arms.local, leave_out(sites, "b")) == best_foreign(again.local, leave_out(spoilt, "b"))
    assert not torch.equal(arms.left_out["a"].state["weight"], again.left_out["a"].state["weight"])


def test_every_arm_gets_the_same_rates_and_rounds(sites):
    joint, alone = Spy(), Spy()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tune, "__defaults__", (alone,))
        train_arms(sites, recipe(), RATES, engine=joint, matched_n=0, seed=0)
    assert len(joint.asked) == len(RATES) * (1 + 4 + 4)  # federated, left out, controls
    assert len(alone.asked) == len(RATES) * (4 + 1 + 4 * 3)  # local, pooled, the controls' single sites
    assert {(r.lr, r.rounds, r.local_epochs) for _, r in joint.asked + alone.asked} == {(rate, 3, 1) for rate in RATES}


class Spy:
    """An engine that remembers its jobs."""

    def __init__(self):
        self.asked = []

    def __call__(self, jobs):
        self.asked += jobs
        return federate_all(jobs)


def test_the_rate_is_chosen_on_validation_and_diverging_rates_are_passed_over(sites):
    def best(rates, given=None):
        return tune({"all": (sites, given or recipe())}, rates)["all"]

    assert best([1e-6, 0.1]).recipe.lr == 0.1
    assert best([1e-6, 0.1]).best_loss == min(best([rate]).best_loss for rate in (1e-6, 0.1))
    wild = recipe(optimiser="sgd", weight_decay=1.0)  # at a rate of 1e38 the weights overflow
    assert best([1e38, 0.1], wild).recipe.lr == 0.1
    with pytest.raises(RuntimeError, match="training at a, b, c, d diverged at every learning rate"):
        best([1e38], wild)
    with pytest.raises(ValueError, match="rates must hold at least one"):
        best([])


def test_the_control_for_size_gives_every_arm_the_same_number_of_cases(sites):
    foreign = leave_out(sites, "d")
    (together, _), single = cut_to_match(foreign, recipe(), n_train=match_n(foreign), seed=0)
    assert match_n(foreign) == 40
    assert [len(s.train) for s in together] == [13, 13, 14]
    assert [len(s.val) for s in together] == [20, 20, 20]
    assert {name: [(len(s.train), len(s.val)) for s in alone] for name, (alone, _) in single.items()} == {
        name: [(40, 60)] for name in "abc"
    }
    with pytest.raises(ValueError, match="n_train must lie in 1 to 40 at site a, got 41"):
        cut_to_match(foreign, recipe(), n_train=41, seed=0)


def test_two_sites_are_too_few_to_leave_one_out(sites):
    with pytest.raises(ValueError, match="sites must be at least three"):
        train_arms(sites[:2], recipe(), RATES, seed=0)


def test_the_rival_is_the_foreign_model_that_travels_best_on_validation(arms, sites):
    foreign = leave_out(sites, "a")
    by_hand = {
        name: np.mean([multilabel_auroc(s.val.y, arms.local[name].predict(s.val.x)).macro[0] for s in foreign])
        for name in "bcd"
    }
    assert best_foreign(arms.local, foreign) == max(by_hand, key=by_hand.__getitem__)
    assert validation_auc(arms.local["b"], foreign) == pytest.approx(by_hand["b"])


def test_differences_are_those_of_the_aurocs_of_the_same_cases(arms, sites, scores):
    def auc(model, cases):
        return multilabel_auroc(cases.y, model.predict(cases.x)).macro[0]

    for site in sites:
        found, everyone = scores[site.name], site.everyone
        home = auc(arms.federated, site.test) - auc(arms.local[site.name], site.test)
        assert compare(found.on, gain_at_home(found)).difference.value == pytest.approx(home)
        away = {name: auc(arms.local[name], everyone) for name in found.foreign}
        joined = auc(arms.left_out[site.name], everyone)
        every = against_every_foreign(found)
        gains = {name: comparison.difference.value for name, comparison in every.items()}
        assert gains == pytest.approx({name: joined - alone for name, alone in away.items()})
        assert compare(found.off, gain_over_best(found)).difference == every[found.best].difference
        mean = joined - np.mean(list(away.values()))
        assert compare(found.off, gain_over_mean(found)).difference.value == pytest.approx(mean)
        assert (found.off.n, found.on.n) == (len(everyone), len(site.test))
    with pytest.raises(ValueError, match="foreign must be one of b, c, d, got 'a'"):
        gain_over(scores["a"], "a")


def test_the_matrix_holds_each_arms_auroc_where_it_was_tested(arms, sites):
    matrix = site_matrix(arms, sites)
    assert list(matrix.index) == ["a", "b", "c", "d", FEDERATED, LEFT_OUT, POOLED]
    cell = multilabel_auroc(sites[2].test.y, arms.local["a"].predict(sites[2].test.x)).macro[0]
    assert matrix.loc["a", "c"] == pytest.approx(cell)
    own = multilabel_auroc(sites[2].test.y, arms.left_out["c"].predict(sites[2].test.x)).macro[0]
    assert matrix.loc[LEFT_OUT, "c"] == pytest.approx(own)


def test_holm_goes_over_the_sites_and_the_mean_counts_sites_alike(scores):
    comparisons = {name: compare(s.off, gain_over_mean(s)) for name, s in scores.items()}
    table = holm_over_sites(comparisons)
    p = np.array([c.p_value for c in comparisons.values()])
    assert table["p (Holm)"].min() == pytest.approx(min(1.0, p.min() * 4))
    assert (table["p (Holm)"] >= table["p"]).all()
    mean = mean_over_sites({name: (s.off, gain_over_mean(s)) for name, s in scores.items()})
    assert mean.value == pytest.approx(table["value"].mean())
    assert mean.n == table["n"].sum()
    # Sites are independent: the mean's spread is that of four, not that of one.
    assert mean.high - mean.low < 0.75 * (table["high"] - table["low"]).mean()


def test_gains_by_label_average_to_the_macro_gain(arms, sites, scores):
    gains = per_label_gain(arms, sites, ["finding"])
    for site in sites:
        mean = compare(scores[site.name].off, gain_over_mean(scores[site.name])).difference.value
        assert gains.loc["finding", site.name] == pytest.approx(mean)


def test_without_differences_between_sites_diversity_gains_nothing():
    """The falsifier: at equal numbers of cases only a difference between sites can make joining worth it."""
    same, different = (np.mean([_gain(150, spread, seed, matched=True) for seed in range(2)]) for spread in (0.0, 1.0))
    assert different > 0.03
    assert abs(same) < different / 5


def test_without_differences_between_sites_joining_still_helps_where_cases_are_few():
    """Why the falsifier needs the control for size: the leave-one-out arm has three times the cases of a rival."""
    assert np.mean([_gain(12, 0.0, seed, matched=False) for seed in range(2)]) > 0.02


def _gain(n_train, site_spread, seed, *, matched):
    """AUROC at the left-out site of the others' joint model minus their own models' mean, mean over the four sites."""
    sites, r, gains = (
        make_sites(n_train, n_val=100, n_test=400, site_spread=site_spread, seed=seed),
        recipe(rounds=6),
        [],
    )
    for site in sites:
        foreign = leave_out(sites, site.name)
        together, single = (foreign, r), {other.name: ([other], r) for other in foreign}
        if matched:
            together, single = cut_to_match(foreign, r, n_train=n_train, seed=seed)
        trained = tune({"together": together, **single}, [0.1])
        aucs = {name: multilabel_auroc(site.test.y, m.predict(site.test.x)).macro[0] for name, m in trained.items()}
        gains.append(aucs.pop("together") - np.mean(list(aucs.values())))
    return np.mean(gains)


def test_matched_steps_give_sites_as_many_as_a_single_site_takes(sites):
    foreign, r = leave_out(sites, "d"), recipe(batch_size=4)
    for matched, steps in ((False, 3 * 3), (True, 3 * 9)):
        together, single = cut_to_match(foreign, r, n_train=36, match_steps=matched, seed=0)
        trained = tune({"together": together, **single}, [0.1])
        assert set(trained["together"].steps.values()) == {steps}
        assert set(trained["a"].steps.values()) == {3 * 9}
