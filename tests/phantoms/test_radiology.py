"""Radiology phantoms: what is planted can be seen, what is not planted cannot be guessed, words mean what they say."""

from __future__ import annotations

from collections import Counter
from dataclasses import fields

import numpy as np
import pytest

from medrepro.phantoms.radiology import (
    CONFUSED,
    NOISE_SD,
    abnormality_masks,
    captions,
    make_cases,
    oracle_abnormality,
    prior_abnormality,
    render,
)
from medrepro.phantoms.radiology_cases import ALLOWED
from medrepro.phantoms.radiology_terms import (
    ABNORMALITIES,
    CONCEPTS,
    MODALITIES,
    ORGANS,
    QUESTIONS,
    all_phrases,
    concept_of,
    entails,
    equivalent,
)

CASES = make_cases(1500, seed=3)


def test_the_oracle_reaches_what_the_docstring_says_and_the_prior_does_not():
    images = render(CASES, 48)
    right = oracle_abnormality(images, CASES) == CASES.abnormality
    error = np.sqrt(0.985 * 0.015 / len(CASES))
    assert abs(right.mean() - 0.985) < 4 * error
    prior = (prior_abnormality(CASES) == CASES.abnormality).mean()
    assert abs(prior - 0.37) < 4 * np.sqrt(0.37 * 0.63 / len(CASES))


def test_without_visibility_the_oracle_falls_to_the_prior():
    blind = make_cases(600, seed=4, visibility=(0.0, 0.0))
    blind = blind[blind.modality != MODALITIES.index("angiogram")]
    found = oracle_abnormality(render(blind, 32), blind)
    assert np.array_equal(found, prior_abnormality(blind))


def test_the_oracle_falls_with_visibility():
    shares = []
    for high in (0.1, 0.3, 1.0):
        cases = make_cases(500, seed=5, visibility=(0.02, high))
        shares.append((oracle_abnormality(render(cases, 32), cases) == cases.abnormality).mean())
    assert shares[0] < shares[1] < shares[2]


def test_a_case_looks_the_same_in_every_batch_and_order():
    whole = render(CASES[np.arange(60)], 32)
    order = np.random.default_rng(0).permutation(60)
    assert np.array_equal(render(CASES[order], 32), whole[order])
    assert np.array_equal(render(CASES[np.array([7])], 32)[0], whole[7])


def test_equal_seeds_give_equal_cases_and_other_seeds_others():
    again = make_cases(1500, seed=3)
    assert all(np.array_equal(getattr(again, f.name), getattr(CASES, f.name)) for f in fields(CASES))
    assert not np.array_equal(make_cases(1500, seed=4).key, CASES.key)


def test_only_allowed_abnormalities_occur_and_the_tail_is_long():
    for m, o, a in zip(CASES.modality, CASES.organ, CASES.abnormality, strict=True):
        organs, contrast = ALLOWED[ABNORMALITIES[a]]
        assert ORGANS[o] in organs
        assert MODALITIES[m] in contrast
    counts = Counter(CASES.abnormality.tolist())
    assert set(counts) == set(range(12))
    assert counts[0] > 5 * counts[ABNORMALITIES.index("pneumatosis")]


def test_kinds_of_image_follow_the_weights_and_no_radiograph_is_axial():
    shares = np.bincount(CASES.modality, minlength=4) / len(CASES)
    expected = np.array([60, 60, 60, 26]) / 206
    assert np.abs(shares - expected).max() < 4 * np.sqrt(0.25 / len(CASES))
    assert not ((CASES.modality == 2) & (CASES.plane == 0)).any()


def test_every_abnormality_changes_the_image_inside_its_mask_and_nowhere_else():
    clear = make_cases(400, seed=6, visibility=(1.0, 1.0))
    change = np.abs(render(clear, 48, noise=False) - render(clear, 48, noise=False, abnormal=False))
    masks = abnormality_masks(clear, 48)
    share = masks.mean(axis=(1, 2))
    assert (share > 0).all()
    assert np.median(share) < 0.2
    assert (change[~masks] <= 0.1 * change.max()).all()
    for kind in range(12):
        assert change[clear.abnormality == kind].max() > 3 * NOISE_SD.max()


def test_noise_has_the_stated_standard_deviation():
    few = CASES[np.arange(200)]
    noise = render(few, 32) - render(few, 32, noise=False)
    for kind in range(4):
        assert noise[few.modality == kind].std() == pytest.approx(NOISE_SD[kind], rel=0.02)


