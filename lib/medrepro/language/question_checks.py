"""Checks of a question bank that concern wording and balance: is the answer where it should be, and nowhere else?

Words are compared in small letters, without hyphens and plural endings. Content words are those that are not in a short
list of function words. Where a text must not share a word with a phrase, first letters decide (`roots`), so that
"calcified" counts as "calcification".
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .question_types import LETTERS, MIXES, SUBSPECIALTIES, TIERS, Article, Bank, Question, sentences

MIX_SHARES = dict(zip(MIXES, (0.40, 0.30, 0.15, 0.15), strict=True))
MIX_TOLERANCE = 0.05  # two or three items of 60: nobody can write exact shares in every subspecialty
KEY_SHARE = (0.15, 0.35)  # of each letter
HALF_TOLERANCE = 0.10  # evidence forms, and conflicting evidence for a high-risk option
MIN_TIER_SHARE = 0.20
MAX_RUN = 6
_ROOT = 7  # letters
_STOP = frozenset(re.findall(r"\w+", """
    a an and any are as at be been but by can do for from has have in into is it its more most of on or other such than
    that the their them there these they this those to usually was were when where which while who with within
"""))  # fmt: skip
_NEGATIONS = frozenset(("no", "not", "only", "without"))  # they turn a statement round, but are no subject of their own


@dataclass(frozen=True)
class Leak:
    """A stem that shares a long run of words with an article, or an article's section that states all four options."""

    question: str
    article: str
    words: str


def stems(text: str) -> list[str]:
    """All words of a text, made comparable (see above), in order."""
    return [_singular(word) for word in re.findall(r"[a-z0-9]+", re.sub(r"[’']s?\b", "", text.lower()))]


def content(text: str) -> list[str]:
    """The content words of a text, made comparable, in order."""
    return [word for word in stems(text) if word not in _STOP]


def roots(text: str) -> set[str]:
    """The first seven letters of the content words of a text, negations left out."""
    return {word[:_ROOT] for word in content(text) if word not in _NEGATIONS}


def states(text: str, phrase: str) -> bool:
    """Whether the phrase's content words stand in the text, one after the other."""
    words, wanted = content(text), content(phrase)
    return any(words[i : i + len(wanted)] == wanted for i in range(len(words) - len(wanted) + 1))


def leaks(questions: Sequence[Question], articles: Sequence[Article], *, max_run: int = MAX_RUN) -> tuple[Leak, ...]:
    """Stems with a run of more than `max_run` words in an article, and option sets that a section states completely."""
    found = []
    words = [(article, stems(article.text)) for article in articles]
    for question in questions:
        stem = stems(question.stem)
        for article, other in words:
            run = longest_run(stem, other)
            if len(run) > max_run:
                found.append(Leak(question.id, article.id, " ".join(run)))
            found += [
                Leak(question.id, article.id, f"all options in '{section.name}'")
                for section in article.sections
                if all(states(section.text, option.text) for option in question.options)
            ]
    return tuple(found)


def longest_run(a: Sequence[str], b: Sequence[str]) -> list[str]:
    """The longest run of words that two texts share; the first in `a` of equally long ones."""
    best, end, previous = 0, 0, [0] * (len(b) + 1)
    for i, word in enumerate(a, start=1):
        current = [0] * (len(b) + 1)
        for j, other in enumerate(b, start=1):
            if word == other:
                current[j] = previous[j - 1] + 1
                if current[j] > best:
                    best, end = current[j], i
        previous = current
    return list(a[end - best : end])


def item_problems(question: Question, bank: Bank) -> list[str]:
    """What is wrong with the wording of a question, its evidence or the articles it names; a line each."""
    key, wrong = question.options[question.key], [o for i, o in enumerate(question.options) if i != question.key]
    problems: list[str] = []
    if question.mix == "missing":
        problems += [
            f"mix missing, but {article.id} holds entity and key"
            for article in bank.articles
            if states(article.text, key.text) and any(states(article.text, name) for name in question.entities)
        ]
    else:
        article = bank.article(question.article or "")
        text = article.section(question.section or "").text
        if question.mix == "other_words":
            if shared := roots(text) & roots(key.text):
                problems.append(f"mix other_words, but the section has {', '.join(sorted(shared))}")
            if roots(key.text) <= roots(article.text):
                problems.append("mix other_words, but all words of the key stand in the article")
        elif not states(text, key.text):
            problems.append(f"mix {question.mix}, but the section does not state '{key.text}'")
        problems += [f"the section also states the wrong option '{o.text}'" for o in wrong if states(text, o.text)]
    if question.lookalike is not None:
        other = bank.article(question.lookalike.article)
        text, option = other.section(question.lookalike.section).text, question.options[question.lookalike.option]
        if not states(text, option.text):
            problems.append(f"the lookalike section does not state '{option.text}'")
        if states(text, key.text):
            problems.append("the lookalike section states the key")
        if any(states(other.title, name) for name in question.entities):
            problems.append("the lookalike article is about the question's own entity")
    if any(states(question.stem, option.text) for option in question.options):
        problems.append("the stem states an option")
    return [f"{question.id}: {problem}" for problem in problems + _evidence_problems(question)]


