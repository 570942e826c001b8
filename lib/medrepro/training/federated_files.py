"""Files between processes of a federation: a site's own cases, and what the server trained. Tensors and JSON only."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from .federated import Federation
from .recipe import Recipe
from .sites import Cases, Site


def write_site(site: Site, path: Path) -> None:
    """Training and validation cases of one site; its test cases and units stay where they are."""
    parts = {"train": site.train, "val": site.val}
    tensors = {f"{part}.{a}": torch.from_numpy(getattr(cases, a)) for part, cases in parts.items() for a in ("x", "y")}
    save_file(tensors, path, metadata={"site": site.name})


def read_site(path: Path) -> Site:
    """What `write_site` left: numbered units and an empty test part."""
    with safe_open(path, framework="pt") as file:
        name = file.metadata()["site"]
        read = {key: file.get_tensor(key).numpy() for key in file.keys()}  # noqa: SIM118
    n, m = len(read["train.x"]), len(read["val.x"])
    train = Cases(read["train.x"], read["train.y"], np.arange(n))
    val = Cases(read["val.x"], read["val.y"], np.arange(n, n + m))
    return Site(name, train, val, test=train.subset([]))


def write_federation(trained: Federation, folder: Path) -> None:
    """A trained model and its course; `federation.json` comes last, so that its presence means complete."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file(trained.state, folder / "best.safetensors")
    save_file(trained.final, folder / "final.safetensors")
    course = {
        "recipe": json.loads(trained.recipe.to_json()),
        "sites": trained.sites,
        "round": trained.round,
        "weights": dict(trained.weights),
        "steps": dict(trained.steps),
        **{name: getattr(trained, name).tolist() for name in ("val_loss", "drift", "seconds")},
    }
    part = folder / "federation.json.part"
    part.write_text(json.dumps(course), encoding="utf-8")
    part.replace(folder / "federation.json")


def read_federation(folder: Path) -> Federation:
    """Inverse of `write_federation`."""
    course = json.loads((folder / "federation.json").read_text(encoding="utf-8"))
    return Federation(
        recipe=Recipe(**course["recipe"]),
        sites=tuple(course["sites"]),
        state=load_file(folder / "best.safetensors"),
        final=load_file(folder / "final.safetensors"),
        round=course["round"],
        weights=course["weights"],
        steps=course["steps"],
        val_loss=np.array(course["val_loss"]),
        drift=np.array(course["drift"]),
        seconds=np.array(course["seconds"]),
    )
