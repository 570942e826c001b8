"""Federated averaging: what a site does in a round, what the server does, and a plain loop over both.

McMahan et al. 2017, Algorithm 1, with full participation: every round each site starts from the common weights, trains
on its own cases with a new optimiser, and sends its weights; the server averages all entries of the state (weights and
the buffers of batch normalisation). `federate` does this in one process and is the reference; `federated_apps` lets
Flower carry the same two halves. Nothing depends on the order of the sites or on where they run.
"""

from __future__ import annotations

import math
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from .recipe import Recipe
from .sites import Cases, Site, check_sites

State = dict[str, Tensor]


@dataclass(frozen=True, eq=False)
class Update:
    """What a site sends after a round: its weights, how much they count, and how many steps it took."""

    state: State = field(repr=False)
    weight: float
    steps: int


@dataclass(frozen=True, eq=False)
class Federation:
    """A model that sites trained together (or one site alone), at its best round on their validation cases.

    state: weights of the best round; final: of the last. val_loss (R, S): validation loss of the common model at each
    site after each round; drift (R,): distance of the sites' weights from their average before averaging, root mean
    square over sites. steps: updates of each site over all rounds. seconds (R,): what each round took, start
    of workers included in the first.
    """

    recipe: Recipe
    sites: tuple[str, ...]
    state: State = field(repr=False)
    final: State = field(repr=False)
    round: int
    val_loss: NDArray[np.float64] = field(repr=False)
    drift: NDArray[np.float64] = field(repr=False)
    weights: Mapping[str, float]
    steps: Mapping[str, int]
    seconds: NDArray[np.float64] = field(repr=False)

    @property
    def best_loss(self) -> float:
        """Validation loss of the chosen round: the sites' mean, weighted like their updates."""
        return float(np.min(mean_loss(self.val_loss, self.sites, self.weights)))

    def predict(self, x: NDArray[np.float32], *, batch_size: int = 512) -> NDArray[np.float64]:
        """Probabilities (n, K) of cases x (n, ...)."""
        return predict(self.recipe, self.state, x, batch_size=batch_size)


Job = tuple[Sequence[Site], Recipe]


def federate(sites: Sequence[Site], recipe: Recipe) -> Federation:
    """Train the sites' common model in this process, one site after the other; one site alone is local training.

    Raises ValueError as `check_sites` does, FloatingPointError when training diverges.
    """
    check_sites(sites)
    server = Server(recipe, [site.name for site in sites])
    for _ in range(recipe.rounds):
        start, round_ = server.state, server.round + 1
        state = server.update({s.name: train_locally(recipe, s.name, s.train, start, round_) for s in sites})
        server.record({s.name: validation_loss(recipe, s.val, state) for s in sites})
    return server.result()


def federate_all(jobs: Sequence[Job]) -> list[Federation | None]:
    """`federate` for each job (sites, recipe) in turn; None where training diverged."""
    trained: list[Federation | None] = []
    for sites, recipe in jobs:
        try:
            trained.append(federate(sites, recipe))
        except FloatingPointError:
            trained.append(None)
    return trained


