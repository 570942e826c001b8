"""Likelihoods, answers and vectors of a causal language model, on random weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from medrepro.language.causal import CausalModel, OptionScores, Sampling
from medrepro.language.small_models import _dequantised, load_folder, load_language_model, save_folder

PROMPT, OPTIONS = "Is the heart large? ", ["yes", "no", "perhaps it is"]


@pytest.fixture(scope="module")
def model(tiny_model):
    return CausalModel(*tiny_model, name="tiny", digest="0")


def brute_force(model, prompt, option):
    """Sum of log-probabilities, the whole text read anew for each option."""
    first, rest = model._ids(prompt, special=True), model._ids(option, special=False)
    with torch.inference_mode():
        logits = model.model(torch.tensor([first + rest])).logits[0].double().log_softmax(-1)
    return sum(logits[len(first) + i - 1, token].item() for i, token in enumerate(rest))


def test_scores_with_reused_prompt_equal_those_of_the_whole_text(model):
    scores = model.score(PROMPT, OPTIONS, content_free="Answer: ")
    assert scores.log_prob == pytest.approx([brute_force(model, PROMPT, o) for o in OPTIONS], abs=1e-4)
    assert scores.prior == pytest.approx([brute_force(model, "Answer: ", o) for o in OPTIONS], abs=1e-4)
    assert scores.pmi == pytest.approx(scores.log_prob - scores.prior)
    assert list(scores.n_tokens) == [3, 2, 13]


def test_an_options_score_does_not_depend_on_its_neighbours(model):
    alone = [model.score(PROMPT, [option]).log_prob[0] for option in OPTIONS]
    assert model.score(PROMPT, OPTIONS[::-1]).log_prob[::-1] == pytest.approx(alone, abs=1e-4)


def test_all_continuations_of_one_token_sum_to_one(model):
    tokens = [chr(i) for i in range(32, 127)]
    inside = np.exp(model.score(PROMPT, tokens).log_prob).sum()
    with torch.inference_mode():
        logits = model.model(torch.tensor([model._ids(PROMPT, special=True)])).logits[0, -1].double()
    special = logits.softmax(-1)[:2].sum().item()
    assert inside + special == pytest.approx(1, abs=1e-5)


def test_the_rules_differ_and_the_first_of_equals_wins():
    scores = OptionScores(np.array([-4.0, -3.0, -9.0]), np.array([-1.0, -2.0, -8.5]), np.array([4, 1, 30]))
    assert [scores.best(rule) for rule in ("sum", "mean", "pmi")] == [1, 2, 2]
    assert OptionScores(np.array([-1.0, -1.0]), np.zeros(2), np.ones(2, dtype=int)).best() == 0


def test_wrong_questions_are_named(model):
    with pytest.raises(ValueError, match="options must be a list"):
        model.score(PROMPT, "yes")
    with pytest.raises(ValueError, match="options must be a list"):
        model.score(PROMPT, [])
    with pytest.raises(ValueError, match="at least one token"):
        model.score(PROMPT, ["yes", ""])
    with pytest.raises(ValueError, match="must fit into 64 tokens, got 80"):
        model.score("x" * 70, ["y" * 10])
    with pytest.raises(ValueError, match="content-free"):
        model.score(PROMPT, OPTIONS).best("pmi")
    with pytest.raises(ValueError, match="sum, mean, pmi"):
        model.score(PROMPT, OPTIONS).best("median")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"n": 0}, "n and max_new_tokens"),
        ({"max_new_tokens": 0}, "n and max_new_tokens"),
        ({"top_p": 0.0}, r"top_p must be in \(0, 1\]"),
        ({"temperature": -1.0}, "temperature must be >= 0"),
        ({"n": 2}, "> 0 for several"),
    ],
)
def test_wrong_sampling_is_named(wrong, message):
    with pytest.raises(ValueError, match=message):
        Sampling(**wrong)


def test_equal_seeds_give_equal_answers_whatever_was_drawn_before(model):
    hot = Sampling(n=3, temperature=1.0, max_new_tokens=8, seed=5)
    first = model.generate(PROMPT, hot)
    state = torch.random.get_rng_state()
    torch.rand(7)
    after = torch.random.get_rng_state()
    assert model.generate(PROMPT, hot) == first
    assert torch.equal(torch.random.get_rng_state(), after)
    assert not torch.equal(state, after)
    assert model.generate(PROMPT, Sampling(n=3, temperature=1.0, max_new_tokens=8, seed=6)) != first
    assert len(set(first)) > 1


def test_the_likeliest_answer_takes_the_likeliest_token_at_each_step(model):
    (answer,) = model.generate(PROMPT, Sampling(max_new_tokens=4))
    ids = model._ids(PROMPT, special=True)
    text = []
    with torch.inference_mode():
        for _ in range(4):
            text.append(int(model.model(torch.tensor([ids + text])).logits[0, -1].argmax()))
    assert answer == model.tokenizer.decode(text, skip_special_tokens=True).strip()


def test_vectors_do_not_depend_on_neighbours(model):
    both = model.embed(["effusion", "no"])
    assert both.shape == (2, 32)
    assert both[1] == pytest.approx(model.embed(["no"])[0], abs=1e-6)
    assert model.embed([]).shape == (0, 32)


def test_a_prompt_without_chat_format_is_plain_text(model):
    assert model.chat("What?", "Be short.") == "Be short.\n\nWhat?\nAnswer:"


def test_a_saved_model_gives_the_same_scores_and_half_a_folder_is_never_seen(model, tiny_model, tmp_path, monkeypatch):
    save_folder(tmp_path / "made", *tiny_model)
    again = load_folder(tmp_path / "made", name="tiny", digest="0")
    assert again.score(PROMPT, OPTIONS).log_prob == pytest.approx(model.score(PROMPT, OPTIONS).log_prob, abs=1e-6)
    assert sorted(path.suffix for path in (tmp_path / "made").iterdir() if "model" in path.name) == [".safetensors"]

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("safetensors.torch.save_model", full)
    with pytest.raises(OSError, match="No space"):
        save_folder(tmp_path / "full", *tiny_model)
    assert [path.name for path in tmp_path.iterdir()] == ["made"]


def test_a_model_is_dequantised_once(tiny_model, tmp_path, monkeypatch):
    monkeypatch.setenv("MEDREPRO_CACHE", str(tmp_path))
    monkeypatch.setattr("medrepro.language.small_models.locate", lambda name: tmp_path / name)
    asked = []
    for _ in range(2):
        folder = _dequantised("smollm2_135m", "a" * 64, lambda path: (asked.append(path), tiny_model)[1])
    assert len(asked) == 1
    assert (folder / "model.safetensors").is_file()


def test_an_unknown_model_is_named():
    with pytest.raises(ValueError, match="smollm2, gemma3, got 'gpt'"):
        load_language_model("gpt")
