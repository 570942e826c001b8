"""Targets and grades by the authors' published code, kappas by torchmetrics, networks by torchvision and timm.

Run in an environment with torch, torchvision, timm and torchmetrics, with a checkout of the repository
paddyOnGithub/ordinal_regression (commit 98cdbb149280dfd47e8eead4b9743a13223f9547):
python ordinal.py CHECKOUT     (writes ordinal.json)
"""

import hashlib
import json
import sys
from datetime import date
from importlib.metadata import version
from pathlib import Path

import numpy as np
import timm
import torch
import torchvision
from torchmetrics.functional import cohen_kappa

sys.path.insert(0, sys.argv[1])
import classMap  # of the checkout
import targetMap

rng = np.random.default_rng(20261124)
ENCODINGS = {"one_hot": "oneHot", "gaussian": "gauss", "continuous": "continuous", "progress_bar": "progBar",
             "soft_progress_bar": "softProg", "binary_number": "binNum"}  # fmt: skip
FUNCTIONS = {"arg_max": "argmax", "sum": "sum", "l1_distance": "l1dist", "dot_product": "dotProd"}


def decoded(theirs, values):
    tensor = torch.tensor(values, dtype=torch.float64)
    return {ours: classMap.mapFeatureToClass(tensor, f, theirs).tolist() for ours, f in FUNCTIONS.items()}


encodings = {}
for ours, theirs in ENCODINGS.items():
    table = targetMap.TARGET_FUNC_TO_TENS[theirs].double().numpy()
    # Outputs like those of a trained network: a mixture of targets with noise, some far outside the range.
    mixed = table[rng.integers(0, 5, 60)] * rng.uniform(0, 1.5, (60, 1)) + rng.normal(0, 0.3, (60, table.shape[1]))
    mixed = np.round(mixed * np.where(np.arange(60) % 10 == 0, 20, 1)[:, None], 4)
    encodings[ours] = {
        "targets": table.tolist(),
        "of the targets": decoded(theirs, table),
        "outputs": mixed.tolist(),
        "of the outputs": decoded(theirs, mixed),
    }

truth = np.minimum(rng.poisson(1.2, 300), 4)
read = np.clip(truth + rng.integers(-1, 3, 300) * (rng.random(300) < 0.5), 0, 4)
pair = torch.tensor(read), torch.tensor(truth)
kappas = {
    str(classes): {
        w: float(cohen_kappa(*pair, task="multiclass", num_classes=classes, weights=w))
        for w in ("none", "linear", "quadratic")
    }
    for classes in (5, 7)
}


def described(model):
    """Number of parameters, and a digest of the names and shapes of everything that is stored."""
    lines = sorted(f"{name} {tuple(value.shape)}" for name, value in model.state_dict().items())
    return {
        "parameters": sum(p.numel() for p in model.parameters()),
        "digest": hashlib.sha256("\n".join(lines).encode()).hexdigest(),
    }


with torch.device("meta"):
    networks = {
        "torchvision resnet18": described(torchvision.models.resnet18()),
        "torchvision resnet50": described(torchvision.models.resnet50()),
        "timm vit_base_patch16_224": described(timm.create_model("vit_base_patch16_224")),
        "timm deit_tiny_patch16_224": described(timm.create_model("deit_tiny_patch16_224")),
    }

found = {
    "made_by": "tests/reference/ordinal.py",
    "date": date.today().isoformat(),
    "versions": {
        "ordinal_regression": "98cdbb1",
        **{name: version(name) for name in ("torch", "torchvision", "timm", "torchmetrics", "numpy")},
    },
    "encodings": encodings,
    "grades": {"truth": truth.tolist(), "read": read.tolist()},
    "kappas by number of classes": kappas,
    "networks": networks,
}
Path(__file__).with_suffix(".json").write_text(json.dumps(found, indent=1) + "\n")
