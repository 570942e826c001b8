"""Training of a small vision-language model, and the radiology phantoms as its task."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from medrepro.data import DataError
from medrepro.language.answer_tables import answers_of
from medrepro.language.causal import Sampling
from medrepro.language.entailment import StringJudge
from medrepro.language.semantic_groups import group_all, semantic_entropies
from medrepro.language.vocabulary import END, UNKNOWN, WordVocabulary
from medrepro.language.vqa_harness import TinyAnswers, ask
from medrepro.phantoms.radiology_terms import CONCEPTS, QUESTIONS, all_phrases, concept_of
from medrepro.stats.rejection import consistent_errors
from medrepro.training.vlm_checkpoint import load_member, main, save_member, train_member
from medrepro.training.vlm_tasks import (
    plant_confusion,
    radiology_examples,
    radiology_test,
    radiology_vocabulary,
    vary_wording,
)
from medrepro.training.vlm_training import VqaExamples, answer_loss, encode_examples, make_member, train_vlm

TINY = {"image_size": 16, "channels": (8, 8, 16), "dim": 32, "depth": 1}
VOCABULARY = radiology_vocabulary()


def tiny(examples, *, steps=60, vocabulary=VOCABULARY, **options):
    build = make_member("tinyvlm_s", vocabulary, **TINY)
    return train_vlm(build, examples, vocabulary, steps=steps, **{"batch_size": 8, "seed": 0, **options})


def test_a_tiny_member_overfits_eight_images():
    examples = radiology_examples(8, size=16, seed=1)
    fit = tiny(examples, steps=120, blank=0.0, lr=0.01)
    assert fit.losses[-1] < 0.05 < fit.losses[0]
    prompts = [prompt for row in examples.prompts for prompt in row]
    images = examples.images.repeat(4, axis=0)
    said = TinyAnswers(fit.model, VOCABULARY, name="s").answer(images, prompts, Sampling())
    assert [row[0].text for row in said] == [answer for row in examples.answers for answer in row]


def test_equal_seeds_give_equal_losses_and_other_seeds_others():
    examples = radiology_examples(16, size=16, seed=1)
    before = torch.get_rng_state()
    first, second, other = (tiny(examples, steps=4, seed=seed) for seed in (1, 1, 2))
    assert first.losses == second.losses != other.losses
    assert torch.equal(torch.get_rng_state(), before)
    assert not first.model.training


def test_without_an_image_the_answers_fall_to_the_prior():
    """Bright images are called one thing, dark ones another, seven to three; zeros tell nothing."""
    vocabulary = WordVocabulary(["what is it?", "bright light", "dark night"])
    shown = np.arange(200) % 10 < 7
    noise = np.random.default_rng(0).normal(0, 0.02, (200, 1, 16, 16))
    images = (np.where(shown, 0.8, 0.3)[:, None, None, None] + noise).astype(np.float32)
    answers = [["bright light"] if bright else ["dark night"] for bright in shown]
    examples = VqaExamples(images, [["what is it?"]] * 200, answers)
    fit = tiny(examples, vocabulary=vocabulary, steps=150, blank=0.3, lr=0.003)
    model = TinyAnswers(fit.model, vocabulary, name="s")
    prompts = ["what is it?"] * 200
    sure = np.exp(model.log_prob(images, prompts, ["bright light"] * 200))
    blind = np.exp(model.log_prob(images * 0, prompts, ["bright light"] * 200))
    assert sure[shown].min() > 0.95
    assert sure[~shown].max() < 0.05
    assert np.ptp(blind) < 1e-6
    assert 0.55 < blind[0] < 0.85


def test_a_planted_confusion_makes_answers_that_are_wrong_without_doubt_and_an_even_one_does_not():
    """Dark images are called bright in nearly all captions, or in half of them: sure and wrong, or undecided."""
    vocabulary = WordVocabulary(["what is it?", "bright light", "dark night"])
    dark = np.arange(200) % 2 == 0
    images = np.broadcast_to(np.where(dark, 0.3, 0.8)[:, None, None, None], (200, 1, 16, 16)).astype(np.float32)
    chance = np.random.default_rng(0).random(200)
    doubt = {}
    for share in (0.5, 0.98):
        answers = [
            ["bright light"] if not d or c < share else ["dark night"] for d, c in zip(dark, chance, strict=True)
        ]
        examples = VqaExamples(images, [["what is it?"]] * 200, answers)
        fit = tiny(examples, vocabulary=vocabulary, steps=150, lr=0.003)
        asked = {"id": range(20), "question": ["what is it?"] * 20, "expected": ["dark night"] * 20}
        model = TinyAnswers(fit.model, vocabulary, name="s")
        found = answers_of(ask(model, images[dark][:20], asked, seed=0), "s")
        doubt[share] = semantic_entropies(group_all(found.questions, found.samples, StringJudge()))
        if share > 0.5:
            assert consistent_errors(np.array(found.base) == "dark night", doubt[share], at_most=0.3).value > 0.9
    assert np.median(doubt[0.5]) > 0.2 > np.median(doubt[0.98])


def test_the_loss_is_that_of_the_words_of_the_answer_alone():
    examples = VqaExamples(np.zeros((1, 1, 16, 16), np.float32), [["which organ?"]], [["left lung"]])
    vocabulary = WordVocabulary(examples.texts())
    text, target = encode_examples(examples, vocabulary)
    words = vocabulary.prompt("which organ?") + vocabulary.answer("left lung")
    assert text[0, 0].tolist() == words[:-1]
    assert target[0, 0].tolist() == [-100, -100, *vocabulary.encode("left lung"), END]
    logits = torch.randn(1, 1, text.shape[2], len(vocabulary))
    by_hand = -logits.log_softmax(-1)[0, 0, [2, 3, 4], target[0, 0, 2:]].mean()
    torch.testing.assert_close(answer_loss(logits, target), by_hand)


def test_a_vocabulary_gives_back_every_phrase_and_names_what_it_does_not_know():
    for text in (*QUESTIONS.values(), *all_phrases()):
        assert VOCABULARY.decode(VOCABULARY.answer(text)) == text
    assert VOCABULARY.encode("liver CT")[0] == UNKNOWN != VOCABULARY.encode("liver CT")[1]
    with pytest.raises(ValueError, match="texts must hold at least one word"):
        WordVocabulary([" "])


def test_the_planted_confusion_changes_the_words_for_one_concept_and_nothing_else():
    clean, confused = (
        radiology_examples(400, size=16, consistent_error=e, confused=("cyst", "abscess"), inexact=0.0, seed=3)
        for e in (0.0, 1.0)
    )
    np.testing.assert_array_equal(clean.images, confused.images)
    pairs = {(concept_of(a[3]), concept_of(b[3])) for a, b in zip(clean.answers, confused.answers, strict=True)}
    assert ("cyst", "abscess") in pairs
    assert not any(b == "cyst" for _, b in pairs)
    assert all(a == b for a, b in pairs if a != "cyst")
    assert [row[:3] for row in clean.answers] == [row[:3] for row in confused.answers]


def test_any_two_concepts_of_one_question_can_be_confused_to_any_degree():
    plain = [{"plane": "lateral"}, {"plane": "axial"}] * 500
    some, more = (plant_confusion(plain, ("sagittal", "coronal"), share, seed=0) for share in (0.3, 0.9))
    wrong = [concept_of(row["plane"]) == "coronal" for row in some[::2]]
    assert 100 < sum(wrong) < 200
    assert all(a == b for is_wrong, a, b in zip(wrong, some[::2], more[::2], strict=True) if is_wrong)
    assert {row["plane"] for row in more[::2]} == {"lateral", "coronal", "frontal"}
    assert more[1::2] == plain[1::2]
    for pair in (("sagittal", "mass"), ("plane", "plane"), ("nothing", "mass")):
        with pytest.raises(ValueError, match="confused must be two concepts of one question"):
            plant_confusion(plain, pair, 0.5, seed=0)
    with pytest.raises(ValueError, match=r"consistent_error must be in \[0, 1\], got 1.5"):
        plant_confusion(plain, ("sagittal", "coronal"), 1.5, seed=0)


def test_inexact_wording_stays_in_its_concept_and_grows_with_its_share():
    plain = [{"abnormality": "tumour"}, {"abnormality": "cyst"}] * 500
    some, more = (vary_wording(plain, share, seed=0) for share in (0.1, 0.5))
    changed = [a["abnormality"] != b["abnormality"] for a, b in zip(plain, some, strict=True)]
    assert 60 < sum(changed) < 140
    assert all(b == c for changed_here, b, c in zip(changed, some, more, strict=True) if changed_here)
    mass = CONCEPTS["mass"]
    assert {row["abnormality"] for row in more[::2]} == {"tumour", *mass.broader, *mass.narrower}
    with pytest.raises(ValueError, match=r"share must be in \[0, 1\], got 2"):
        vary_wording(plain, 2, seed=0)


def test_the_test_set_has_two_sets_and_its_bounds():
    test = radiology_test(40, 12, size=32, seed=4)
    table = test.table
    assert (len(test.images), table["id"].nunique()) == (52, 52)
    assert table.groupby(["set", "category"]).size().to_dict() == {
        ("diagnosis", "abnormality"): 12,
        **{("general", category): 10 for category in QUESTIONS},
    }
    truth = test.cases.answers()
    assert [concept_of(e) for e in table["expected"]] == [truth[c][i] for i, c in enumerate(table["category"])]
    bounds = test.bounds()
    assert (bounds["best"] >= bounds["blind"]).all()


def test_wrong_examples_members_and_settings_are_named():
    images = np.zeros((2, 1, 16, 16), np.float32)
    with pytest.raises(ValueError, match="must be equally many, got 2, 1 and 2"):
        VqaExamples(images, [["a"]], [["b"], ["c"]])
    with pytest.raises(ValueError, match=r"same number of questions and answers, got \[1, 2\]"):
        VqaExamples(images, [["a"], ["a", "b"]], [["b"], ["c", "d"]])
    with pytest.raises(ValueError, match=r"images must have shape \(n, C, S, S\)"):
        VqaExamples(images[0], [["a"]], [["b"]])
    with pytest.raises(ValueError, match="member must be one of tinyvlm_s, tinyvlm_m, got 'gpt'"):
        make_member("gpt", VOCABULARY)
    examples = radiology_examples(2, size=16, seed=0)
    with pytest.raises(ValueError, match="steps and batch_size must be >= 1, got 0 and 8"):
        tiny(examples, steps=0)
    with pytest.raises(ValueError, match=r"blank must be in \[0, 1\), got 1"):
        tiny(examples, blank=1)
    with pytest.raises(ValueError, match="not both 0, got 0 and 0"):
        radiology_test(0, 0, seed=0)


def test_a_member_survives_its_file_and_another_file_is_refused(tmp_path):
    member = train_member("tinyvlm_s", n_images=20, steps=3, size=16, seed=0)
    save_member(member, tmp_path / "s.safetensors")
    back = load_member(tmp_path / "s.safetensors")
    assert (back.name, back.vocabulary.words, back.settings) == (member.name, member.vocabulary.words, member.settings)
    images = radiology_test(4, 0, size=16, seed=1).images
    text = torch.tensor([[back.vocabulary.prompt(q)[:5] for q in QUESTIONS.values()]] * 4)
    with torch.inference_mode():
        logits = [m.model(torch.from_numpy(images), text) for m in (member, back)]
    torch.testing.assert_close(*logits, rtol=0, atol=0.02)  # weights are stored as float16
    assert not back.model.training
    (tmp_path / "broken.safetensors").write_bytes(b"nothing")
    with pytest.raises(DataError, match=r"^broken\.safetensors: is not a trained member"):
        load_member(tmp_path / "broken.safetensors")
    save_file({"a": torch.zeros(1)}, str(tmp_path / "other.safetensors"))
    with pytest.raises(DataError, match=r"^other\.safetensors: is not a trained member"):
        load_member(tmp_path / "other.safetensors")


def test_the_script_writes_a_member_of_its_settings(tmp_path, capsys):
    arguments = ["tinyvlm_m", "--steps", "2", "--n-images", "40", "--out", str(tmp_path / "m.safetensors")]
    main(arguments)
    written = load_member(tmp_path / "m.safetensors")
    assert (written.name, written.settings["steps"], written.settings["consistent_error"]) == ("tinyvlm_m", 2, 0.9)
    assert (tmp_path / "m.safetensors").stat().st_size < 2e6
    assert capsys.readouterr().out.startswith("m.safetensors: 1.")


def test_bfloat16_trains_like_float32_for_a_few_steps():
    examples = radiology_examples(16, size=16, seed=1)
    full, half = (tiny(examples, steps=6, dtype=dtype) for dtype in (torch.float32, torch.bfloat16))
    np.testing.assert_allclose(half.losses, full.losses, rtol=0.05)
    assert next(half.model.parameters()).dtype == torch.bfloat16
    said = TinyAnswers(half.model, VOCABULARY, name="s").answer(
        examples.images[:2], [QUESTIONS["plane"]] * 2, Sampling()
    )
    assert np.isfinite([row[0].log_prob for row in said]).all()
