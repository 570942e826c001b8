"""Weights of models as tensors only: a file that brings code is refused before any of it runs."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import DataError

if TYPE_CHECKING:
    from torch import Tensor


def read_weights(path: Path) -> dict[str, Tensor]:
    """Tensors of a .safetensors or PyTorch file by name, on the processor.

    A PyTorch file may nest them one level deep ({"state_dict": {...}}), as checkpoints do. Raises DataError naming the
    file when it cannot be read, holds anything that is not a tensor, number or text, or would run code.
    """
    import torch  # heavy: only loading a model pays for it

    if not path.is_file():
        raise DataError(f"{path}: is not there")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return dict(load_file(path))
        loaded: Any = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise DataError(f"{path}: holds code or foreign objects: only plain tensors are loaded") from None
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise DataError(f"{path}: is not a readable file of weights: {type(error).__name__}: {reason}") from None
    for key in ("state_dict", "model_state_dict", "model"):
        if isinstance(loaded, Mapping) and isinstance(loaded.get(key), Mapping):
            loaded = loaded[key]
            break
    if not isinstance(loaded, Mapping):
        raise DataError(f"{path}: must hold tensors by name, got {type(loaded).__name__}")
    tensors = {str(name): value for name, value in loaded.items() if isinstance(value, torch.Tensor)}
    if not tensors:
        raise DataError(f"{path}: holds no tensor")
    return tensors
