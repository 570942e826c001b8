"""A judge of entailment that is learnt from pairs with known truth, and the quality of any judge on such pairs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files

import numpy as np
import yaml
from numpy.typing import NDArray
from scipy.special import expit

from ..phantoms import radiology_terms
from ..stats import Estimate, proportion
from .entailment import Asked, Judge
from .minilm import embed_sentences

Embedder = Callable[[Sequence[str]], NDArray[np.floating]]


class EmbeddingJudge:
    """A logistic classifier on features of two sentence vectors u, v; see `pair_features`. Made by `train_judge`.

    weights (4 C + 1,), bias: of the classifier. threshold: probability from which a pair counts as entailed.
    """

    name = "minilm_directional"

    def __init__(self, embed: Embedder, weights: NDArray[np.float64], bias: float, threshold: float) -> None:
        self.embed, self.weights, self.bias, self.threshold = embed, weights, bias, threshold

    def probability(self, asked: Sequence[Asked]) -> NDArray[np.float64]:
        """Probability that the first answer entails the second, (len(asked),), on the balanced scale of training."""
        if len(asked) == 0:
            return np.zeros(0)
        return expit(pair_features(asked, self.embed) @ self.weights + self.bias)

    def entails(self, asked: Sequence[Asked]) -> NDArray[np.bool_]:
        """True where `probability` reaches the threshold."""
        return self.probability(asked) >= self.threshold


@dataclass(frozen=True)
class LabelledPair:
    """An ordered pair of answers to a question, and whether the first entails the second. concepts: theirs, by number.

    relation: "same" (synonyms), "narrower" (first is the narrower one), "broader", or "other" (another concept).
    """

    question: str
    first: str
    second: str
    entailed: bool
    relation: str
    concepts: tuple[int, int]

    @property
    def asked(self) -> Asked:
        """What a judge is asked."""
        return self.question, self.first, self.second


def training_pairs() -> list[LabelledPair]:
    """All ordered pairs of different phrases of the same question in the project's table of training concepts.

    None of its concepts is in the vocabulary of the radiology phantoms, on which a judge is measured.
    """
    table = yaml.safe_load(files(__package__).joinpath("entailment_pairs.yaml").read_text(encoding="utf-8"))
    pairs, number = [], 0
    for entry in table:
        ranked = []  # (phrase, number of its concept, rank)
        for concept in entry["concepts"]:
            for rank, kind in enumerate(("narrower", "phrases", "broader")):
                ranked += [(phrase, number, rank) for phrase in concept[kind]]
            number += 1
        pairs += _ordered_pairs(entry["question"], ranked)
    return pairs


def phantom_pairs(question: str | None = None) -> list[LabelledPair]:
    """The same of the radiology phantoms' concepts, of one question (its key) or of all: the test of a judge."""
    numbers = {name: number for number, name in enumerate(radiology_terms.CONCEPTS)}
    pairs = []
    for key, text in radiology_terms.QUESTIONS.items():
        if question in (None, key):
            ranked = [
                (phrase, numbers[concept.name], rank)
                for concept in radiology_terms.CONCEPTS.values()
                if concept.question == key
                for rank, phrases in enumerate((concept.narrower, concept.phrases, concept.broader))
                for phrase in phrases
            ]
            pairs += _ordered_pairs(text, ranked)
    return pairs


def _ordered_pairs(question: str, ranked: Sequence[tuple[str, int, int]]) -> list[LabelledPair]:
    pairs = []
    for first, a, rank_a in ranked:
        for second, b, rank_b in ranked:
            if first == second:
                continue
            # Two narrower phrases of one concept need not entail each other, nor two broader ones.
            entailed = a == b and (rank_a < rank_b or rank_a == rank_b == 1)
            related = "narrower" if rank_a < rank_b else "broader" if rank_a > rank_b else "same"
            relation = related if a == b and (rank_a != rank_b or rank_a == 1) else "other"
            pairs.append(LabelledPair(question, first, second, entailed, relation, (a, b)))
    return pairs


def pair_features(asked: Sequence[Asked], embed: Embedder = embed_sentences) -> NDArray[np.float64]:
    """[u, v, u - v, u * v, 5 u.v] * sqrt(4 C) of (question, first, second), (n, 4 C + 1).

    u, v: unit vectors of "answer (question)", so that the same words can mean different things in answer to different
    questions. Direction is in u - v: what makes one phrase the broader one. Closeness, u.v, is the most telling single
    number, and the factor of 5 spares it the shrinkage of the others.
    """
    texts = sorted({_in_context(q, answer) for q, *answers in asked for answer in answers})
    place = {text: row for row, text in enumerate(texts)}
    vectors = np.asarray(embed(texts), dtype=np.float64)
    u = vectors[[place[_in_context(q, first)] for q, first, _ in asked]]
    v = vectors[[place[_in_context(q, second)] for q, _, second in asked]]
    closeness = 5 * (u * v).sum(axis=1, keepdims=True)
    return float(np.sqrt(4 * u.shape[1])) * np.concatenate([u, v, u - v, u * v, closeness], axis=1)


