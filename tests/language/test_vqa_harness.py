"""The path from image and prompt to a score, with a model of random weights and with an endpoint on loopback."""

from __future__ import annotations

import base64
import io
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from medrepro.language.answer_tables import answers_of, read_answers, write_answers
from medrepro.language.causal import Sampling
from medrepro.language.endpoint import EndpointError
from medrepro.language.entailment import OracleJudge
from medrepro.language.vocabulary import END, WordVocabulary
from medrepro.language.vqa_harness import (
    EndpointAnswers,
    TinyAnswers,
    ask,
    judge_correct,
    parse_choice,
    score_choices,
)
from medrepro.models.tiny_vlm import TinyVLM
from medrepro.phantoms.radiology_terms import QUESTIONS

VOCABULARY = WordVocabulary(["what is it?", "which organ is shown here?", "mass cyst free air left lung"])
HOT = Sampling(n=4, temperature=1.0, max_new_tokens=4, seed=3)
PROMPTS = ["what is it?", "which organ is shown here?", "what is it?"]


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    small = TinyVLM(len(VOCABULARY), image_size=16, channels=(4, 4, 8), dim=16, depth=1, max_words=12)
    torch.nn.init.normal_(small.head.weight, std=0.2)
    torch.nn.init.constant_(small.head.bias[END : END + 1].detach(), 2.0)  # short answers
    return TinyAnswers(small, VOCABULARY, name="tiny")


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).random((3, 1, 16, 16), dtype=np.float32)


@pytest.fixture
def server():
    """An endpoint that says "answer <number> of <n>" and keeps what it was asked; `replies` overrides it."""
    asked, replies = [], []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            n = asked[-1]["n"]
            likely = {"logprobs": {"content": [{"logprob": -0.25}, {"logprob": -0.5}]}}
            usual = {"choices": [{"message": {"content": f"answer {i} of {n}"}, **likely} for i in range(n)]}
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(replies.pop(0) if replies else usual).encode())

        def log_message(self, *_):
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=http.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{http.server_port}/v1", asked, replies
    http.shutdown()
    http.server_close()


def test_an_answer_depends_on_neither_batch_size_nor_other_questions_with_their_padding(model, images):
    together = model.answer(images, PROMPTS, HOT)
    alone = TinyAnswers(model.model, VOCABULARY, name="tiny", batch_size=1).answer(images, PROMPTS, HOT)
    assert [[a.text for a in row] for row in together] == [[a.text for a in row] for row in alone]
    assert len({a.text for row in together for a in row}) > 3
    few = model.answer(images[:2], PROMPTS[:2], HOT)
    assert [a.text for a in few[1]] == [a.text for a in together[1]]
    # Another batch sums in another order: equal up to the rounding of float32.
    assert [a.log_prob for a in few[1]] == pytest.approx([a.log_prob for a in together[1]], abs=1e-5)


def test_equal_seeds_give_equal_answers_and_other_seeds_others(model, images):
    first, second = (model.answer(images, PROMPTS, HOT) for _ in range(2))
    assert first == second
    assert first != model.answer(images, PROMPTS, Sampling(n=4, temperature=1.0, max_new_tokens=4, seed=4))


def test_low_temperature_comes_to_the_likeliest_word(model, images):
    greedy = model.answer(images, PROMPTS, Sampling(max_new_tokens=4))
    cold = model.answer(images, PROMPTS, Sampling(n=3, temperature=1e-4, max_new_tokens=4))
    assert [[row[0].text] * 3 for row in greedy] == [[a.text for a in row] for row in cold]


def test_words_are_drawn_with_the_probability_that_the_model_gives_them(model, images):
    many = Sampling(n=4000, temperature=1.0, max_new_tokens=6, seed=1)
    said = [a.text for a in model.answer(images[:1], PROMPTS[:1], many)[0]]
    ended = pd.Series([text for text in said if len(text.split()) < 6])
    assert len(ended) > 2000
    for text in ended.value_counts().index[:4]:
        p = float(np.exp(model.log_prob(images[:1], PROMPTS[:1], [text])[0]))
        assert said.count(text) / 4000 == pytest.approx(p, abs=4 * (p * (1 - p) / 4000) ** 0.5)


def test_the_likelihood_of_a_sample_is_that_of_the_answer(model, images):
    for row, image, prompt in zip(model.answer(images, PROMPTS, HOT), images, PROMPTS, strict=True):
        for answer in row:
            if len(answer.text.split()) < 4:  # cut off without an end mark otherwise
                expected = model.log_prob(image[None], [prompt], [answer.text])[0]
                assert answer.log_prob == pytest.approx(expected, abs=1e-3)


