"""Answers to one question, grouped by meaning, and the entropy of the groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import adjusted_rand_score

from ..stats import Estimate, bootstrap
from ..stats.entropy import discrete_semantic_entropy, string_entropy
from .entailment import CachedJudge, Judge

_DIGITS = 5  # entropies are rounded so that equal group sizes give equal numbers, whatever their order


def group_answers(
    question: str, answers: Sequence[str], judge: Judge, *, bidirectional: bool = True
) -> NDArray[np.int64]:
    """The group of each answer, (n,), numbered in order of appearance.

    Answers are taken in order. One joins the first group whose first member says the same, the largest groups being
    tried first (Farquhar et al. 2024, algorithm 1; groups by size as in the public code of the sibling study); equal
    texts say the same without asking. bidirectional: both directions are needed; False: the new answer need only
    entail the group's first member. The result can depend on the order, see `order_effect`.
    Raises ValueError without answers.
    """
    if len(answers) == 0:
        raise ValueError("answers must hold at least one text, got none")
    groups: list[list[int]] = []  # largest first, of equals the older first
    for i, answer in enumerate(answers):
        joined = next((g for g in groups if _same(question, answer, answers[g[0]], judge, bidirectional)), None)
        if joined is None:
            groups.append([i])
        else:
            joined.append(i)
            groups.sort(key=len, reverse=True)
    labels = np.empty(len(answers), dtype=np.int64)
    for number, group in enumerate(sorted(groups)):
        labels[group] = number
    return labels


def _same(question: str, answer: str, member: str, judge: Judge, bidirectional: bool) -> bool:
    if answer == member:
        return True
    if not judge.entails([(question, answer, member)])[0]:
        return False
    return not bidirectional or bool(judge.entails([(question, member, answer)])[0])


def group_all(
    questions: Sequence[str], samples: Sequence[Sequence[str]], judge: Judge, *, bidirectional: bool = True
) -> list[NDArray[np.int64]]:
    """`group_answers` for every question, the judge being asked all ordered pairs of distinct answers in one call.

    A judge that costs money is better asked pair by pair, by `group_answers` itself: that asks only what it needs.
    """
    known = CachedJudge(judge)
    known.entails(
        [
            (question, first, second)
            for question, answers in zip(questions, samples, strict=True)
            for first in dict.fromkeys(answers)
            for second in dict.fromkeys(answers)
        ]
    )
    return [
        group_answers(question, answers, known, bidirectional=bidirectional)
        for question, answers in zip(questions, samples, strict=True)
    ]


def semantic_entropies(groups: Sequence[ArrayLike], *, base: float = 10) -> NDArray[np.float64]:
    """Discrete semantic entropy of every question, (n,), rounded to 5 digits: 0 to log(samples).

    With base 10, an even split into two is 0.30103 and into four 0.60206: thresholds of 0.3 and 0.6 lie just below.
    """
    return np.round([discrete_semantic_entropy(labels, base=base) for labels in groups], _DIGITS)


def string_entropies(samples: Sequence[Sequence[str]], *, base: float = 10) -> NDArray[np.float64]:
    """The same with every wording a meaning of its own, (n,): the rival that knows no meaning."""
    return np.round([string_entropy(answers, base=base) for answers in samples], _DIGITS)


def majority_answers(samples: Sequence[Sequence[str]], groups: Sequence[ArrayLike]) -> list[str]:
    """The commonest wording in the largest group of every question; the earlier of equals."""
    chosen = []
    for answers, labels in zip(samples, groups, strict=True):
        codes = np.asarray(labels)
        largest = int(np.bincount(codes).argmax())
        inside = [answer for answer, code in zip(answers, codes, strict=True) if code == largest]
        chosen.append(max(dict.fromkeys(inside), key=inside.count))
    return chosen


def rand_agreement(
    groups: Sequence[ArrayLike], reference: Sequence[ArrayLike], *, n_boot: int = 1000, seed: int, level: float = 0.95
) -> Estimate:
    """Mean adjusted Rand index (Hubert & Arabie 1985) over questions, which are resampled.

    Two groupings that put all answers together agree with 1. Raises ValueError when the numbers of questions differ.
    """
    if len(groups) != len(reference) or not len(groups):
        raise ValueError(f"groups and reference must be equally many, >= 1, got {len(groups)} and {len(reference)}")
    each = np.array([adjusted_rand_score(r, g) for g, r in zip(groups, reference, strict=True)])
    return bootstrap(np.mean, each, n_boot=n_boot, seed=seed, level=level)


@dataclass(frozen=True)
class OrderEffect:
    """Entropies under permuted orders, (n_orders, questions), and how far they lie apart for each question."""

    entropies: NDArray[np.float64]

    @property
    def spread(self) -> NDArray[np.float64]:
        """Largest minus smallest entropy of each question."""
        return self.entropies.max(axis=0) - self.entropies.min(axis=0)

    def changed(self, threshold: float) -> NDArray[np.bool_]:
        """Questions that are kept in one order and rejected in another."""
        kept = self.entropies <= threshold
        return np.asarray(kept.any(axis=0) & ~kept.all(axis=0))


def order_effect(
    questions: Sequence[str],
    samples: Sequence[Sequence[str]],
    judge: Judge,
    *,
    n_orders: int = 20,
    base: float = 10,
    bidirectional: bool = True,
    seed: int,
) -> OrderEffect:
    """Group the same answers again in `n_orders` random orders; the judge is asked each pair once."""
    if n_orders < 1:
        raise ValueError(f"n_orders must be >= 1, got {n_orders}")
    rng, known = np.random.default_rng(seed), CachedJudge(judge)
    rows = []
    for _ in range(n_orders):
        shuffled = [[answers[i] for i in rng.permutation(len(answers))] for answers in samples]
        rows.append(semantic_entropies(group_all(questions, shuffled, known, bidirectional=bidirectional), base=base))
    return OrderEffect(np.array(rows))
