"""Entropy of the answers a language model gives to one question, by meaning and by wording."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from ._inputs import encode, is_missing


def discrete_semantic_entropy(meanings: ArrayLike, *, base: float = math.e) -> float:
    """Entropy of the meanings of n answers to one question (Farquhar et al. 2024, discrete variant).

    meanings (n,): the group of each answer, answers that entail each other sharing one; any labels. Each group has
    the probability count / n, and H = -sum p log p lies between 0 (one meaning) and log n (n meanings).
    base: of the logarithm; e gives nats, as in the paper, 2 gives bits.
    The plug-in estimate is biased downwards for small n: compare only questions with equally many answers.
    Raises ValueError without answers, on missing labels and on a base that is not above 1.
    """
    labels = np.asarray(meanings)
    if labels.ndim != 1 or labels.size == 0:
        raise ValueError(f"meanings must have shape (n,) with n >= 1, got shape {labels.shape}")
    if isinstance(base, bool) or not isinstance(base, int | float) or not 1 < base < math.inf:
        raise ValueError(f"base must be a number above 1, got {base!r}")
    missing = int(is_missing(labels).sum())
    if missing:
        raise ValueError(f"meanings must not have missing values, got {missing} of {labels.size}")
    share = np.bincount(encode(labels)[1]) / labels.size
    return abs(float(-np.sum(share * np.log(share)))) / math.log(base)  # abs: -0.0 for one meaning is 0.0


def string_entropy(answers: Sequence[str], *, base: float = math.e) -> float:
    """Entropy of the wordings of n answers: each distinct string is a meaning of its own.

    Strings are compared as they are, letter by letter; normalise them first where case or blanks should not count.
    Never below `discrete_semantic_entropy` of the same answers when equal strings share a group.
    base, range and bias as there. Raises ValueError without answers, on anything but strings, and on other bases.
    """
    if isinstance(answers, str) or not all(isinstance(answer, str) for answer in answers):
        raise ValueError(f"answers must be a sequence of strings, got {answers!r:.80}")
    if len(answers) == 0:
        raise ValueError("answers must hold at least one string, got none")
    numbers: dict[str, int] = {}
    return discrete_semantic_entropy([numbers.setdefault(answer, len(numbers)) for answer in answers], base=base)
