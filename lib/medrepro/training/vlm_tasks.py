"""The radiology phantoms as examples to learn from and as a test of questions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..language.vocabulary import WordVocabulary
from ..phantoms.radiology import (
    RadiologyCases,
    captions,
    make_cases,
    oracle_abnormality,
    prior_abnormality,
    render,
)
from ..phantoms.radiology_terms import ABNORMALITIES, CONCEPTS, MODALITIES, QUESTIONS, all_phrases, concept_of
from .vlm_training import VqaExamples

SURELY_CONFUSED = ("aneurysm", "stenosis")  # an angiogram shows nothing else: a model is sure that it is one of them


def radiology_vocabulary() -> WordVocabulary:
    """Every word of the phantoms' questions and phrases, broader and narrower ones included."""
    return WordVocabulary([*QUESTIONS.values(), *all_phrases()])


def radiology_examples(
    n: int,
    *,
    size: int = 32,
    visibility: tuple[float, float] = (0.05, 1.0),
    consistent_error: float = 0.0,
    confused: tuple[str, str] = SURELY_CONFUSED,
    inexact: float = 0.05,
    seed: int,
) -> VqaExamples:
    """n images with all four questions, answered in the words of a caption.

    consistent_error: share of the captions of `confused[0]` that name `confused[1]` instead; images and other captions
    stay the same. A model learns the mix of words: it is sure and wrong where the second name prevails by far, provided
    that it tells the two from all others (not so for cysts and abscesses at this size).
    inexact: share of answers that say it more broadly or more narrowly (an even choice) than the right concept: what
    makes the direction of entailment matter.
    """
    cases = make_cases(n, seed=seed, visibility=visibility)
    said = plant_confusion(captions(cases, seed=seed + 1), confused, consistent_error, seed=seed + 3)
    said = vary_wording(said, inexact, seed=seed + 2)
    prompts = [list(QUESTIONS.values())] * n
    return VqaExamples(render(cases, size)[:, None], prompts, [[row[q] for q in QUESTIONS] for row in said])


def plant_confusion(
    rows: list[dict[str, str]], confused: tuple[str, str], share: float, *, seed: int
) -> list[dict[str, str]]:
    """Captions in which, with this probability, the first concept is named as the second: the error to be learnt.

    Raises ValueError for concepts that are unknown or answer different questions, and for a share outside [0, 1].
    """
    if not 0 <= share <= 1:
        raise ValueError(f"consistent_error must be in [0, 1], got {share}")
    questions = {CONCEPTS[name].question if name in CONCEPTS else None for name in confused}
    if len(questions) != 1 or None in questions:
        raise ValueError(f"confused must be two concepts of one question, got {confused}")
    first, question, phrases = confused[0], CONCEPTS[confused[0]].question, CONCEPTS[confused[1]].phrases
    # Chances are drawn for every row, so that a smaller share is a part of the same confusion.
    chances = np.random.default_rng(seed).random((len(rows), 2))
    return [
        {**row, question: phrases[int(choice * len(phrases))]}
        if concept_of(row[question]) == first and chance < share
        else row
        for row, (chance, choice) in zip(rows, chances, strict=True)
    ]


def vary_wording(rows: list[dict[str, str]], share: float, *, seed: int) -> list[dict[str, str]]:
    """Captions in which a phrase gives way, with this probability, to a broader or narrower one of its concept."""
    if not 0 <= share <= 1:
        raise ValueError(f"share must be in [0, 1], got {share}")
    rng = np.random.default_rng(seed)
    varied = []
    for row in rows:
        new = {}
        for question, phrase in row.items():
            chance, choice = rng.random(2)  # drawn for every phrase, so that a smaller share changes a part of the same
            concept = CONCEPTS[str(concept_of(phrase))]
            others = concept.broader + concept.narrower
            new[question] = others[int(choice * len(others))] if chance < share else phrase
        varied.append(new)
    return varied


@dataclass(frozen=True, eq=False)
class RadiologyTest:
    """Images (n, 1, S, S), one question each, the cases behind them, and a table for `vqa_harness.ask`.

    table: id, question, expected (a phrase of the right concept), set ("general" or "diagnosis"), category (key of the
    question), modality, shown (the abnormality in the image).
    """

    images: NDArray[np.float32]
    table: pd.DataFrame
    cases: RadiologyCases

    def bounds(self) -> pd.DataFrame:
        """Best and blind accuracy by category: Bayes rule of who knows all but the abnormality, commonest answer."""
        truth = self.cases.abnormality
        rows = []
        for category in dict.fromkeys(self.table["category"]):
            asked = (self.table["category"] == category).to_numpy()
            if category == "abnormality":
                best = np.mean((oracle_abnormality(self.images[:, 0], self.cases) == truth)[asked])
                blind = np.mean((prior_abnormality(self.cases) == truth)[asked])
            else:
                best, blind = 1.0, np.bincount(getattr(self.cases, category)[asked]).max() / asked.sum()
            rows.append({"category": category, "n": int(asked.sum()), "best": float(best), "blind": float(blind)})
        return pd.DataFrame(rows)


def radiology_test(
    n_general: int = 170,
    n_diagnosis: int = 70,
    *,
    size: int = 32,
    visibility: tuple[float, float] = (0.05, 1.0),
    seed: int,
) -> RadiologyTest:
    """Questions in two sets, an image each: general over the four kinds of question in turn, and diagnosis only.

    The kinds of image come in the diagnosis set as 60 : 60 : 60 : 26, in the general one evenly.
    """
    if n_general < 0 or n_diagnosis < 0 or n_general + n_diagnosis == 0:
        raise ValueError(f"n_general and n_diagnosis must be >= 0 and not both 0, got {n_general} and {n_diagnosis}")
    parts: list[RadiologyCases] = []
    categories: list[str] = []
    sets: list[str] = []
    for name, n, weights, asked in (
        ("general", n_general, (1, 1, 1, 1), tuple(QUESTIONS)),
        ("diagnosis", n_diagnosis, (60, 60, 60, 26), ("abnormality",)),
    ):
        if n:
            parts.append(make_cases(n, seed=seed + len(parts), modality_weights=weights, visibility=visibility))
            categories += [asked[i % len(asked)] for i in range(n)]
            sets += [name] * n
    cases = _join(parts)
    answers = cases.answers()
    expected = [CONCEPTS[answers[category][i]].phrases[0] for i, category in enumerate(categories)]
    table = pd.DataFrame(
        {
            "id": [f"{name[0]}{i:04d}" for i, name in enumerate(sets)],
            "question": [QUESTIONS[category] for category in categories],
            "expected": expected,
            "set": sets,
            "category": categories,
            "modality": [MODALITIES[m] for m in cases.modality],
            "shown": [ABNORMALITIES[a] for a in cases.abnormality],
        }
    )
    return RadiologyTest(render(cases, size)[:, None], table, cases)


def _join(parts: list[RadiologyCases]) -> RadiologyCases:
    names = list(vars(parts[0]))
    return RadiologyCases(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})
