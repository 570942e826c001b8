"""Trained members of TinyVLM as small files, and the script that makes the ones the package carries.

    python -m medrepro.training.vlm_checkpoint tinyvlm_m --steps 2000

trains on the radiology phantoms and writes `checkpoints/tinyvlm_m.safetensors` inside the package: weights as float16,
with the vocabulary and everything the training depended on in the header.
"""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from ..data import DataError
from ..language.vocabulary import WordVocabulary
from ..models.tiny_vlm import TinyVLM
from .vlm_tasks import radiology_examples, radiology_vocabulary
from .vlm_training import make_member, train_vlm

FOLDER = Path(__file__).parent.parent / "checkpoints"


@dataclass(frozen=True, eq=False)
class Member:
    """A trained model in evaluation mode with its vocabulary; settings: what it was trained with, by name."""

    name: str
    model: TinyVLM
    vocabulary: WordVocabulary
    settings: dict[str, Any]


def save_member(member: Member, path: Path) -> None:
    """Write a member; built from a name in MEMBERS with the constructor changes in `settings["changes"]`, if any."""
    about = {"member": member.name, "settings": member.settings, "words": member.vocabulary.words}
    weights = {
        name: value.cpu().contiguous().to(torch.float16) if value.is_floating_point() else value.cpu().contiguous()
        for name, value in member.model.state_dict().items()
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        save_file(weights, str(part), metadata={"medrepro": json.dumps(about, sort_keys=True)})
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def load_member(path: Path, *, device: str = "cpu") -> Member:
    """Read a member; weights become float32. Raises DataError, in one line, for a file that is no member."""
    try:
        with safe_open(str(path), framework="pt") as opened:
            about = json.loads((opened.metadata() or {})["medrepro"])
            weights = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118  # not a mapping
        vocabulary = WordVocabulary(about["words"])
        if list(vocabulary.words) != about["words"]:
            raise DataError(f"{path.name}: its vocabulary is of another version")
        model = make_member(about["member"], vocabulary, **about["settings"].get("changes", {}))()
        model.load_state_dict(weights)
    except (OSError, SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path.name}: is not a trained member ({type(error).__name__})") from None
    return Member(about["member"], model.to(device).eval(), vocabulary, about["settings"])


def train_member(
    name: str,
    *,
    n_images: int = 8000,
    steps: int = 500,
    size: int = 32,
    visibility: tuple[float, float] = (0.05, 1.0),
    consistent_error: float = 0.0,
    inexact: float = 0.05,
    device: str = "cpu",
    seed: int = 0,
) -> Member:
    """A member trained on captioned radiology phantoms; arguments as in `radiology_examples` and `train_vlm`."""
    vocabulary = radiology_vocabulary()
    examples = radiology_examples(
        n_images, size=size, visibility=visibility, consistent_error=consistent_error, inexact=inexact, seed=seed
    )
    build = make_member(name, vocabulary, image_size=size)
    fit = train_vlm(build, examples, vocabulary, steps=steps, device=device, seed=seed)
    settings = {
        "changes": {"image_size": size}, "n_images": n_images, "steps": steps, "visibility": list(visibility),
        "consistent_error": consistent_error, "inexact": inexact, "seed": seed, "final_loss": fit.losses[-1],
    }  # fmt: skip
    return Member(name, fit.model, vocabulary, settings)


def main(arguments: list[str] | None = None) -> None:
    """Train one member and write its file; prints its size."""
    parser = argparse.ArgumentParser(description="train a member of TinyVLM for the package")
    parser.add_argument("member")
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--n-images", type=int, default=16_000)
    parser.add_argument("--consistent-error", type=float, default=0.9)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path)
    given = vars(parser.parse_args(arguments))
    name, out = given.pop("member"), given.pop("out")
    path = out or FOLDER / f"{name}.safetensors"
    save_member(train_member(name, **given), path)
    print(f"{path.name}: {path.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