def test_a_run_becomes_a_table_that_can_be_analysed_from_its_file_alone(model, images, tmp_path):
    questions = pd.DataFrame({"id": ["a", "b", "c"], "question": ["q"] * 3, "prompt": PROMPTS,
                              "expected": "mass", "set": "general"})  # fmt: skip
    table = ask(model, images, questions, n_samples=5, max_new_tokens=4, seed=0)
    write_answers(table, tmp_path / "answers.csv")
    found = answers_of(read_answers(tmp_path / "answers.csv"), "tiny")
    direct = answers_of(table, "tiny")
    assert (found.samples, found.base, found.temperatures) == (direct.samples, direct.base, (0.1, 1.0))
    np.testing.assert_array_equal(found.log_prob, direct.log_prob)
    assert [len(row) for row in found.samples] == [5, 5, 5]
    assert "prompt" not in table


def test_an_endpoint_gets_the_image_and_all_samples_in_one_request(server, images):
    url, asked, _ = server
    table = ask(EndpointAnswers(url, "some-vlm"), images[:1], {"id": ["a"], "question": ["what?"], "expected": ["x"]},
                n_samples=15, seed=7)  # fmt: skip
    assert [body["n"] for body in asked] == [1, 15]
    assert [body["temperature"] for body in asked] == [0.1, 1.0]
    text, picture = asked[0]["messages"][0]["content"]
    assert text == {"type": "text", "text": "what?"}
    kind, data = picture["image_url"]["url"].split(",")
    assert kind == "data:image/png;base64"
    sent = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))
    np.testing.assert_array_equal(sent, np.round(images[0, 0] * 255))
    found = answers_of(table, "some-vlm")
    assert (found.base, found.samples[0][14], found.log_prob.tolist()) == (
        ["answer 0 of 1"],
        "answer 14 of 15",
        [-0.75],
    )


def test_a_server_that_gives_one_answer_at_a_time_and_no_likelihood_is_asked_again(server, images):
    url, asked, replies = server
    replies += [{"choices": [{"message": {"content": f"say {i}"}}]} for i in range(3)]
    answers = EndpointAnswers(url, "m").answer(images[:1], ["what?"], Sampling(n=3, temperature=1.0))
    assert [a.text for a in answers[0]] == ["say 0", "say 1", "say 2"]
    assert np.isnan([a.log_prob for a in answers[0]]).all()
    assert [body["n"] for body in asked] == [3, 2, 1]
    replies += [{"choices": []}]
    with pytest.raises(EndpointError, match="holds no choices with text"):
        EndpointAnswers(url, "m").answer(images[:1], ["what?"], Sampling())


def test_a_broader_or_narrower_answer_is_not_the_expected_one():
    said = ["tumour", "space-occupying lesion", "spiculated mass", "cyst", ""]
    correct = judge_correct([QUESTIONS["abnormality"]] * 5, said, ["mass"] * 5, OracleJudge())
    assert correct.tolist() == [True, False, False, False, False]


@pytest.mark.parametrize(
    ("text", "option"),
    [
        ("There is a TUMOUR.", "tumour"),
        ("no tumour", "normal"),
        ("neoplasm, that is a tumour", "tumour"),
        ("tumour or no tumour", None),
        ("tumours", None),
        ("", None),
    ],
)
def test_a_choice_is_read_or_counted_as_unreadable(text, option):
    assert parse_choice(text, {"tumour": ["tumour", "neoplasm"], "normal": ["no tumour"]}) == option


def test_unreadable_answers_are_wrong_and_counted():
    scores = score_choices(["a", None, "b", "a"], ["a", "a", "a", "a"])
    assert (scores.accuracy.value, scores.invalid.value) == (0.5, 0.25)
    assert score_choices(["a", None], ["a", "a"], units=["p", "p"]).accuracy.n == 1


def test_wrong_calls_are_named(model, images):
    with pytest.raises(ValueError, match="images and prompts must be equally many, got 3 and 1"):
        model.answer(images, ["what is it?"], HOT)
    with pytest.raises(ValueError, match=r"top_p must be 1 for tiny, got 0\.9"):
        model.answer(images, PROMPTS, Sampling(top_p=0.9))
    with pytest.raises(ValueError, match="prompts must leave room for an answer in 12 words"):
        model.answer(images[:1], ["what " * 12], HOT)