def first_state(recipe: Recipe) -> State:
    """The weights that all sites start from, made from the recipe's seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        return _copy(recipe.build().state_dict())


def client_seed(recipe: Recipe, site: str, round_: int) -> int:
    """Seed of a site in a round: from its name, so that neither order nor company of sites matters."""
    return int(np.random.SeedSequence([recipe.seed, zlib.crc32(site.encode()), round_]).generate_state(1)[0])


def train_locally(recipe: Recipe, site: str, train: Cases, state: State, round_: int) -> Update:
    """One round at one site. round_: counted from 1. The global random state is left as it was."""
    seed = client_seed(recipe, site, round_)
    rng = np.random.default_rng(seed)
    x, y = torch.from_numpy(train.x), torch.from_numpy(train.y)
    balance = _positive_weight(train.y).to(recipe.device) if recipe.balanced else None
    steps = 0
    with one_thread(), torch.random.fork_rng(devices=_cuda(recipe.device)):
        torch.manual_seed(seed)
        model = recipe.build()
        model.load_state_dict(state)
        model.to(recipe.device).train()
        optimiser = _optimiser(recipe, model)
        for _ in range(recipe.local_epochs):
            # Batches of nearly equal size: a last batch of one case would break batch normalisation.
            for rows in np.array_split(rng.permutation(len(train)), math.ceil(len(train) / recipe.batch_size)):
                chosen = torch.from_numpy(rows)
                logits = model(x[chosen].to(recipe.device))
                loss = F.binary_cross_entropy_with_logits(logits, y[chosen].to(recipe.device), pos_weight=balance)
                optimiser.zero_grad(set_to_none=True)
                loss.backward()
                optimiser.step()
                steps += 1
    weight = float(len(train)) if recipe.aggregation == "by_n" else 1.0
    return Update(_copy(model.state_dict()), weight, steps)


def validation_loss(recipe: Recipe, val: Cases, state: State) -> float:
    """Mean cross-entropy over cases and labels; a loss is defined where a small part lacks a class, an AUC is not."""
    prob = np.clip(predict(recipe, state, val.x), 1e-12, 1 - 1e-12)  # nan stays nan
    return float(-np.where(val.y == 1, np.log(prob), np.log1p(-prob)).mean())


@torch.no_grad()
def predict(recipe: Recipe, state: State, x: NDArray[np.float32], *, batch_size: int = 512) -> NDArray[np.float64]:
    """Probabilities (n, K) of cases x (n, ...) under the weights `state`."""
    with one_thread(), torch.random.fork_rng(devices=[]):
        model = recipe.build()
        model.load_state_dict(state)
        model.to(recipe.device).eval()
        parts = []
        for start in range(0, len(x), batch_size):
            # A copy in memory of torch's own alignment, on which the last bit of a matrix product depends.
            batch = torch.from_numpy(x[start : start + batch_size]).clone()
            parts.append(torch.sigmoid(model(batch.to(recipe.device)).double()).cpu())
    return torch.cat(parts).numpy()


def average(updates: Mapping[str, Update]) -> State:
    """Weighted mean of the sites' states, entry by entry, summed in the order of their names and in double precision.

    Whole numbers, such as the batch counter of a batch normalisation, are rounded back to whole numbers.
    """
    total = sum(update.weight for update in updates.values())
    ordered = [updates[name] for name in sorted(updates)]
    mean = {}
    for key, first in ordered[0].state.items():
        value = sum(update.state[key].double() * (update.weight / total) for update in ordered)
        assert isinstance(value, Tensor)
        mean[key] = (value if first.dtype.is_floating_point else value.round()).to(first.dtype)
    return mean


class Server:
    """The server's half of a round: average what all sites sent, and remember the best round.

    `state` are the common weights, `round` is how often they were averaged. Raises ValueError when a site is missing:
    the average of those that happened to answer is another model.
    """

    def __init__(self, recipe: Recipe, sites: Sequence[str]) -> None:
        self.recipe, self.sites = recipe, tuple(sorted(sites))
        self.state, self.round = first_state(recipe), 0
        self._best: tuple[float, int, State] = (math.inf, 0, self.state)
        self._losses: list[list[float]] = []
        self._drift: list[float] = []
        self._seconds: list[float] = []
        self._weights: dict[str, float] = {}
        self._steps = dict.fromkeys(self.sites, 0)
        self._started = time.perf_counter()

    def update(self, updates: Mapping[str, Update]) -> State:
        """The new common weights."""
        self._expect_all(updates)
        self.state, self.round = average(updates), self.round + 1
        self._weights = {name: updates[name].weight for name in self.sites}
        self._steps = {name: self._steps[name] + updates[name].steps for name in self.sites}
        squared = [_squared_distance(updates[name].state, self.state) for name in self.sites]
        self._drift.append(math.sqrt(sum(squared) / len(squared)))
        now = time.perf_counter()
        self._seconds.append(now - self._started)
        self._started = now
        return self.state

    def record(self, losses: Mapping[str, float]) -> None:
        """Validation losses of the common weights at every site, once after each `update`."""
        self._expect_all(losses)
        self._losses.append([losses[name] for name in self.sites])
        mean = float(mean_loss(np.array(self._losses[-1:]), self.sites, self._weights)[0])
        if mean < self._best[0]:
            self._best = (mean, self.round, self.state)

    def result(self) -> Federation:
        """What was trained; FloatingPointError when the validation loss was never finite."""
        _, best_round, state = self._best
        if best_round == 0:
            raise FloatingPointError(f"validation loss was never finite in {self.recipe.rounds} rounds: lower lr")
        return Federation(
            recipe=self.recipe,
            sites=self.sites,
            state=state,
            final=self.state,
            round=best_round,
            val_loss=np.array(self._losses),
            drift=np.array(self._drift),
            weights=dict(self._weights),
            steps=dict(self._steps),
            seconds=np.array(self._seconds),
        )

    def _expect_all(self, answers: Mapping[str, Any]) -> None:
        if set(answers) != set(self.sites):
            raise ValueError(f"a round needs all of {list(self.sites)}, got answers of {sorted(answers)}")


def mean_loss(losses: NDArray[np.float64], sites: Sequence[str], weights: Mapping[str, float]) -> NDArray[np.float64]:
    """Mean over sites (R,) of losses (R, S), weighted like the sites' updates."""
    share = np.array([weights[name] for name in sites])
    return losses @ (share / share.sum())


@contextmanager
def one_thread() -> Iterator[None]:
    """One thread for torch: sums are then added in the same order in every process."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _optimiser(recipe: Recipe, model: nn.Module) -> torch.optim.Optimizer:
    kinds: dict[str, Callable[..., torch.optim.Optimizer]] = {
        "adam": torch.optim.Adam,
        "adamw": torch.optim.AdamW,
        "sgd": torch.optim.SGD,
    }
    return kinds[recipe.optimiser](model.parameters(), lr=recipe.lr, weight_decay=recipe.weight_decay)


def _positive_weight(y: NDArray[np.float32]) -> Tensor:
    """Negatives per positive of each label (K,); 1 where a site has no case of one of the classes."""
    positives = y.sum(axis=0)
    ratio = (len(y) - positives) / np.maximum(positives, 1)
    return torch.from_numpy(np.where((positives > 0) & (ratio > 0), ratio, 1.0).astype(np.float32))


def _squared_distance(a: State, b: State) -> float:
    # In the order of the names: a state that has travelled may list them in another one.
    return sum(float((a[k].double() - b[k].double()).square().sum()) for k in sorted(a) if a[k].is_floating_point())


def _copy(state: Mapping[str, Tensor]) -> State:
    return {key: value.detach().cpu().clone() for key, value in state.items()}


def _cuda(device: str) -> list[torch.device]:
    return [torch.device(device)] if device != "cpu" else []
