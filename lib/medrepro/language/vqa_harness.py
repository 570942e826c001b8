"""From an image and a prompt to an answer, a table row and a score: one path for TinyVLM and for endpoints.

prompt -> text -> parser -> metrics. A `VisionModel` gets images and prompts and returns texts; nothing after that
knows which kind of model it was.
"""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike, NDArray

from ..models.tiny_vlm import TinyVLM
from ..stats import Estimate, proportion
from .answer_tables import COLUMNS
from .causal import Sampling
from .endpoint import Endpoint
from .entailment import Judge
from .vocabulary import ANSWER, END, PAD, UNKNOWN, WordVocabulary

_NEVER_SAID = [PAD, ANSWER, UNKNOWN]  # marks that are no words: they get no probability in an answer


@dataclass(frozen=True)
class Answer:
    """What a model said, and the natural log of its probability, nan where the model does not tell."""

    text: str
    log_prob: float = float("nan")


class VisionModel(Protocol):
    """What the harness can ask."""

    name: str

    def answer(self, images: NDArray[np.floating], prompts: Sequence[str], sampling: Sampling) -> list[list[Answer]]:
        """images (n, C, H, W), about 0 to 1, and a prompt to each: n rows of `sampling.n` answers."""


class TinyAnswers:
    """A trained TinyVLM as a `VisionModel`.

    The random numbers of a question come from `sampling.seed` and its place, so an answer does not depend on batch size
    or device beyond rounding. log_prob is that of the words and the end mark at temperature 1, whatever the sampling;
    an answer that was cut off lacks the end mark.
    """

    def __init__(self, model: TinyVLM, vocabulary: WordVocabulary, *, name: str, batch_size: int = 64) -> None:
        self.model, self.vocabulary, self.name, self.batch_size = model.eval(), vocabulary, name, batch_size

    def answer(self, images: NDArray[np.floating], prompts: Sequence[str], sampling: Sampling) -> list[list[Answer]]:
        """As `VisionModel`; top_p below 1 is not offered and a ValueError, as are unequal numbers."""
        if len(images) != len(prompts):
            raise ValueError(f"images and prompts must be equally many, got {len(images)} and {len(prompts)}")
        if sampling.top_p < 1:
            raise ValueError(f"top_p must be 1 for {self.name}, got {sampling.top_p}")
        found: list[list[Answer]] = []
        for start in range(0, len(prompts), self.batch_size):
            part = slice(start, start + self.batch_size)
            found += self._batch(np.asarray(images[part]), prompts[part], sampling, start)
        return found

    @torch.inference_mode()
    def log_prob(self, images: NDArray[np.floating], prompts: Sequence[str], answers: Sequence[str]) -> NDArray[Any]:
        """Natural log of the probability of a given answer to each prompt, (n,): the likelihood of options."""
        rows = [(self.vocabulary.prompt(p), self.vocabulary.answer(a)) for p, a in zip(prompts, answers, strict=True)]
        text = np.full((len(rows), max(len(p) + len(a) for p, a in rows)), PAD)
        for row, (prompt, answer) in zip(text, rows, strict=True):
            row[: len(prompt) + len(answer)] = prompt + answer
        logits = self.model(self._to_model(images), self._numbers(text[:, None, :-1]))[:, 0]
        logits[..., _NEVER_SAID] = -torch.inf
        each = logits.double().log_softmax(-1).gather(-1, self._numbers(text[:, 1:, None]))[..., 0].cpu().numpy()
        place = np.arange(each.shape[1])
        first = np.array([len(p) - 1 for p, _ in rows])[:, None]
        last = np.array([len(p) + len(a) - 1 for p, a in rows])[:, None]
        return np.where((place >= first) & (place < last), each, 0.0).sum(axis=1)

    @torch.inference_mode()
    def _batch(self, images: NDArray, prompts: Sequence[str], sampling: Sampling, start: int) -> list[list[Answer]]:
        encoded = [self.vocabulary.prompt(prompt) for prompt in prompts]
        lengths = np.array([len(row) for row in encoded])
        n_new = min(sampling.max_new_tokens, self.model.max_words - int(lengths.max()))
        if n_new < 1:
            raise ValueError(f"prompts must leave room for an answer in {self.model.max_words} words")
        text = np.full((len(prompts), sampling.n, lengths.max() + n_new), PAD)
        for row, words in zip(text, encoded, strict=True):
            row[:, : len(words)] = words
        uniform = np.stack(
            [np.random.default_rng([sampling.seed, start + i]).random((sampling.n, n_new)) for i in range(len(prompts))]
        )
        image_tokens = self.model.encode(self._to_model(images))
        total, running = np.zeros(text.shape[:2]), np.ones(text.shape[:2], dtype=bool)
        rows = np.arange(len(prompts))
        for step in range(n_new):
            at = lengths + step  # the place that is filled now; padding behind it changes nothing
            logits = self.model.decode(image_tokens, self._numbers(text[:, :, : at.max()]))
            now = logits[torch.from_numpy(rows), :, torch.from_numpy(at - 1)].double().cpu().numpy()  # (b, n, V)
            now[..., _NEVER_SAID] = -np.inf
            word = _draw(now, sampling.temperature, uniform[:, :, step])
            total += np.where(running, np.take_along_axis(_log_softmax(now), word[..., None], -1)[..., 0], 0.0)
            text[rows, :, at] = np.where(running, word, PAD)
            running &= word != END
            if not running.any():
                break
        return [
            [
                Answer(self.vocabulary.decode(text[i, j, lengths[i] :].tolist()), float(total[i, j]))
                for j in range(sampling.n)
            ]
            for i in rows
        ]

    def _to_model(self, images: NDArray[np.floating]) -> torch.Tensor:
        like = next(self.model.parameters())
        return torch.as_tensor(np.asarray(images)).to(device=like.device, dtype=like.dtype)

    def _numbers(self, words: NDArray) -> torch.Tensor:
        return torch.as_tensor(words).to(next(self.model.parameters()).device)


