"""The invented knowledge base: what an answerer that reads can do, and that nothing else gives the answer away."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from scipy import stats

from medrepro.phantoms.knowledge import RELATIONS, make_knowledge_base, make_questions, mislead

BASE = make_knowledge_base(60, seed=0)
QUESTIONS = make_questions(BASE, 300, seed=1)
ARTICLES = {article.id: article for article in BASE.articles}


def read(article, question):
    """Index of the only option that the right section states; None when none or several do."""
    text = next(s.text for s in article.sections if s.relation == question.relation)
    found = [i for i, option in enumerate(question.options) if option in text]
    return found[0] if len(found) == 1 else None


def test_whoever_reads_the_right_section_is_always_right():
    assert all(read(ARTICLES[q.article_id], q) == q.key for q in QUESTIONS)


def test_another_article_does_not_answer_a_question():
    """Reading a random article answers only where it happens to share the value: chance, or no answer."""
    rng = np.random.default_rng(0)
    right = [read(BASE.articles[rng.integers(60)], q) == q.key for q in QUESTIONS]
    assert np.mean(right) < 0.15


def test_positions_values_and_lengths_do_not_give_the_answer_away():
    keys = Counter(q.key for q in QUESTIONS)
    assert set(keys.values()) == {75}
    assert stats.chisquare(list(keys.values())).pvalue > 0.99
    shares = {}
    # The most frequent value as option, the longest and the shortest option: each at chance.
    seen = Counter(option for q in QUESTIONS for option in q.options)
    shares["frequent"] = np.mean([max(range(4), key=lambda i, q=q: seen[q.options[i]]) == q.key for q in QUESTIONS])
    shares["longest"] = np.mean([max(range(4), key=lambda i, q=q: len(q.options[i])) == q.key for q in QUESTIONS])
    shares["shortest"] = np.mean([min(range(4), key=lambda i, q=q: len(q.options[i])) == q.key for q in QUESTIONS])
    error = np.sqrt(0.25 * 0.75 / len(QUESTIONS))
    assert all(abs(share - 0.25) < 4 * error for share in shares.values()), shares


def test_each_value_is_true_of_equally_many_entities():
    for relation in RELATIONS:
        used = Counter(entity.facts[relation] for entity in BASE.entities)
        assert set(used) == set(BASE.values[relation])
        assert max(used.values()) - min(used.values()) <= 1


def test_a_fact_is_stated_once_and_stems_do_not_repeat_the_article():
    for q in QUESTIONS:
        whole = " ".join(section.text for section in ARTICLES[q.article_id].sections)
        assert whole.count(q.options[q.key]) == 1
        assert q.stem.rstrip("?") not in whole
        assert not any(option in q.stem for option in q.options)


def test_names_and_values_are_distinct_and_no_value_contains_another():
    names = [entity.name for entity in BASE.entities]
    values = [value for pool in BASE.values.values() for value in pool]
    assert len(set(names)) == 60
    assert len(set(values)) == len(values)
    assert not any(a in b for a in values for b in values if a != b)


def test_a_misleading_article_states_the_wrong_option_and_nothing_else_changes():
    question = QUESTIONS[0]
    article = ARTICLES[question.article_id]
    wrong = question.options[(question.key + 1) % 4]
    planted = mislead(article, question, wrong)
    assert read(planted, question) == question.options.index(wrong)
    assert read(article, question) == question.key
    changed = [a != b for a, b in zip(article.sections, planted.sections, strict=True)]
    assert sum(changed) == 1


def test_equal_seeds_give_equal_bases_and_other_seeds_others():
    assert make_knowledge_base(60, seed=0) == BASE
    assert make_questions(BASE, 300, seed=1) == QUESTIONS
    assert make_knowledge_base(60, seed=1).entities != BASE.entities


def test_a_question_is_asked_once():
    assert len({(q.entity, q.relation) for q in QUESTIONS}) == 300


@pytest.mark.parametrize("n", [4, 5, 400])
def test_the_smallest_and_the_largest_base_hold_questions(n):
    base = make_knowledge_base(n, seed=2)
    questions = make_questions(base, 5 * n, seed=0)
    assert all(len(set(q.options)) == 4 for q in questions)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: make_knowledge_base(3, seed=0), "n_entities must be between 4 and 400, got 3"),
        (lambda: make_questions(BASE, 301, seed=0), "n must be between 1 and 300"),
        (lambda: mislead(BASE.articles[0], QUESTIONS[0], "x"), "article must be|wrong option"),
        (lambda: mislead(ARTICLES[QUESTIONS[0].article_id], QUESTIONS[0], "x"), "wrong option of K000"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
