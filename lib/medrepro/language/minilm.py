"""Sentence embeddings by the frozen MiniLM encoder (all-MiniLM-L6-v2), with a cache on disk."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data import cache_dir, locate_all

# Set before transformers is imported: nothing is asked of a model hub, nothing is reported to anyone.
for _name, _value in (
    ("HF_HUB_OFFLINE", "1"),
    ("TRANSFORMERS_OFFLINE", "1"),
    ("HF_HUB_DISABLE_TELEMETRY", "1"),
    ("DO_NOT_TRACK", "1"),
    ("TOKENIZERS_PARALLELISM", "false"),
):
    os.environ.setdefault(_name, _value)

MAX_TOKENS = 256  # as in sentence-transformers' settings of this model
_CACHE_FORMAT = 1


def embed_sentences(
    sentences: Sequence[str],
    batch_size: int = 64,
    device: str = "cpu",
    *,
    files: Mapping[str, Path] | None = None,
    cache: bool = True,
) -> NDArray[np.float32]:
    """Unit vectors (n, 384) float32, a row a sentence, in the order given.

    Token states of the last layer are averaged over the attention mask and scaled to length 1, as
    sentence-transformers does for this model (Reimers & Gurevych 2019, mean pooling).
    files: model.safetensors, tokenizer.json and config.json by name; found and verified when left out.
    cache: keep the vectors, not the texts, in the cache folder under a hash of the sentences and the model.
    A result does not depend on batch_size or on neighbours beyond rounding (about 1e-6).
    Raises ValueError when sentences are not texts or empty, or batch_size < 1.
    """
    if isinstance(sentences, str) or not all(isinstance(s, str) for s in sentences):
        raise ValueError("sentences must be a sequence of texts, got one text or other types")
    if len(sentences) == 0:
        raise ValueError("sentences must hold at least one text, got none")
    if batch_size < 1:
        raise ValueError(f"batch_size must be >= 1, got {batch_size}")
    files = locate_all("minilm") if files is None else files
    stored = _cache_file(sentences, files) if cache else None
    if stored is not None and (known := _read(stored, len(sentences))) is not None:
        return known
    vectors = _embed(sentences, batch_size, device, files)
    if stored is not None:
        _write(stored, vectors)
    return vectors


def load_model(files: Mapping[str, Path], device: str = "cpu") -> tuple[Any, Any]:
    """Tokenizer and encoder in evaluation mode; weights come from safetensors, no code is run from the files."""
    from safetensors.torch import load_file
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=str(files["tokenizer.json"]),
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    )
    settings = json.loads(files["config.json"].read_text(encoding="utf-8"))
    model = BertModel(BertConfig(**settings), add_pooling_layer=False)
    weights = load_file(str(files["model.safetensors"]))
    wanted = model.state_dict()
    # The published file also holds the pooler, which mean pooling does not use, and a list of positions.
    extra = {k for k in weights if k.startswith("pooler.") or k.endswith("position_ids")}
    model.load_state_dict({k: v for k, v in weights.items() if k not in extra or k in wanted})
    return tokenizer, model.eval().to(device)


def _embed(sentences: Sequence[str], batch_size: int, device: str, files: Mapping[str, Path]) -> NDArray[np.float32]:
    import torch

    tokenizer, model = load_model(files, device)
    # Each distinct sentence once, in batches of similar length, so that little is spent on padding.
    distinct = sorted(set(sentences), key=lambda s: (len(s), s))
    rows = []
    with torch.inference_mode():
        for start in range(0, len(distinct), batch_size):
            batch = tokenizer(
                distinct[start : start + batch_size],
                padding=True,
                truncation=True,
                max_length=MAX_TOKENS,
                return_tensors="pt",
            ).to(device)
            states = model(**batch).last_hidden_state  # (B, T, 384)
            mask = batch["attention_mask"].unsqueeze(-1).to(states.dtype)
            mean = (states * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1e-9)
            rows.append(torch.nn.functional.normalize(mean, dim=1).float().cpu().numpy())
    vectors = np.concatenate(rows)
    place = {sentence: row for row, sentence in enumerate(distinct)}
    return vectors[[place[sentence] for sentence in sentences]]


def _cache_file(sentences: Sequence[str], files: Mapping[str, Path]) -> Path:
    digest = hashlib.sha256(f"{_CACHE_FORMAT} {MAX_TOKENS}".encode())
    for name in sorted(files):
        state = files[name].stat()
        digest.update(f"{name} {state.st_size} {state.st_mtime_ns}\n".encode())
    for sentence in sentences:
        digest.update(f"{len(sentence)} {sentence}\n".encode())
    return cache_dir() / "embeddings" / f"{digest.hexdigest()[:32]}.npz"


def _read(path: Path, n: int) -> NDArray[np.float32] | None:
    """Stored vectors; None when there are none or the file is not whole."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            vectors = stored["vectors"]
    except (OSError, ValueError, KeyError, EOFError):
        return None
    except Exception as error:
        # A damaged archive raises zipfile.BadZipFile or zlib.error: make the vectors anew, hide nothing else.
        if type(error).__module__ in ("zipfile", "zlib"):
            return None
        raise
    return vectors if vectors.ndim == 2 and len(vectors) == n and vectors.dtype == np.float32 else None


def _write(path: Path, vectors: NDArray[np.float32]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.stem}.{os.getpid()}.part.npz")
    try:
        np.savez(part, vectors=vectors)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
