"""Sites of a small table whose shift is continuous: a stand-in for tests with known truth."""

from __future__ import annotations

import numpy as np

from medrepro.training.recipe import Recipe
from medrepro.training.sites import Cases, Site

LINEAR = "medrepro.training.site_models:linear"
FEATURES = 6


def make_cases(n: int, shortcut: float, rng: np.random.Generator, name: str) -> Cases:
    """Two features carry the label everywhere, the third as the site's own shortcut says, three are noise."""
    y = np.arange(n) % 2
    x = rng.standard_normal((n, FEATURES))
    x[:, 0] += 1.0 * (y - 0.5)
    x[:, 1] -= 1.0 * (y - 0.5)
    x[:, 2] += shortcut * (y - 0.5)
    return Cases(x, y, np.array([f"{name}-{i}" for i in range(n)]))


def make_sites(
    n_train: int | list[int] = 60, *, n_val: int = 60, n_test: int = 200, site_spread: float = 1.0, seed: int = 0
) -> list[Site]:
    """Four sites. Their shortcuts lie on one axis, from -3 to 3 times site_spread: none is right for all of them."""
    rng = np.random.default_rng(seed)
    sizes = [n_train] * 4 if isinstance(n_train, int) else n_train
    sites = []
    for name, size, shortcut in zip("abcd", sizes, np.linspace(-3, 3, len(sizes)) * site_spread, strict=False):
        parts = [make_cases(n, shortcut, rng, f"{name}{part}") for part, n in enumerate((size, n_val, n_test))]
        sites.append(Site(name, *parts))
    return sites


def recipe(**changes) -> Recipe:
    """Logistic regression, quick to train."""
    given = {"model": LINEAR, "arguments": {"in_features": FEATURES, "n_outputs": 1}, "rounds": 3, "lr": 0.05,
             "seed": 0, "batch_size": 16}  # fmt: skip
    return Recipe(**(given | changes))
