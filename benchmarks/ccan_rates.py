"""How the learning rates of chapter 34 were chosen: the same grid for every arm, on seeds the chapter never reports.

    python benchmarks/ccan_rates.py [--preset embedded] [--seeds 101 102 103] [--rates 1e-3 3e-3 1e-2 3e-2]

Prints the mean best validation AUC per task, arm and rate. For each arm the rate with the highest mean over tasks is
what the card uses. Test bags are never scored here.
"""

from __future__ import annotations

import argparse
import statistics
from collections import defaultdict
from types import SimpleNamespace

import torch

from medrepro.study.card import load_card
from medrepro.training.arms import ARMS, Size, make_arm
from medrepro.training.mil import train_mil
from medrepro.training.mil_tasks import load_tasks


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--preset", default="embedded", choices=["embedded", "real", "open"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[101, 102, 103])
    parser.add_argument("--rates", type=float, nargs="+", default=[1e-3, 3e-3, 1e-2, 3e-2])
    parser.add_argument("--arms", nargs="+", default=["ccan", "mean", "abmil", "perceiver", "transmil"], choices=ARMS)
    chosen = parser.parse_args()
    torch.set_num_threads(1)  # results do not depend on how many cores happen to be free
    values = load_card("34_ccan").parameters.resolve(chosen.preset)
    size = Size(**{name: values[name] for name in Size.__dataclass_fields__})
    found: dict[tuple[str, float], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for seed in chosen.seeds:
        for name, task in load_tasks(SimpleNamespace(**{**values, "seed": seed, "n_test": 16})).items():
            for arm in chosen.arms:
                for rate in chosen.rates:
                    fit = train_mil(
                        make_arm(arm, task.in_features, task.n_outputs, size),
                        task.train,
                        task.val,
                        lr=rate,
                        epochs=values["epochs"],
                        batch_size=values["batch_size"],
                        device=values["device"],
                        seed=seed,
                    )
                    found[arm, rate][name].append(fit.val_auc)
    print(f"validation AUC at preset {chosen.preset}, mean over seeds {chosen.seeds}")
    for arm in chosen.arms:
        for rate in chosen.rates:
            by_task = {name: statistics.mean(aucs) for name, aucs in found[arm, rate].items()}
            shown = ", ".join(f"{name} {auc:.3f}" for name, auc in by_task.items())
            print(f"{arm:10} lr {rate:<7g} {statistics.mean(by_task.values()):.3f}  ({shown})")


if __name__ == "__main__":
    main()