def test_kinds_of_image_planes_and_regions_can_be_told_apart():
    """A nearest-neighbour rule on 24 px images without noise: the questions that should be easy are easy."""
    train, test = make_cases(1500, seed=7), make_cases(300, seed=8)
    a, b = (render(cases, 24, noise=False).reshape(len(cases), -1) for cases in (train, test))
    nearest = ((b[:, None] - a[None, ::1]) ** 2).sum(axis=2).argmin(axis=1)
    assert (train.modality[nearest] == test.modality).mean() > 0.97
    flat = test.modality != MODALITIES.index("angiogram")  # whose anatomy is faint on purpose
    assert (train.organ[nearest] == test.organ)[flat].mean() > 0.9
    assert (train.plane[nearest] == test.plane)[flat].mean() > 0.9


@pytest.mark.parametrize("size", [16, 24, 96])
def test_any_size_shows_the_same_anatomy(size):
    few = CASES[np.arange(40)]
    large, small = render(few, 96, noise=False), render(few, size, noise=False)
    at = np.round(np.linspace(0, 95, size)).astype(int)
    for kind in (0, 1, 3):  # a radiograph is blurred over a share of its own size
        chosen = few.modality == kind
        pairs = zip(large[np.ix_(np.flatnonzero(chosen), at, at)], small[chosen], strict=True)
        assert np.mean([np.corrcoef(p.ravel(), q.ravel())[0, 1] for p, q in pairs]) > 0.9


def test_captions_use_phrases_of_the_right_concept():
    answers = CASES.answers()
    for i, row in enumerate(captions(CASES, seed=0)):
        assert all(concept_of(row[question]) == answers[question][i] for question in QUESTIONS)


def test_consistent_errors_name_one_abnormality_as_another_and_touch_nothing_else():
    right, wrong = captions(CASES, seed=0), captions(CASES, seed=0, consistent_error=0.5)
    said = CASES.answers()["abnormality"]
    changed = [
        i for i in range(len(CASES)) if concept_of(right[i]["abnormality"]) != concept_of(wrong[i]["abnormality"])
    ]
    assert {said[i] for i in changed} == {CONFUSED[0]}
    assert {concept_of(wrong[i]["abnormality"]) for i in changed} == {CONFUSED[1]}
    n = said.count(CONFUSED[0])
    assert abs(len(changed) / n - 0.5) < 4 * np.sqrt(0.25 / n)


def test_phrases_are_distinct_and_every_concept_has_the_words_it_needs():
    phrases = all_phrases()
    assert len(set(phrases)) == len(phrases)
    for concept in CONCEPTS.values():
        assert 2 <= len(concept.phrases) <= 5
        assert 1 <= len(concept.broader) <= 2
        assert 1 <= len(concept.narrower) <= 2
    assert sum(len(all_phrases(question)) for question in QUESTIONS) == len(phrases)


def test_entailment_goes_from_narrow_to_broad_and_never_to_another_concept():
    mass = CONCEPTS["mass"]
    assert equivalent(*mass.phrases[:2])
    assert entails(mass.narrower[0], mass.phrases[0])
    assert entails(mass.phrases[0], mass.broader[0])
    assert entails(mass.narrower[0], mass.broader[0])
    assert not entails(mass.broader[0], mass.phrases[0])
    assert not entails(mass.phrases[0], mass.narrower[0])
    assert not any(entails(mass.phrases[0], CONCEPTS["cyst"].phrases[k]) for k in range(2))


def test_entailment_is_reflexive_and_transitive():
    phrases = all_phrases()
    holds = np.array([[entails(a, b) for b in phrases] for a in phrases])
    assert holds.diagonal().all()
    assert np.array_equal((holds.astype(int) @ holds.astype(int)) > 0, holds)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: make_cases(0, seed=0), "n must be >= 1"),
        (lambda: make_cases(3, seed=0, modality_weights=(1, 1, 1)), "modality_weights must be four"),
        (lambda: make_cases(3, seed=0, modality_weights=(0, 0, 0, 0)), "sum > 0"),
        (lambda: make_cases(3, seed=0, visibility=(0.5, 0.2)), r"range inside \[0, 1\]"),
        (lambda: render(CASES, 8), "size must be between 16 and 512, got 8"),
        (lambda: captions(CASES, seed=0, consistent_error=2), r"consistent_error must be in \[0, 1\]"),
        (lambda: entails("mass", "nonsense"), "second must be a phrase of the table"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
