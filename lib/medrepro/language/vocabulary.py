"""Whole words as numbers, for models that are trained from scratch on a closed set of phrases."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

PAD, ANSWER, END, UNKNOWN = range(4)
_SPECIAL = ("<pad>", "<answer>", "<end>", "<unknown>")


class WordVocabulary:
    """The words of some texts, split at blanks and kept as they are written.

    A prompt is its words and a mark where the answer begins; an answer is its words and a mark where it ends.
    Decoding gives back any text of known words that are one blank apart. Raises ValueError without texts.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        words = sorted({word for text in texts for word in text.split()} - set(_SPECIAL))
        if not words:
            raise ValueError("texts must hold at least one word, got none")
        self.words = (*_SPECIAL, *words)
        self._number = {word: number for number, word in enumerate(self.words)}

    def __len__(self) -> int:
        return len(self.words)

    def encode(self, text: str) -> list[int]:
        """The numbers of the words; UNKNOWN for one that is not in the vocabulary."""
        return [self._number.get(word, UNKNOWN) for word in text.split()]

    def prompt(self, text: str) -> list[int]:
        """The words of a question and the mark after which the answer comes."""
        return [*self.encode(text), ANSWER]

    def answer(self, text: str) -> list[int]:
        """The words of an answer and the mark that ends it."""
        return [*self.encode(text), END]

    def decode(self, numbers: Sequence[int]) -> str:
        """The words up to the end mark; other marks are left out."""
        words = []
        for number in numbers:
            if number == END:
                break
            if number not in (PAD, ANSWER):
                words.append(self.words[number])
        return " ".join(words)