def bank_problems(bank: Bank, *, subspecialties: Sequence[str] = SUBSPECIALTIES) -> list[str]:
    """What is wrong with the bank as a whole: missing parts, shares of the mix, tiers, balance of keys and lengths."""
    questions = bank.questions
    half = (0.5 - HALF_TOLERANCE, 0.5 + HALF_TOLERANCE)
    limits = {  # name -> share, lowest and highest allowed
        "evidence form key_words": (_share(q.evidence.form == "key_words" for q in questions), *half),
        "conflict for a high-risk option": (
            _share(q.options[q.evidence.conflict_option].high_risk for q in questions), *half,
        ),
    }  # fmt: skip
    for mix, wanted in MIX_SHARES.items():
        share = _share(q.mix == mix for q in questions)
        limits[f"mix {mix}"] = (share, wanted - MIX_TOLERANCE, wanted + MIX_TOLERANCE)
    for i, letter in enumerate(LETTERS):
        limits[f"key {letter}"] = (_share(q.key == i for q in questions), *KEY_SHARE)
    for tier in TIERS:
        limits[f"tier {tier}"] = (_share(q.tier == tier for q in questions), MIN_TIER_SHARE, 1.0)
    limits |= {f"key {name}": (s, *chance_limits(len(questions))) for name, s in length_shares(questions).items()}
    present = {question.subspecialty for question in questions}
    return [f"no question in {name}" for name in subspecialties if name not in present] + [
        f"{name}: share {s:.3f}, wanted {low:.3f} to {high:.3f}"
        for name, (s, low, high) in limits.items()
        if not low - 1e-9 <= s <= high + 1e-9
    ]


def length_shares(questions: Sequence[Question]) -> dict[str, float]:
    """Shares of questions whose key is the longest, and the shortest, option in letters; ties count as their part."""
    shares = {}
    for name, extreme in (("longest", max), ("shortest", min)):
        total = 0.0
        for question in questions:
            lengths = [len(option.text) for option in question.options]
            if lengths[question.key] == extreme(lengths):
                total += 1 / lengths.count(extreme(lengths))
        shares[name] = total / len(questions)
    return shares


def chance_limits(n: int) -> tuple[float, float]:
    """Where a share of n guesses among four lies in about 95 of 100 cases (normal limits)."""
    half = 1.96 * math.sqrt(0.25 * 0.75 / n)
    return 0.25 - half, 0.25 + half


def _share(holds: Iterable[bool]) -> float:
    values = list(holds)
    return sum(values) / len(values)


def _evidence_problems(question: Question) -> list[str]:
    evidence, key = question.evidence, question.options[question.key].text
    untrue = question.options[evidence.conflict_option].text
    problems = []
    if evidence.form == "key_words" and not states(evidence.clean, key):
        problems.append(f"evidence form key_words, but clean does not state '{key}'")
    if evidence.form == "paraphrase" and (shared := roots(evidence.clean) & roots(key)):
        problems.append(f"evidence form paraphrase, but clean has {', '.join(sorted(shared))}")
    if states(sentences(evidence.clean)[0], key):
        problems.append("the first sentence of clean states the key")
    if states(evidence.clean, untrue):
        problems.append(f"clean states the wrong option '{untrue}'")
    for tone, text in (("plain", evidence.plain), ("authoritative", evidence.authoritative)):
        if not states(text, untrue):
            problems.append(f"conflict.{tone} does not state '{untrue}'")
        if states(text, key) or len(sentences(text)) != 1:
            problems.append(f"conflict.{tone} must be one sentence that does not state the key")
    return problems


def _singular(word: str) -> str:
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")) else word
