"""Small language models from PyPI wheels: GGUF files, de-quantised once and cached as safetensors."""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from filelock import FileLock

from ..data import cache_dir, locate
from ..data.manifests import load as load_manifest
from . import minilm as _quiet  # noqa: F401  # its import keeps model hubs and telemetry off
from .causal import CausalModel

# Name used by chapters -> manifest.
MANIFESTS = {"smollm2": "smollm2_135m", "gemma3": "gemma_3_270m"}
_CACHE_FORMAT = 1
_CONFIG, _WEIGHTS = "config.json", "model.safetensors"


def load_language_model(name: str, device: str = "cpu") -> CausalModel:
    """A small language model in evaluation mode, float32.

    name: "smollm2" (SmolLM2-135M-Instruct, Apache-2.0) or "gemma3" (Gemma 3 270M, base model, Gemma terms).
    The first call de-quantises the 4-bit file (about 15 s) and keeps the result, 0.5 or 1.1 GB, in the cache folder.
    Raises ValueError for an unknown name and DataError when the file cannot be had.
    """
    if name not in MANIFESTS:
        raise ValueError(f"name must be one of {', '.join(MANIFESTS)}, got {name!r}")
    manifest = MANIFESTS[name]
    digest = load_manifest(manifest).file().digest
    return load_folder(_dequantised(manifest, digest), device=device, name=name, digest=digest)


def load_folder(folder: Path, *, device: str = "cpu", name: str, digest: str) -> CausalModel:
    """A model from a folder with config.json, model.safetensors and a tokenizer; nothing is fetched, no code is run."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    local = {"local_files_only": True, "trust_remote_code": False}
    model = AutoModelForCausalLM.from_pretrained(folder, use_safetensors=True, dtype=torch.float32, **local)
    tokenizer = AutoTokenizer.from_pretrained(folder, **local)
    return CausalModel(model.eval().to(device), tokenizer, name=name, digest=digest)


def save_folder(folder: Path, model: Any, tokenizer: Any) -> None:
    """Write a model and its tokenizer as `load_folder` reads them: beside the place, then renamed."""
    from safetensors.torch import save_model

    part = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}")
    part.mkdir(parents=True)
    try:
        settings = {k: v for k, v in model.config.to_dict().items() if k not in ("quantization_config", "dtype")}
        (part / _CONFIG).write_text(json.dumps(settings, indent=1), encoding="utf-8")
        save_model(model, str(part / _WEIGHTS))
        tokenizer.save_pretrained(part)
        part.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _dequantised(manifest: str, digest: str, read: Callable[[Path], tuple[Any, Any]] | None = None) -> Path:
    """Folder with the de-quantised model of that GGUF file; made by one process at a time."""
    folder = cache_dir() / "models" / f"{manifest}-{digest[:16]}-{_CACHE_FORMAT}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_suffix(".lock")):
        if not folder.is_dir():
            save_folder(folder, *(read or _read_gguf)(locate(manifest)))
    return folder


def _read_gguf(path: Path) -> tuple[Any, Any]:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()
    model = AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype=torch.float32)
    return model, AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
