"""Judges of entailment on pairs with known truth, with an encoder whose geometry is known."""

from __future__ import annotations

import numpy as np

from medrepro.language.causal import OptionScores
from medrepro.language.entailment import (
    CachedJudge,
    LanguageModelJudge,
    OracleJudge,
    StringJudge,
    entailment_prompt,
)
from medrepro.language.judge_training import (
    LabelledPair,
    judge_quality,
    pair_features,
    phantom_pairs,
    train_judge,
    training_pairs,
)
from medrepro.phantoms.radiology_terms import QUESTIONS, all_phrases, entails
from medrepro.stats import auroc

Q = QUESTIONS["abnormality"]


class Counting:
    """Says that the first entails the second when it is the longer text; counts what it is asked."""

    name = "counting"

    def __init__(self):
        self.asked = []

    def entails(self, asked):
        self.asked += asked
        return np.array([len(a) > len(b) for _, a, b in asked], dtype=bool)


def planted(texts):
    """Vectors of "c<concept> r<rank> (question)": the concept is a direction, the rank moves along a common axis."""
    rows = []
    for text in texts:
        concept, rank = text.split(" (")[0].split()[:2]
        row = np.zeros(40)
        row[int(concept[1:])], row[-1] = 1.0, 0.4 * (int(rank[1:]) - 1)
        rows.append(row / np.linalg.norm(row))
    return np.array(rows)


def planted_pairs(concepts):
    phrases = [(f"c{c} r{r} {i}", c, r) for c in concepts for r in range(3) for i in range(2)]
    made = []
    for a, ca, ra in phrases:
        for b, cb, rb in phrases:
            if a != b:
                entailed = ca == cb and (ra < rb or ra == rb == 1)
                made.append(LabelledPair("what?", a, b, entailed, "same" if entailed else "other", (ca, cb)))
    return made


def test_the_training_concepts_share_no_phrase_and_no_question_with_the_vocabulary_of_the_phantoms():
    pairs = training_pairs()
    known = {phrase.casefold() for phrase in all_phrases()}
    assert not known & {text.casefold() for p in pairs for text in (p.first, p.second)}
    assert not set(QUESTIONS.values()) & {p.question for p in pairs}
    assert 40 <= len({c for p in pairs for c in p.concepts}) <= 60
    placed = {(p.question, p.first, p.concepts[0]) for p in pairs}
    assert len({row[:2] for row in placed}) == len(placed), "a phrase stands for two concepts of one question"


def test_pairs_are_labelled_by_rank_and_concept_as_the_table_of_the_phantoms_says():
    pairs = phantom_pairs()
    assert len(pairs) == sum(n * (n - 1) for n in (len(all_phrases(q)) for q in QUESTIONS))
    assert all(p.entailed == entails(p.first, p.second) for p in pairs)
    assert all(p.entailed == (p.relation in ("same", "narrower")) for p in pairs)
    assert len({p.concepts[0] for p in pairs}) == 24


def test_the_oracle_is_right_on_every_pair_and_equal_wording_finds_no_synonym():
    quality = judge_quality(OracleJudge(), phantom_pairs())
    assert quality.sensitivity.value == quality.specificity.value == 1
    assert quality.same_meaning_sensitivity.value == quality.same_meaning_specificity.value == 1
    assert judge_quality(StringJudge(), phantom_pairs()).sensitivity.value == 0


def test_the_oracle_takes_an_unknown_text_for_a_meaning_of_its_own():
    said = OracleJudge().entails([(Q, "broken mass", "mass"), (Q, "broken mass", "broken mass"), (Q, "mass", "tumour")])
    assert said.tolist() == [False, True, True]
    assert StringJudge().entails([(Q, " Mass", "mass"), (Q, "masses", "mass")]).tolist() == [True, False]


def test_a_judge_learns_meaning_and_direction_and_carries_them_to_new_concepts():
    judge, held_out = train_judge(planted_pairs(range(20)), planted, n_other=2000)
    new = planted_pairs(range(20, 30))
    quality = judge_quality(judge, new)
    assert quality.sensitivity.value > 0.9
    assert quality.specificity.value > 0.95
    assert held_out.sensitivity.value > 0.9
    narrow, broad = "c25 r0 0", "c25 r2 0"
    assert judge.entails([("what?", narrow, broad), ("what?", broad, narrow)]).tolist() == [True, False]


def test_an_encoder_that_knows_nothing_leaves_the_judge_at_chance():
    """Every text has a random vector of its own: what is learnt from some concepts says nothing of others."""

    def hashed(texts):
        rows = np.stack([np.random.default_rng(list(text.encode())).standard_normal(40) for text in texts])
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    judge, _ = train_judge(planted_pairs(range(20)), hashed, n_other=2000)
    new = planted_pairs(range(20, 60))
    found = auroc([p.entailed for p in new], judge.probability([p.asked for p in new]),
                  units=[p.concepts[0] for p in new])  # fmt: skip
    assert found.low < 0.5 < found.high
    assert found.high < 0.7


def test_features_hold_both_vectors_their_difference_product_and_closeness():
    asked = [("what?", "c1 r0", "c1 r2"), ("what?", "c1 r2", "c1 r0"), ("what?", "c2 r1", "c3 r1")]
    u, v = planted(["c1 r0"])[0], planted(["c1 r2"])[0]
    found = pair_features(asked, planted) / np.sqrt(160)
    np.testing.assert_allclose(found[0], np.concatenate([u, v, u - v, u * v, [5 * u @ v]]))
    np.testing.assert_allclose(found[0, 80:120], -found[1, 80:120])
    assert found[2, -1] == 0


def test_the_question_is_part_of_what_is_embedded():
    texts = []

    def listen(sentences):
        texts.extend(sentences)
        return np.eye(len(sentences), 8)

    pair_features([("which drug?", "aspirin", "ASA")], listen)
    assert texts == ["ASA (which drug?)", "aspirin (which drug?)"]


def test_a_cache_asks_each_ordered_pair_once_and_equal_texts_never():
    inner = Counting()
    judge = CachedJudge(inner)
    asked = [(Q, "aa", "b"), (Q, "b", "aa"), (Q, "aa", "b"), (Q, "b", "b"), ("other?", "aa", "b")]
    assert judge.entails(asked).tolist() == [True, False, True, True, True]
    assert judge.entails(asked[:2]).tolist() == [True, False]
    assert inner.asked == [asked[0], asked[1], asked[4]]
    assert judge.n_asked == 3


def test_a_language_model_is_asked_with_question_and_direction_and_its_reply_is_read_at_the_start():
    class Model:
        name, digest = "m", "d"
        prompts = []  # noqa: RUF012

        def generate(self, prompt, sampling):
            self.prompts.append(prompt)
            return ["Yes, it does" if "A: mass" in prompt else " unsure"]

        def score(self, prompt, options, *, content_free=None):
            yes = -1.0 if "A: mass" in prompt else -3.0
            return OptionScores(np.array([yes, -2.0]), np.full(2, np.nan), np.ones(2, int))

    asked = [(Q, "mass", "tumour"), (Q, "tumour", "mass")]
    for generate in (False, True):
        judge = LanguageModelJudge(Model(), generate=generate)
        assert judge.entails(asked).tolist() == [True, False]
        assert judge.n_unclear == int(generate)
    assert Model.prompts == [entailment_prompt(*row) for row in asked]
    assert Q in Model.prompts[0]
