"""Training of small vision-language models on images with questions and answers in words."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from ..language.vocabulary import PAD, WordVocabulary
from ..models.tiny_vlm import TinyVLM

# Members of the family by name; everything else about them is equal.
MEMBERS: dict[str, dict[str, Any]] = {
    "tinyvlm_s": {"channels": (16, 32, 48), "dim": 48, "depth": 2},
    "tinyvlm_m": {"channels": (24, 48, 64), "dim": 80, "depth": 3},
}
_NO_LOSS = -100  # the value that cross_entropy leaves out


@dataclass(frozen=True, eq=False)
class VqaExamples:
    """n images, each with Q questions and answers.

    images (n, C, S, S) float32. prompts, answers: n rows of Q texts.
    Raises ValueError when the numbers of images, rows or texts a row differ.
    """

    images: NDArray[np.float32]
    prompts: Sequence[Sequence[str]]
    answers: Sequence[Sequence[str]]

    def __post_init__(self) -> None:
        if self.images.ndim != 4:
            raise ValueError(f"images must have shape (n, C, S, S), got {self.images.shape}")
        if not len(self.images) == len(self.prompts) == len(self.answers):
            found = f"{len(self.images)}, {len(self.prompts)} and {len(self.answers)}"
            raise ValueError(f"images, prompts and answers must be equally many, got {found}")
        widths = {len(row) for row in (*self.prompts, *self.answers)}
        if len(widths) != 1 or widths == {0}:
            raise ValueError(f"every image must have the same number of questions and answers, got {sorted(widths)}")

    def __len__(self) -> int:
        return len(self.images)

    def texts(self) -> set[str]:
        """All questions and answers, from which a vocabulary can be made."""
        return {text for rows in (self.prompts, self.answers) for row in rows for text in row}


@dataclass(frozen=True, eq=False)
class VlmFit:
    """A trained model in evaluation mode, the loss of every step (nats a word of the answer), seconds taken."""

    model: TinyVLM
    losses: tuple[float, ...]
    seconds: float


def make_member(name: str, vocabulary: WordVocabulary, **changes: Any) -> Callable[[], TinyVLM]:
    """A function that builds a member of MEMBERS; changes: constructor arguments of `TinyVLM` to replace."""
    if name not in MEMBERS:
        raise ValueError(f"member must be one of {', '.join(MEMBERS)}, got {name!r}")
    return lambda: TinyVLM(len(vocabulary), **{**MEMBERS[name], **changes})


def encode_examples(examples: VqaExamples, vocabulary: WordVocabulary) -> tuple[torch.Tensor, torch.Tensor]:
    """Text (n, Q, T) and, one place earlier, the word to be predicted (n, Q, T), _NO_LOSS outside the answer."""
    rows = [
        [(vocabulary.prompt(p), vocabulary.answer(a)) for p, a in zip(prompts, answers, strict=True)]
        for prompts, answers in zip(examples.prompts, examples.answers, strict=True)
    ]
    longest = max(len(p) + len(a) - 1 for row in rows for p, a in row)
    text = np.full((len(rows), len(rows[0]), longest), PAD)
    target = np.full_like(text, _NO_LOSS)
    for i, row in enumerate(rows):
        for j, (prompt, answer) in enumerate(row):
            whole = prompt + answer
            text[i, j, : len(whole) - 1] = whole[:-1]
            target[i, j, len(prompt) - 1 : len(whole) - 1] = answer
    return torch.from_numpy(text), torch.from_numpy(target)


def answer_loss(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Mean cross-entropy (nats) of the words of the answers; logits (..., V), target (...) with _NO_LOSS elsewhere."""
    return F.cross_entropy(logits.flatten(0, -2).float(), target.flatten(), ignore_index=_NO_LOSS)


def train_vlm(
    build: Callable[[], TinyVLM],
    examples: VqaExamples,
    vocabulary: WordVocabulary,
    *,
    steps: int = 500,
    batch_size: int = 32,
    lr: float = 5e-3,
    weight_decay: float = 0.05,
    blank: float = 0.05,
    device: str = "cpu",
    dtype: torch.dtype = torch.float32,
    seed: int,
) -> VlmFit:
    """Train with AdamW, 5 % warm-up and cosine decay; the loss is on the words of the answers only.

    build: makes a new model; it is called with the random state set, so that equal seeds give equal models.
    batch_size: images a step, each with all its questions, encoded once. blank: share of images replaced by zeros, so
    that the model has learnt what to say when there is nothing to see: the distribution of the answers.
    dtype: of weights and activations; the loss is float32 always. The global random state is left as it was.
    Raises ValueError when steps or batch_size < 1, or blank is not in [0, 1).
    """
    if steps < 1 or batch_size < 1:
        raise ValueError(f"steps and batch_size must be >= 1, got {steps} and {batch_size}")
    if not 0 <= blank < 1:
        raise ValueError(f"blank must be in [0, 1), got {blank}")
    started = time.perf_counter()
    rng = np.random.default_rng(seed)
    text, target = (t.to(device) for t in encode_examples(examples, vocabulary))
    images = torch.from_numpy(examples.images).to(device=device, dtype=dtype)
    order = _visits(len(examples), steps * batch_size, rng).reshape(steps, batch_size)
    seen = torch.from_numpy((rng.random(order.shape) >= blank).astype(np.float32)).to(device=device, dtype=dtype)
    losses = []
    with torch.random.fork_rng(devices=[torch.device(device)] if device != "cpu" else []):
        torch.manual_seed(seed)
        model = build().to(device=device, dtype=dtype).train()
        optimiser = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=weight_decay, fused=True)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimiser, max_lr=lr, total_steps=steps + 1, pct_start=0.05, cycle_momentum=False
        )
        for chosen, visible in zip(torch.from_numpy(order).to(device), seen, strict=True):
            batch = images[chosen] * visible[:, None, None, None]
            loss = answer_loss(model(batch, text[chosen]), target[chosen])
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            losses.append(loss.detach())
    return VlmFit(model.eval(), tuple(torch.stack(losses).tolist()), time.perf_counter() - started)


def _visits(n: int, wanted: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Example numbers, each as often as any other up to one, every pass in an order of its own."""
    passes = [rng.permutation(n) for _ in range(-(-wanted // n))]
    return np.concatenate(passes)[:wanted]
