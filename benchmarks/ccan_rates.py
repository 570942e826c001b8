"""How the learning rates of chapter 34 were chosen: the same grid for every arm, on slides the chapter never sees.

    python benchmarks/ccan_rates.py [--seeds 101 102 103] [--rates 1e-3 3e-3 1e-2] [--arms ccan abmil ...]

Prints the mean best validation AUC per arm and rate over the development seeds. The rate with the highest mean is what
the card uses; test slides are not drawn at all.
"""

from __future__ import annotations

import argparse
import statistics
from collections import defaultdict

import torch

from medrepro.phantoms.slides import make_slides
from medrepro.study.card import load_card
from medrepro.training.arms import ARMS, Size, make_arm
from medrepro.training.mil import train_mil
from medrepro.training.mil_tasks import slide_bags


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[101, 102, 103])
    parser.add_argument("--rates", type=float, nargs="+", default=[1e-3, 3e-3, 1e-2, 3e-2])
    parser.add_argument("--arms", nargs="+", default=list(ARMS), choices=ARMS)
    parser.add_argument("--tasks", nargs="+", default=["two_class", "three_class"])
    parser.add_argument("--threads", type=int, default=1)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    p = load_card("34_ccan").parameters.resolve("embedded")
    size = Size(**{name: p[name] for name in Size.__dataclass_fields__})
    for task in chosen.tasks:
        found: dict[tuple[str, float], list[float]] = defaultdict(list)
        for seed in chosen.seeds:
            slides = make_slides(
                p["n_train"] + p["n_val"],
                task,
                n_tiles=(p["tiles_min"], p["tiles_max"]),
                tumour_fraction=p["tumour_fraction"],
                seed=seed,
            )
            train, val = slide_bags(slides[: p["n_train"]]), slide_bags(slides[p["n_train"] :])
            for arm in chosen.arms:
                for rate in chosen.rates:
                    fit = train_mil(
                        make_arm(arm, 64, train.labels.shape[1], size),
                        train,
                        val,
                        lr=rate,
                        epochs=p["epochs"],
                        batch_size=p["batch_size"],
                        seed=seed,
                    )
                    found[arm, rate].append(fit.val_auc)
        for (arm, rate), aucs in sorted(found.items()):
            shown = " ".join(f"{auc:.3f}" for auc in aucs)
            print(f"{task:12} {arm:10} lr {rate:<7g} validation AUC {statistics.mean(aucs):.3f}  ({shown})", flush=True)


if __name__ == "__main__":
    main()