class EndpointAnswers(Endpoint):
    """A vision-language model behind an OpenAI-compatible endpoint; arguments as in `Endpoint`.

    Images are sent as PNG in the request, grey or RGB, and all samples of a question are asked for in one. A server
    that does not give likelihoods leaves log_prob at nan.
    """

    def answer(self, images: NDArray[np.floating], prompts: Sequence[str], sampling: Sampling) -> list[list[Answer]]:
        """As `VisionModel`; one request a question, more where the server returns fewer answers than asked for."""
        if len(images) != len(prompts):
            raise ValueError(f"images and prompts must be equally many, got {len(images)} and {len(prompts)}")
        return [self._one(image, prompt, sampling) for image, prompt in zip(images, prompts, strict=True)]

    def _one(self, image: NDArray[np.floating], prompt: str, sampling: Sampling) -> list[Answer]:
        content = [
            {"type": "text", "text": prompt},
            {"type": "image_url", "image_url": {"url": _png_url(image)}},
        ]
        answers: list[Answer] = []
        while len(answers) < sampling.n:
            missing = sampling.n - len(answers)
            reply = self._post(
                {
                    "model": self.name,
                    "messages": [{"role": "user", "content": content}],
                    "n": missing,
                    "temperature": sampling.temperature,
                    "top_p": sampling.top_p,
                    "max_tokens": sampling.max_new_tokens,
                    "seed": sampling.seed + len(answers),
                    "logprobs": True,
                }
            )
            texts = self._choices(reply)
            pairs = zip(texts, reply["choices"], strict=True)
            answers += [Answer(text, _reply_log_prob(choice)) for text, choice in pairs][:missing]
        return answers


