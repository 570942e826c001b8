"""An OpenAI-compatible endpoint on loopback that answers, stalls, refuses and returns nonsense."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from medrepro.data import DataError
from medrepro.language.causal import Sampling
from medrepro.language.endpoint import Endpoint, EndpointError

HOT = Sampling(n=3, temperature=1.0, max_new_tokens=8, seed=4)


class Server:
    """Answers with what `replies` holds, one entry a request; the last one again and again."""

    def __init__(self):
        self.replies, self.asked, self.keys = [], [], []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                outer.asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                outer.keys.append(self.headers.get("Authorization"))
                reply = outer.replies.pop(0) if len(outer.replies) > 1 else outer.replies[0]
                status, body = reply(outer.asked[-1]) if callable(reply) else reply
                try:
                    self.send_response(status)
                    if status == 302:
                        self.send_header("Location", "http://127.0.0.1:9/elsewhere")
                    self.end_headers()
                    self.wfile.write(body if isinstance(body, bytes) else json.dumps(body).encode())
                except BrokenPipeError:
                    pass

            def log_message(self, *_):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/v1"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()


@pytest.fixture
def server():
    made = Server()
    yield made
    made.http.shutdown()
    made.http.server_close()


def say(*texts):
    return 200, {"choices": [{"message": {"content": text}} for text in texts]}


def ask(server, sampling=HOT, **settings):
    waits = []
    endpoint = Endpoint(server.url, "some-model", **{"timeout_s": 5, "sleep": waits.append, **settings})
    return endpoint.generate("Effusion?", sampling), waits


def test_all_answers_of_one_request_come_back(server):
    server.replies = [say(" yes ", "no", None)]
    assert ask(server)[0] == ["yes", "no", ""]
    body = server.asked[0]
    assert body["messages"] == [{"role": "user", "content": "Effusion?"}]
    assert (body["n"], body["temperature"], body["max_tokens"], body["seed"]) == (3, 1.0, 8, 4)


def test_a_server_that_gives_one_answer_at_a_time_is_asked_for_the_rest_with_other_seeds(server):
    server.replies = [lambda body: say(f"seed {body['seed']}")]
    assert ask(server)[0] == ["seed 4", "seed 5", "seed 6"]
    assert [body["n"] for body in server.asked] == [3, 2, 1]


def test_more_answers_than_asked_for_are_cut(server):
    server.replies = [say("a", "b", "c", "d")]
    assert len(ask(server)[0]) == 3


def test_refusals_for_load_are_tried_again_with_growing_waits(server):
    server.replies = [(429, {}), (503, {}), say("a", "b", "c")]
    answers, waits = ask(server)
    assert answers == ["a", "b", "c"]
    assert waits == [1, 2]


@pytest.mark.parametrize(
    ("reply", "message", "n_asked"),
    [
        ((500, b"oops"), "status 500", 3),
        ((404, b"nothing"), "status 404", 1),
        ((302, b""), "status 302", 1),
        ((200, b"<html>login</html>"), "not JSON", 1),
        ((200, {"error": "model unknown"}), "no choices with text", 1),
        ((200, {"choices": []}), "no choices with text", 1),
        ((200, {"choices": [{"message": {"content": 7}}]}), "no choices with text", 1),
        ((200, ["a list"]), "no choices with text", 1),
    ],
)
def test_nonsense_is_one_line_and_never_an_answer(server, reply, message, n_asked):
    server.replies = [reply]
    with pytest.raises(EndpointError, match=message) as error:
        ask(server, retries=2)
    assert len(server.asked) == n_asked
    assert "Effusion" not in str(error.value)
    assert "\n" not in str(error.value)


def test_a_stalled_server_is_left_after_the_timeout(server):
    server.replies = [lambda body: (time.sleep(3), say("late"))[1]]
    start = time.monotonic()
    with pytest.raises(EndpointError, match=r"no answer within 0\.3 s"):
        ask(server, timeout_s=0.3, retries=1)
    assert time.monotonic() - start < 2


def test_a_server_that_is_not_there_is_one_line():
    with pytest.raises(EndpointError, match="no connection"):
        Endpoint("http://127.0.0.1:9/v1", "m", retries=0).generate("x", HOT)


def test_the_key_comes_from_the_environment_and_is_never_told(server, monkeypatch):
    monkeypatch.setenv("MY_KEY", "s3cret")
    server.replies = [(401, {})]
    with pytest.raises(EndpointError, match="MY_KEY was refused") as error:
        ask(server, key_variable="MY_KEY")
    assert server.keys == ["Bearer s3cret"]
    assert "s3cret" not in str(error.value)
    monkeypatch.delenv("MY_KEY")
    with pytest.raises(EndpointError, match="MY_KEY is not set"):
        ask(server, key_variable="MY_KEY")
    assert server.keys[-1] is None


def test_a_protected_cohort_is_never_sent_elsewhere(server, monkeypatch):
    endpoint = Endpoint("https://models.example.org/v1", "m", retries=0)
    monkeypatch.setenv("MEDREPRO_PROTECTED", "1")
    with pytest.raises(DataError, match="only be sent to this machine"):
        endpoint.generate("x", HOT)
    with pytest.raises(DataError, match="only be sent to this machine"):
        Endpoint("https://models.example.org/v1", "m")
    server.replies = [say("a", "b", "c")]
    assert len(ask(server)[0]) == 3


def test_an_endpoint_gives_no_likelihoods_and_says_so(server):
    with pytest.raises(ValueError, match="no likelihoods"):
        Endpoint(server.url, "m").score("x", ["a"])
    with pytest.raises(ValueError, match="base_url must start with"):
        Endpoint("models.example.org", "m")
