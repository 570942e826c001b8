"""Any endpoint that speaks the OpenAI chat-completions protocol, in the place of a small local model."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Sequence
from typing import Any

import requests

from ..data import DataError
from ..data.cohort_rules import require_local
from .causal import OptionScores, Sampling

_TRY_AGAIN = (429, 500, 502, 503, 504)


class EndpointError(DataError):
    """The endpoint refused, stalled or answered nonsense; one line, without the key and without the prompt."""


class Endpoint:
    """A language model behind `BASE_URL/chat/completions`.

    base_url: e.g. "http://127.0.0.1:8000/v1". model: the name the server knows. key_variable: environment variable
    with the key; it is read when a request is made, sent as a bearer token and stored nowhere. timeout_s: longest wait
    for a connection and between two pieces of an answer. retries: further attempts after a refusal for load (429, 5xx)
    or a lost connection, with waits of 1, 2, 4, ... seconds times `backoff_s`.
    Runs on protected cohorts may only use an endpoint on the same machine; redirects are never followed.
    """

    def __init__(
        self,
        base_url: str,
        model: str,
        *,
        key_variable: str = "OPENAI_API_KEY",
        timeout_s: float = 120.0,
        retries: int = 3,
        backoff_s: float = 1.0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if not base_url.startswith(("http://", "https://")):
            raise ValueError(f"base_url must start with http:// or https://, got {base_url!r}")
        require_local(base_url)
        self.base_url, self.name = base_url.rstrip("/"), model
        # The weights behind an endpoint cannot be hashed: the record names the address and model instead.
        self.digest = hashlib.sha256(f"{self.base_url} {model}".encode()).hexdigest()
        self._key_variable, self._timeout_s = key_variable, timeout_s
        self._retries, self._backoff_s, self._sleep = retries, backoff_s, sleep

    def generate(self, prompt: str, sampling: Sampling) -> list[str]:
        """The answers, "" where the server gave none; one that returns fewer than asked for is asked again."""
        answers: list[str] = []
        while len(answers) < sampling.n:
            missing = sampling.n - len(answers)
            body = {
                "model": self.name,
                "messages": [{"role": "user", "content": prompt}],
                "n": missing,
                "temperature": sampling.temperature,
                "top_p": sampling.top_p,
                "max_tokens": sampling.max_new_tokens,
                "seed": sampling.seed + len(answers),
            }
            answers += self._choices(self._post(body))[:missing]
        return answers

    def score(self, prompt: str, options: Sequence[str], *, content_free: str | None = None) -> OptionScores:
        """Not offered by the protocol: ValueError. Ask for an answer and parse it."""
        raise ValueError(f"{self.name}: an endpoint gives no likelihoods of options; use generate and parse the answer")

    def _post(self, body: dict[str, Any]) -> Any:
        require_local(self.base_url)  # once more: it may have been made before the cohort was known
        key = os.environ.get(self._key_variable, "")
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        problem = ""
        for attempt in range(self._retries + 1):
            if attempt:
                self._sleep(self._backoff_s * 2 ** (attempt - 1))
            try:
                answer = requests.post(
                    f"{self.base_url}/chat/completions",
                    json=body,
                    headers=headers,
                    timeout=self._timeout_s,
                    allow_redirects=False,
                )
            except requests.Timeout:
                problem = f"no answer within {self._timeout_s:g} s"
                continue
            except requests.RequestException as error:
                problem = f"no connection ({type(error).__name__})"
                continue
            if answer.status_code == 200:
                return self._json(answer)
            problem = f"status {answer.status_code}"
            if answer.status_code in (401, 403):
                problem += (
                    f": the key in {self._key_variable} was refused" if key else f": {self._key_variable} is not set"
                )
            if answer.status_code not in _TRY_AGAIN:
                break
        raise EndpointError(f"{self.name} at {self.base_url}: {problem}")

    def _json(self, answer: requests.Response) -> Any:
        try:
            return answer.json()
        except ValueError:
            raise EndpointError(f"{self.name} at {self.base_url}: the answer is not JSON") from None

    def _choices(self, answer: Any) -> list[str]:
        try:
            texts = [choice["message"]["content"] for choice in answer["choices"]]
        except (KeyError, TypeError):
            texts = []
        if not texts or not all(isinstance(text, str | None) for text in texts):
            raise EndpointError(f"{self.name} at {self.base_url}: the answer holds no choices with text")
        return [(text or "").strip() for text in texts]