def train_judge(
    pairs: Sequence[LabelledPair] | None = None,
    embed: Embedder = embed_sentences,
    *,
    inverse_penalty: float = 0.003,
    n_other: int = 1500,
    n_folds: int = 5,
    seed: int = 0,
) -> tuple[EmbeddingJudge, JudgeQuality]:
    """A judge, and its quality on concepts that the classifier had not seen.

    pairs: to learn from; `training_pairs()` when left out. n_other: how many pairs of different concepts the classifier
    sees, a seeded draw, for they are nine in ten. inverse_penalty: scikit-learn's C. Classes are balanced.
    The threshold maximises F1 on pairs of held-out concepts (n_folds folds of concepts, drawn by seed); the quality on
    these pairs is a little too good for that reason, and `judge_quality` on `phantom_pairs` is the test.
    """
    from sklearn.linear_model import LogisticRegression

    rows = list(training_pairs() if pairs is None else pairs)
    features = pair_features([p.asked for p in rows], embed)
    entailed = np.array([p.entailed for p in rows])
    concepts = np.array([p.concepts for p in rows])
    rng = np.random.default_rng(seed)
    inside = (rng.permutation(concepts.max() + 1) % n_folds)[concepts]  # (n, 2): the fold of each concept
    learnt = np.array([p.relation != "other" for p in rows])
    other = np.flatnonzero(~learnt)
    learnt[rng.permutation(other)[:n_other]] = True

    def fit(chosen: NDArray[np.bool_]) -> LogisticRegression:
        model = LogisticRegression(C=inverse_penalty, class_weight="balanced", max_iter=1000)
        return model.fit(features[chosen], entailed[chosen])

    held_out = np.full(len(rows), np.nan)
    for k in range(n_folds):
        known, new = learnt & (inside != k).all(axis=1), (inside == k).all(axis=1)
        held_out[new] = fit(known).predict_proba(features[new])[:, 1]
    tested = ~np.isnan(held_out)
    threshold = _best_f1(entailed[tested], held_out[tested])
    model = fit(learnt)
    judge = EmbeddingJudge(embed, model.coef_[0], float(model.intercept_[0]), threshold)
    kept = [row for row, t in zip(rows, tested, strict=True) if t]
    return judge, _quality(kept, held_out[tested] >= threshold)


@dataclass(frozen=True)
class JudgeQuality:
    """What a judge says of pairs whose truth is known.

    counts: relation of the pair to (said entailed, pairs); "same" and "narrower" pairs are entailed, "broader" and
    "other" are not. sensitivity, specificity: for one direction, clustered by concept. same_meaning_sensitivity,
    same_meaning_specificity: of both directions together, as the grouping asks; a pair of texts counts once.
    """

    counts: dict[str, tuple[int, int]]
    sensitivity: Estimate
    specificity: Estimate
    same_meaning_sensitivity: Estimate
    same_meaning_specificity: Estimate


def judge_quality(judge: Judge, pairs: Sequence[LabelledPair]) -> JudgeQuality:
    """Ask the judge every pair; both directions of a pair must be among them for the two-way figures."""
    return _quality(pairs, judge.entails([p.asked for p in pairs]))


def _quality(pairs: Sequence[LabelledPair], said: NDArray[np.bool_]) -> JudgeQuality:
    counts = {
        relation: (int(sum(said[chosen])), len(chosen))
        for relation in ("same", "narrower", "broader", "other")
        if (chosen := [i for i, p in enumerate(pairs) if p.relation == relation])
    }
    units = np.array([p.concepts[0] for p in pairs])
    entailed = np.array([p.entailed for p in pairs])
    place = {p.asked: i for i, p in enumerate(pairs)}
    both = [(i, j) for (q, a, b), i in place.items() if a < b and (j := place.get((q, b, a))) is not None]
    there, back = np.array(both, dtype=int).reshape(-1, 2).T
    same, merged = entailed[there] & entailed[back], said[there] & said[back]
    return JudgeQuality(
        counts,
        _share(said[entailed], units[entailed]),
        _share(~said[~entailed], units[~entailed]),
        _share(merged[same], units[there][same]),
        _share(~merged[~same], units[there][~same]),
    )


def _share(outcomes: NDArray[np.bool_], units: NDArray[np.int64]) -> Estimate:
    if not len(outcomes):
        return Estimate(np.nan, np.nan, np.nan, unit="concept", note="no such pair")
    return replace(proportion(outcomes, units=units), unit="concept")


def _best_f1(truth: NDArray[np.bool_], probability: NDArray[np.float64]) -> float:
    """The threshold with the largest F1; of equals the highest."""
    order = np.argsort(-probability, kind="stable")
    hits = truth[order].cumsum()
    f1 = 2 * hits / (np.arange(1, len(truth) + 1) + truth.sum())
    last_of_ties = np.append(np.diff(probability[order]) != 0, True)
    return float(probability[order][np.where(last_of_ties, f1, -1).argmax()])


def _in_context(question: str, answer: str) -> str:
    return f"{answer} ({question})"
