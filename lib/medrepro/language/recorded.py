"""Recorded answers of language models: replayed by default, asked again on request, checked on a random share."""

from __future__ import annotations

import datetime
import hashlib
import json
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ..data import DataError
from .causal import OptionScores, Sampling

_FORMAT = 1


class LanguageModel(Protocol):
    """What can be recorded: `CausalModel`, `Endpoint`, or anything that answers alike."""

    name: str
    digest: str

    def generate(self, prompt: str, sampling: Sampling) -> list[str]:
        """The answers to the prompt."""

    def score(self, prompt: str, options: Sequence[str], *, content_free: str | None = None) -> OptionScores:
        """Log-likelihoods of options after the prompt."""


class AnswerBook:
    """Answers by model, prompt and settings; missing ones are asked of the model, if there is one, and kept.

    path: a JSON-lines file made by `save`, or None to begin empty. name, digest: the model whose answers these are.
    model: returns the model when an answer is missing; None: a missing answer is a DataError. The model is loaded at
    most once, and not at all where everything is recorded. A prompt is stored as its SHA-256 only.
    """

    def __init__(
        self, path: Path | None, *, name: str, digest: str, model: Callable[[], LanguageModel] | None = None
    ) -> None:
        self.name, self.digest = name, digest
        self._load_model = model
        self._model: LanguageModel | None = None
        self._rows = {} if path is None else _read(path)
        self.n_asked = 0

    def generate(self, prompt: str, sampling: Sampling) -> list[str]:
        """The recorded answers, or those of the model."""
        row = self._find("generate", prompt, asdict(sampling), lambda model: model.generate(prompt, sampling))
        return list(row["answer"])

    def score(self, prompt: str, options: Sequence[str], *, content_free: str | None = None) -> OptionScores:
        """The recorded log-likelihoods, or those of the model; arguments as in `CausalModel.score`."""
        settings = {"options": list(options), "content_free": content_free}

        def ask(model: LanguageModel) -> dict[str, list[float | None]]:
            return _to_row(model.score(prompt, options, content_free=content_free))

        return _from_row(self._find("score", prompt, settings, ask)["answer"])

    def verify(self, prompts: Sequence[tuple[str, Sequence[str], str | None]], *, share: float, seed: int) -> float:
        """Score a random share of (prompt, options, content-free prompt) anew; the largest difference from the record.

        At least one is scored. Raises ValueError when share is not in (0, 1] or there is no prompt.
        """
        if not 0 < share <= 1 or not prompts:
            raise ValueError(f"share must be in (0, 1] and prompts not empty, got {share} and {len(prompts)} prompts")
        n = max(1, round(share * len(prompts)))
        largest = 0.0
        for i in np.random.default_rng(seed).choice(len(prompts), size=n, replace=False):
            prompt, options, content_free = prompts[i]
            recorded = self.score(prompt, options, content_free=content_free)
            again = self._live().score(prompt, options, content_free=content_free)
            for old, new in ((recorded.log_prob, again.log_prob), (recorded.prior, again.prior)):
                largest = max(largest, float(np.nan_to_num(np.abs(old - new)).max()))
        return largest

    def save(self, path: Path) -> None:
        """Write all answers, sorted, so that equal answers give an equal file; renamed into place when complete."""
        lines = [json.dumps(self._rows[key], sort_keys=True, ensure_ascii=False) for key in sorted(self._rows)]
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            part.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)

    def _find(
        self, kind: str, prompt: str, settings: dict[str, Any], ask: Callable[[LanguageModel], Any]
    ) -> dict[str, Any]:
        hidden = hashlib.sha256(prompt.encode()).hexdigest()
        about = {"model": self.name, "digest": self.digest, "kind": kind, "prompt_sha256": hidden, "settings": settings}
        key = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()
        if key not in self._rows:
            if self._load_model is None:
                raise DataError(f"{self.name}: no recorded answer to prompt {hidden[:12]} with these settings")
            answer = ask(self._live())
            self.n_asked += 1
            date = datetime.datetime.now(datetime.UTC).date().isoformat()
            self._rows[key] = {"format": _FORMAT, "key": key, **about, "date": date, "answer": answer}
        return self._rows[key]

    def _live(self) -> LanguageModel:
        if self._model is None:
            if self._load_model is None:
                raise DataError(f"{self.name}: answers are recorded only; there is no model to ask")
            self._model = self._load_model()
            if (self._model.name, self._model.digest) != (self.name, self.digest):
                raise DataError(f"asked {self._model.name} for answers that are recorded as those of {self.name}")
        return self._model


def _read(path: Path) -> dict[str, dict[str, Any]]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise DataError(f"{path.name}: recorded answers cannot be read: {error.strerror}") from None
    rows = {}
    for number, line in enumerate(lines, start=1):
        try:
            row = json.loads(line)
            about = {name: row[name] for name in ("model", "digest", "kind", "prompt_sha256", "settings")}
            whole = row["format"] == _FORMAT and "answer" in row
        except (ValueError, KeyError, TypeError):
            raise DataError(f"{path.name}: line {number} is not a recorded answer") from None
        # The key is made from what the row says of itself: a row that was edited by hand is not taken for another.
        if not whole or row["key"] != hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest():
            raise DataError(f"{path.name}: line {number} was altered or is of another version")
        rows[row["key"]] = row
    return rows


def _to_row(scores: OptionScores) -> dict[str, list[float | None]]:
    def numbers(values: Any) -> list[float | None]:
        return [None if math.isnan(value) else round(float(value), 6) for value in values]

    return {
        "log_prob": numbers(scores.log_prob),
        "prior": numbers(scores.prior),
        "n_tokens": [int(n) for n in scores.n_tokens],
    }


def _from_row(row: dict[str, list[Any]]) -> OptionScores:
    log_prob, prior = (np.array(row[name], dtype=np.float64) for name in ("log_prob", "prior"))
    return OptionScores(log_prob, prior, np.array(row["n_tokens"], dtype=np.int64))
