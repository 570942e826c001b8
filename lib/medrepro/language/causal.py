"""What chapters ask of a causal language model: likelihoods of options, answers, sentence vectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class OptionScores:
    """Log-likelihoods of answer options after one prompt.

    log_prob: (n_options,) natural log, summed over the option's tokens. prior: the same after the content-free prompt,
    nan when none was given. n_tokens: (n_options,).
    """

    log_prob: NDArray[np.float64]
    prior: NDArray[np.float64]
    n_tokens: NDArray[np.int64]

    @property
    def pmi(self) -> NDArray[np.float64]:
        """log p(option | prompt) - log p(option | content-free prompt) (Holtzman et al. 2021, domain-conditional PMI).

        Takes out how likely an option is by itself, its length included.
        """
        return self.log_prob - self.prior

    def best(self, rule: str = "sum") -> int:
        """Index of the best option by "sum", "mean" (per token) or "pmi"; the first of equals."""
        rules = {"sum": self.log_prob, "mean": self.log_prob / self.n_tokens, "pmi": self.pmi}
        if rule not in rules:
            raise ValueError(f"rule must be one of {', '.join(rules)}, got {rule!r}")
        if np.isnan(rules[rule]).any():
            raise ValueError("rule 'pmi' needs the content-free prompt that the scores were made without")
        return int(np.argmax(rules[rule]))


@dataclass(frozen=True)
class Sampling:
    """How answers are drawn: n of them, temperature 0 for the likeliest token at each step, nucleus top_p in (0, 1].

    Raises ValueError for values out of range; several answers need a temperature above 0.
    """

    n: int = 1
    temperature: float = 0.0
    top_p: float = 1.0
    max_new_tokens: int = 32
    seed: int = 0

    def __post_init__(self) -> None:
        if self.n < 1 or self.max_new_tokens < 1:
            raise ValueError(f"n and max_new_tokens must be >= 1, got {self.n} and {self.max_new_tokens}")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p must be in (0, 1], got {self.top_p}")
        if self.temperature < 0 or (self.temperature == 0 and self.n > 1):
            raise ValueError(f"temperature must be >= 0, and > 0 for several answers, got {self.temperature}")


class CausalModel:
    """A causal language model of transformers with its tokenizer.

    name, digest: which model this is, for records. Inference only; global random state is neither read nor changed.
    """

    def __init__(self, model: Any, tokenizer: Any, *, name: str, digest: str) -> None:
        self.model, self.tokenizer, self.name, self.digest = model, tokenizer, name, digest

    @property
    def max_tokens(self) -> int:
        return int(self.model.config.max_position_embeddings)

    def chat(self, question: str, system: str = "") -> str:
        """The prompt in the model's own chat format, ready for the answer; a model without one gets plain text."""
        if not self.tokenizer.chat_template:
            return f"{system}\n\n{question}\nAnswer:".lstrip()
        turns = [{"role": "system", "content": system}] if system else []
        turns.append({"role": "user", "content": question})
        return str(self.tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True))

    def score(self, prompt: str, options: Sequence[str], *, content_free: str | None = None) -> OptionScores:
        """Log-likelihood of each option after the prompt; the prompt is read once and its states are reused.

        Prompt and option are turned into tokens apart, an option with its leading space as given. content_free: a
        prompt without content such as "Answer:", for `OptionScores.pmi`.
        Raises ValueError when there is no option, an option has no token, or prompt and option exceed `max_tokens`.
        """
        log_prob, n_tokens = self._continuations(prompt, options)
        prior = np.full(len(options), np.nan) if content_free is None else self._continuations(content_free, options)[0]
        return OptionScores(log_prob, prior, n_tokens)

    def _continuations(self, prompt: str, options: Sequence[str]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        import torch

        if isinstance(options, str) or len(options) == 0:
            raise ValueError(f"options must be a list of at least one text, got {options!r}")
        first = self._ids(prompt, special=True)
        rows = [self._ids(option, special=False) for option in options]
        if not first or not all(rows):
            raise ValueError("prompt and options must hold at least one token each, got an empty one")
        longest = max(map(len, rows))
        if len(first) + longest > self.max_tokens:
            raise ValueError(f"prompt and option must fit into {self.max_tokens} tokens, got {len(first) + longest}")
        device = self.model.device
        with torch.inference_mode():
            read = self.model(torch.tensor([first], device=device), use_cache=True)
            cache = read.past_key_values
            cache.batch_repeat_interleave(len(rows))
            # Right padding: a token never sees those after it, so the padding changes no likelihood.
            padded = torch.tensor([row + [0] * (longest - len(row)) for row in rows], device=device)  # (O, T)
            after = self.model(padded, past_key_values=cache).logits  # (O, T, V)
            start = read.logits[:, -1:].expand(len(rows), 1, -1)
            logits = torch.cat([start, after[:, :-1]], dim=1).double()
            chosen = logits.log_softmax(dim=-1).gather(-1, padded[..., None])[..., 0]  # (O, T)
        n_tokens = np.array([len(row) for row in rows])
        inside = np.arange(longest) < n_tokens[:, None]
        return np.where(inside, chosen.cpu().numpy(), 0.0).sum(axis=1), n_tokens

    def generate(self, prompt: str, sampling: Sampling) -> list[str]:
        """The answers, `sampling.n` of them; equal seeds give equal answers on one machine and device."""
        import torch

        ids = torch.tensor([self._ids(prompt, special=True)], device=self.model.device)
        hot = sampling.temperature > 0
        drawn = {"temperature": sampling.temperature, "top_p": sampling.top_p, "top_k": 0} if hot else {}
        devices = [] if self.model.device.type == "cpu" else [self.model.device]
        with torch.inference_mode(), torch.random.fork_rng(devices=devices):
            torch.manual_seed(sampling.seed)
            made = self.model.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                do_sample=hot,
                num_return_sequences=sampling.n,
                max_new_tokens=sampling.max_new_tokens,
                pad_token_id=self.tokenizer.pad_token_id or self.tokenizer.eos_token_id,
                **drawn,
            )
        return [self.tokenizer.decode(row[ids.shape[1] :], skip_special_tokens=True).strip() for row in made]

    def embed(self, texts: Sequence[str], *, layer: int = -1) -> NDArray[np.float32]:
        """Mean state of a layer over each text's tokens, (n, width) float32; one text at a time, so without padding."""
        import torch

        rows = []
        with torch.inference_mode():
            for text in texts:
                ids = torch.tensor([self._ids(text, special=True)], device=self.model.device)
                states = self.model(ids, output_hidden_states=True).hidden_states[layer]  # (1, T, C)
                rows.append(states[0].mean(dim=0).float().cpu().numpy())
        return np.stack(rows) if rows else np.zeros((0, self.model.config.hidden_size), dtype=np.float32)

    def _ids(self, text: str, *, special: bool) -> list[int]:
        return list(self.tokenizer(text, add_special_tokens=special)["input_ids"])