def ask(
    model: VisionModel,
    images: NDArray[np.floating],
    questions: Mapping[str, Sequence[Any]] | pd.DataFrame,
    *,
    n_samples: int = 15,
    t_high: float = 1.0,
    t_low: float = 0.1,
    max_new_tokens: int = 32,
    seed: int,
) -> pd.DataFrame:
    """A base answer and `n_samples` samples to every question, as a table of `answer_tables`; `correct` is empty.

    images (n, C, H, W), one a question. questions: columns `id`, `question`, `expected`, and `prompt` where the words
    put to the model differ from the question; further columns are kept. 1 + n_samples answers a question.
    """
    asked = pd.DataFrame(questions).reset_index(drop=True)
    prompts = [str(p) for p in asked.get("prompt", asked["question"])]
    low, high = (Sampling(n, t, max_new_tokens=max_new_tokens, seed=seed + i)
                 for i, (n, t) in enumerate(((1, t_low), (n_samples, t_high))))  # fmt: skip
    base, hot = model.answer(images, prompts, low), model.answer(images, prompts, high)
    rows = [
        {**about, "model": model.name, "sample": sample, "temperature": t_high if sample else t_low,
         "text": answer.text, "log_prob": answer.log_prob, "correct": np.nan}
        for about, first, rest in zip(asked.to_dict("records"), base, hot, strict=True)
        for sample, answer in enumerate([*first, *rest])
    ]  # fmt: skip
    table = pd.DataFrame(rows)
    return table[[*COLUMNS, *(name for name in table.columns if name not in (*COLUMNS, "prompt"))]]


def judge_correct(questions: Sequence[str], answers: Sequence[str], expected: Sequence[str], judge: Judge) -> NDArray:
    """True where an answer means what was expected: each entails the other, (n,). A broader answer is not enough."""
    there = judge.entails(list(zip(questions, answers, expected, strict=True)))
    back = judge.entails(list(zip(questions, expected, answers, strict=True)))
    return there & back


def parse_choice(text: str, synonyms: Mapping[str, Sequence[str]]) -> str | None:
    """The one option that a text names, None when it names none or several: a failure to be counted.

    synonyms: option to the phrases that mean it. Case is ignored; phrases are found as whole words, the longest first,
    so that "no tumour" is not read as "tumour" where both are phrases.
    """
    phrases = sorted(((p, option) for option, ps in synonyms.items() for p in ps), key=lambda row: -len(row[0]))
    left, named = text.casefold(), set()
    for phrase, option in phrases:
        left, found = re.subn(rf"(?<!\w){re.escape(phrase.casefold())}(?!\w)", " ", left)
        if found:
            named.add(option)
    return named.pop() if len(named) == 1 else None


@dataclass(frozen=True)
class ChoiceScores:
    """Accuracy with an unreadable answer counted as wrong, and the share of unreadable answers."""

    accuracy: Estimate
    invalid: Estimate


def score_choices(
    parsed: Sequence[str | None], expected: Sequence[str], *, units: ArrayLike | None = None, level: float = 0.95
) -> ChoiceScores:
    """Scores of parsed answers (n); units: clusters, such as the patient of each image. Wilson intervals."""
    right = np.array([a == b for a, b in zip(parsed, expected, strict=True)])
    invalid = np.array([a is None for a in parsed])
    scores = (proportion(values, units=units, level=level) for values in (right, invalid))
    return ChoiceScores(*(replace(s, unit="question") if units is None else s for s in scores))


def _draw(logits: NDArray, temperature: float, uniform: NDArray) -> NDArray[np.int64]:
    """A word by inversion of its cumulative probability at this temperature; the likeliest at 0."""
    if temperature == 0:
        return logits.argmax(axis=-1)
    cumulative = np.exp(_log_softmax(logits / temperature)).cumsum(axis=-1)
    return (cumulative < uniform[..., None] * cumulative[..., -1:]).sum(axis=-1)


def _log_softmax(logits: NDArray) -> NDArray:
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def _png_url(image: NDArray[np.floating]) -> str:
    from PIL import Image

    pixels = (np.clip(image, 0, 1) * 255).round().astype(np.uint8)
    opened = Image.fromarray(pixels[0] if len(pixels) == 1 else np.moveaxis(pixels, 0, -1))
    written = io.BytesIO()
    opened.save(written, format="PNG")
    return "data:image/png;base64," + base64.b64encode(written.getvalue()).decode()


def _reply_log_prob(choice: Any) -> float:
    try:
        return float(sum(token["logprob"] for token in choice["logprobs"]["content"]))
    except (KeyError, TypeError):
        return float("nan")
