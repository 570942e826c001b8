"""Does one answer to a question say what another says? Judges of entailment.

A judge takes triples (question, first answer, second answer): it says whether whoever answers `first` has also said
`second`. Two answers mean the same when each entails the other (Farquhar et al. 2024, bidirectional entailment).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..phantoms import radiology_terms
from .causal import Sampling
from .recorded import LanguageModel

Asked = tuple[str, str, str]  # question, first answer, second answer


class Judge(Protocol):
    """What groups answers: `name` for tables, `entails` for ordered pairs of answers, best asked all in one call."""

    name: str

    def entails(self, asked: Sequence[Asked]) -> NDArray[np.bool_]:
        """True where the first answer entails the second, (len(asked),)."""


class StringJudge:
    """Equal wording only, case and blanks at the ends aside."""

    name = "string"

    def entails(self, asked: Sequence[Asked]) -> NDArray[np.bool_]:
        """True where both answers are the same text."""
        return np.array([_plain(first) == _plain(second) for _, first, second in asked], dtype=bool)


class OracleJudge:
    """The truth of the radiology phantoms' table of concepts; a text that the table lacks entails itself only."""

    name = "oracle"

    def entails(self, asked: Sequence[Asked]) -> NDArray[np.bool_]:
        """True where the table of concepts says so."""
        known = set(radiology_terms.all_phrases())
        return np.array(
            [a == b or (a in known and b in known and radiology_terms.entails(a, b)) for _, a, b in asked], dtype=bool
        )


class LanguageModelJudge:
    """A language model that is asked yes or no, by likelihood (`generate=False`) or by the start of its reply.

    model: anything of `LanguageModel`: a small local model, an endpoint, or a book of recorded answers; an endpoint
    gives no likelihoods. A reply that begins with neither word counts as no and is counted in `n_unclear`.
    """

    name = "language model"

    def __init__(self, model: LanguageModel, *, generate: bool = False) -> None:
        self.model, self.generate, self.name = model, generate, model.name
        self.n_unclear = 0

    def entails(self, asked: Sequence[Asked]) -> NDArray[np.bool_]:
        """One request a pair."""
        return np.array([self._ask(entailment_prompt(*triple)) for triple in asked], dtype=bool)

    def _ask(self, prompt: str) -> bool:
        if not self.generate:
            return self.model.score(prompt, [" yes", " no"]).best() == 0
        reply = self.model.generate(prompt, Sampling(max_new_tokens=4))[0].strip().lower()
        self.n_unclear += not reply.startswith(("yes", "no"))
        return reply.startswith("yes")


class CachedJudge:
    """Asks a judge each ordered pair of distinct answers once; `n_asked` counts what it was asked."""

    def __init__(self, judge: Judge) -> None:
        self.judge, self.name = judge, judge.name
        self._known: dict[Asked, bool] = {}

    @property
    def n_asked(self) -> int:
        return len(self._known)

    def entails(self, asked: Sequence[Asked]) -> NDArray[np.bool_]:
        """As the judge says; equal texts entail each other without asking."""
        missing = [t for t in dict.fromkeys(asked) if t[1] != t[2] and t not in self._known]
        if missing:
            self._known.update(zip(missing, map(bool, self.judge.entails(missing)), strict=True))
        return np.array([t[1] == t[2] or self._known[t] for t in asked], dtype=bool)


def entailment_prompt(question: str, first: str, second: str) -> str:
    """The question put to a language model about one ordered pair."""
    return (
        f"Question: {question}\nAnswer A: {first}\nAnswer B: {second}\n"
        "Does answer A imply answer B, in the context of the question? Reply yes or no.\nReply:"
    )


def _plain(text: str) -> str:
    return " ".join(text.split()).casefold()
