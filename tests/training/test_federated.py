"""Federated averaging: the identities that it must obey, and that nothing depends on order or place."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from medrepro.training.federated import (
    Server,
    Update,
    average,
    client_seed,
    federate,
    first_state,
    predict,
    train_locally,
    validation_loss,
)
from medrepro.training.federated_files import read_federation, read_site, write_federation, write_site
from medrepro.training.recipe import Recipe
from medrepro.training.sites import Cases, Site, pool_sites
from tabular_sites import FEATURES, LINEAR, make_sites, recipe


def equal(a, b) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


def farthest(a, b) -> float:
    return max(float((a[key] - b[key]).abs().max()) for key in a)


def test_federating_one_site_is_training_it_alone():
    site, r = make_sites()[0], recipe(rounds=4, local_epochs=2)
    torch.manual_seed(r.seed)
    model = nn.Linear(FEATURES, 1)
    x, y = torch.from_numpy(site.train.x), torch.from_numpy(site.train.y)
    for round_ in range(1, 5):
        optimiser = torch.optim.Adam(model.parameters(), lr=r.lr)
        rng = np.random.default_rng(client_seed(r, "a", round_))
        for _ in range(2):
            for rows in np.array_split(rng.permutation(60), 4):
                optimiser.zero_grad()
                F.binary_cross_entropy_with_logits(model(x[rows]), y[rows]).backward()
                optimiser.step()
    assert farthest(federate([site], r).final, model.state_dict()) < 1e-6


def test_with_the_same_cases_everywhere_federated_is_local_up_to_their_order():
    site, r = make_sites()[0], recipe(batch_size=60, rounds=5)
    rng = np.random.default_rng(1)
    copies = [Site(name, site.train.subset(rng.permutation(60)), site.val, site.test) for name in "xyz"]
    assert farthest(federate(copies, r).final, federate([site], r).final) < 1e-5


@pytest.mark.parametrize("sizes", [[20, 60, 100, 140], [40, 40, 40, 40]])
def test_one_full_step_at_each_site_averaged_by_n_is_one_step_on_the_pooled_cases(sizes):
    """McMahan's FedSGD: the pooled gradient is the mean of the sites' gradients by n."""
    sites = make_sites(sizes)
    r = recipe(rounds=3, optimiser="sgd", lr=0.5, batch_size=10_000)
    assert farthest(federate(sites, r).final, federate([pool_sites(sites)], r).final) < 1e-6


def test_equal_weights_differ_from_weights_by_n_unless_sites_are_equally_large():
    for sizes, same in (([20, 60, 100, 140], False), ([60] * 4, True)):
        sites = make_sites(sizes)
        by_n, alike = (federate(sites, recipe(aggregation=how)).final for how in ("by_n", "equal"))
        assert (farthest(by_n, alike) < 1e-6) == same


def test_the_average_is_weighted_and_counters_stay_whole_numbers():
    states = {
        name: {"w": torch.tensor([v, 2 * v]), "n": torch.tensor(k)} for name, v, k in (("a", 1.0, 3), ("b", 5.0, 8))
    }
    mean = average({"a": Update(states["a"], 3.0, 1), "b": Update(states["b"], 1.0, 1)})
    assert mean["w"].tolist() == np.average([[1.0, 2.0], [5.0, 10.0]], axis=0, weights=[3, 1]).tolist() == [2.0, 4.0]
    assert mean["n"].dtype == torch.int64
    assert int(mean["n"]) == round((3 * 3 + 8) / 4)


def test_the_order_of_sites_changes_nothing():
    sites, r = make_sites([30, 60, 90, 40]), recipe()
    forward, backward = federate(sites, r), federate(sites[::-1], r)
    assert equal(forward.final, backward.final)
    assert equal(forward.state, backward.state)
    assert np.array_equal(forward.val_loss, backward.val_loss)
    assert forward.steps == backward.steps == {"a": 6, "b": 12, "c": 18, "d": 9}


def test_equal_seeds_give_equal_weights_and_other_seeds_others():
    sites = make_sites()
    assert equal(federate(sites, recipe()).final, federate(sites, recipe()).final)
    assert not equal(federate(sites, recipe()).final, federate(sites, recipe(seed=1)).final)


def test_a_site_shuffles_anew_each_round_and_not_as_another_site_does():
    r = recipe()
    seeds = {client_seed(r, site, round_) for site in "ab" for round_ in (1, 2)} | {client_seed(recipe(seed=1), "a", 1)}
    assert len(seeds) == 5


def test_batch_normalisation_averages_its_buffers():
    r = Recipe(model="medrepro.training.site_models:resnet", rounds=1, lr=0.01, seed=0, batch_size=4,
               arguments={"n_outputs": 1, "norm": "batch", "layers": [1], "widths": [4]})  # fmt: skip
    rng = np.random.default_rng(0)
    sites = []
    for name in "ab":
        x, y = rng.standard_normal((12, 1, 8, 8)), np.arange(12) % 2
        parts = (Cases(x, y, np.array([f"{part}{i}" for i in range(12)])) for part in ("train", "val", "test"))
        sites.append(Site(name, *parts))
    alone = [train_locally(r, site.name, site.train, first_state(r), 1).state for site in sites]
    together = federate(sites, r).final
    running = [key for key in together if key.endswith("running_mean")]
    assert running
    for key in running:
        assert not torch.equal(alone[0][key], alone[1][key])
        assert torch.allclose(together[key], (alone[0][key] + alone[1][key]) / 2, atol=1e-7)
    assert all(int(together[key]) == 3 for key in together if key.endswith("num_batches_tracked"))


def test_the_best_round_is_kept_and_its_loss_is_the_sites_weighted_mean():
    sites = make_sites([20, 60, 100, 140])
    trained = federate(sites, recipe(rounds=6, lr=0.3))
    means = np.average(trained.val_loss, axis=1, weights=[20, 60, 100, 140])
    assert trained.round == 1 + int(np.argmin(means))
    assert trained.best_loss == pytest.approx(means.min())
    again = [validation_loss(trained.recipe, site.val, trained.state) for site in sites]
    assert again == pytest.approx(trained.val_loss[trained.round - 1].tolist())


def test_drift_is_the_distance_of_the_sites_from_their_average():
    sites, r = make_sites(), recipe(rounds=1)
    updates = [train_locally(r, site.name, site.train, first_state(r), 1).state for site in sites]
    flat = torch.stack([torch.cat([u["weight"].ravel(), u["bias"]]) for u in updates]).double()
    wanted = math.sqrt(float((flat - flat.mean(dim=0)).square().sum(dim=1).mean()))
    assert federate(sites, r).drift[0] == pytest.approx(wanted, rel=1e-5)
    assert federate(sites[:1], r).drift[0] == 0


def test_balanced_sites_weight_their_own_positives():
    """Without inputs a model can only learn the share of positives: 3 of 33, or one half when they are balanced."""
    y = np.arange(33) < 3
    blind = Cases(np.zeros((33, FEATURES)), y, np.arange(33))
    site = Site("s", blind, Cases(blind.x, y, np.arange(33) + 33), blind.subset([]))
    for balanced, share in ((False, 3 / 33), (True, 0.5)):
        r = recipe(rounds=80, batch_size=33, lr=0.1, balanced=balanced)
        assert predict(r, federate([site], r).final, blind.x) == pytest.approx(share, abs=0.01)


def test_missing_sites_and_diverging_models_are_errors():
    server = Server(recipe(), ["a", "b"])
    update = Update(server.state, 1.0, 1)
    with pytest.raises(ValueError, match=r"a round needs all of \['a', 'b'\], got answers of \['a'\]"):
        server.update({"a": update})
    server.update({"a": update, "b": update})
    server.record({"a": math.nan, "b": 1.0})
    with pytest.raises(FloatingPointError, match="validation loss was never finite"):
        server.result()


def test_training_leaves_threads_and_the_global_random_state_alone():
    torch.manual_seed(3)
    before, threads = torch.random.get_rng_state(), torch.get_num_threads()
    federate(make_sites(), recipe(rounds=1))
    assert torch.equal(before, torch.random.get_rng_state())
    assert threads == torch.get_num_threads()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rounds": 0}, "rounds must be >= 1, got 0"),
        ({"local_epochs": 0}, "local_epochs must be >= 1, got 0"),
        ({"lr": math.nan}, "lr must be > 0, got nan"),
        ({"aggregation": "median"}, "aggregation must be one of by_n, equal, got 'median'"),
        ({"optimiser": "lion"}, "optimiser must be one of adam, adamw, sgd, got 'lion'"),
        ({"model": "os:system"}, r"model must be 'medrepro.MODULE:FUNCTION', got 'os:system'"),
    ],
)
def test_bad_recipes_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        recipe(**changes)


def test_a_recipe_travels_as_json():
    r = recipe(aggregation="equal", balanced=True, weight_decay=0.1)
    assert Recipe.from_json(r.to_json()) == r
    assert LINEAR in r.to_json()


def test_a_sites_file_holds_its_training_and_validation_cases_and_no_test_case(tmp_path):
    site = make_sites()[0]
    write_site(site, tmp_path / "site")
    read = read_site(tmp_path / "site")
    assert read.name == "a"
    assert len(read.test) == 0
    for part in ("train", "val"):
        assert np.array_equal(getattr(read, part).x, getattr(site, part).x)
        assert np.array_equal(getattr(read, part).y, getattr(site, part).y)


def test_a_trained_model_survives_its_files(tmp_path):
    trained = federate(make_sites(), recipe())
    write_federation(trained, tmp_path)
    read = read_federation(tmp_path)
    assert equal(read.state, trained.state)
    assert equal(read.final, trained.final)
    assert read.recipe == trained.recipe
    assert (read.sites, read.round, read.steps) == (trained.sites, trained.round, trained.steps)
    x = make_sites()[0].test.x
    assert np.array_equal(read.predict(x), trained.predict(x))


def test_predictions_do_not_depend_on_the_batch():
    trained, x = federate(make_sites(), recipe()), make_sites()[0].test.x
    assert trained.predict(x, batch_size=7) == pytest.approx(trained.predict(x), rel=1e-6)
