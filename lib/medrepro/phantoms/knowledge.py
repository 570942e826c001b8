"""An invented medical knowledge base: entities nobody has heard of, articles that state their facts, questions on them.

Planted: every entity has one value for each of five relations, drawn so that each value is used equally often, and an
article whose sections state each fact once, in one of several wordings. An answerer that finds and reads the right
section is right on every question (1.0). One that never saw an article cannot be better than chance (0.25 with four
options): names are random syllables, positions of the answer are balanced, and wrong options are true of other
entities as often as the right one, so that neither frequency nor wording of the options gives it away.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

RELATIONS = ("sign", "modality", "site", "treatment", "complication")
N_OPTIONS = 4

_ONSETS = ("b", "d", "f", "g", "k", "l", "m", "n", "p", "r", "s", "t", "v", "z", "br", "dr", "kl", "pr", "st", "tr")
_NUCLEI = ("a", "e", "i", "o", "u", "ae", "or", "en", "il", "ar")
_KINDS = ("syndrome", "disease", "lesion", "dysplasia")
_SIGN_FORMS = ("folded", "stacked", "split", "beaded", "hollow", "crossed", "rippled", "banded", "mirrored", "nested")
_SIGN_THINGS = ("ribbon", "lantern", "comb", "anchor", "ladder", "petal", "hinge", "spindle", "basket", "arrow")

# Two wordings a relation in articles and two in questions, so that words alone do not lead from one to the other.
_STATEMENTS: Mapping[str, tuple[str, str]] = {
    "sign": ("Its imaging hallmark is the {value}.", "Radiologists recognise {name} by the {value}."),
    "modality": ("The first examination to request is {value}.", "{name} is best shown by {value}."),
    "site": ("It arises in the {value}.", "The {value} is where {name} begins."),
    "treatment": ("Patients are treated with {value}.", "The established therapy for {name} is {value}."),
    "complication": ("Left alone, it leads to {value}.", "Untreated {name} is followed by {value}."),
}
_QUESTIONS: Mapping[str, tuple[str, str]] = {
    "sign": ("Which sign is typical of {name}?", "On images, what points to {name}?"),
    "modality": ("Which examination comes first in suspected {name}?", "How is {name} imaged?"),
    "site": ("Where does {name} originate?", "Which structure is affected by {name} at its onset?"),
    "treatment": ("What is the therapy of {name}?", "A patient has {name}. Which drug is given?"),
    "complication": ("What may {name} lead to?", "Which late problem is feared in {name}?"),
}
_FILLERS = (
    "Most reports come from small series.",
    "Men and women are affected alike.",
    "The name goes back to the first description.",
    "Laboratory values are usually normal.",
    "Guidelines do not agree on the length of follow-up.",
    "A family history is rare.",
)


@dataclass(frozen=True)
class Entity:
    """An invented disease; facts: relation -> its true value."""

    name: str
    facts: Mapping[str, str]


@dataclass(frozen=True)
class Section:
    """One section of an article; `sentences[i]` with i = `fact_at` states the fact of `relation`."""

    relation: str
    sentences: tuple[str, ...]
    fact_at: int

    @property
    def text(self) -> str:
        return " ".join(self.sentences)


@dataclass(frozen=True)
class Article:
    """What is written about one entity, a section per relation."""

    id: str
    title: str
    sections: tuple[Section, ...]


@dataclass(frozen=True)
class Question:
    """A multiple-choice question; key: index of the right option; article_id, relation: where the answer stands."""

    id: str
    stem: str
    options: tuple[str, ...]
    key: int
    entity: str
    relation: str
    article_id: str


@dataclass(frozen=True)
class KnowledgeBase:
    """Entities, one article each in the same order, and the pool of values of each relation."""

    entities: tuple[Entity, ...]
    articles: tuple[Article, ...]
    values: Mapping[str, tuple[str, ...]]


def make_knowledge_base(n_entities: int = 60, *, seed: int) -> KnowledgeBase:
    """A seeded knowledge base of `n_entities` (4 to 400) invented entities with five facts and an article each.

    A relation has about a third as many values as there are entities, so a value is true of about three of them.
    Raises ValueError when n_entities is out of range.
    """
    if not 4 <= n_entities <= 400:
        raise ValueError(f"n_entities must be between 4 and 400, got {n_entities}")
    rng = np.random.default_rng(seed)
    words = _distinct_words(rng, n_entities + 3 * max(N_OPTIONS, n_entities // 3))
    names = [f"{word.capitalize()} {_KINDS[i % len(_KINDS)]}" for i, word in enumerate(words[:n_entities])]
    values = _values(rng, max(N_OPTIONS, n_entities // 3), words[n_entities:])
    chosen = {relation: _balanced(rng, pool, n_entities) for relation, pool in values.items()}
    entities = tuple(Entity(name, {r: chosen[r][i] for r in RELATIONS}) for i, name in enumerate(names))
    articles = tuple(_article(rng, i, entity) for i, entity in enumerate(entities))
    return KnowledgeBase(entities, articles, values)


def make_questions(base: KnowledgeBase, n: int, *, seed: int) -> tuple[Question, ...]:
    """n questions (at most one per entity and relation), four options each, every position right equally often.

    Wrong options are values of the same relation, each drawn as often as any other over the whole bank.
    Raises ValueError when n is out of range.
    """
    pairs = [(i, relation) for i in range(len(base.entities)) for relation in RELATIONS]
    if not 1 <= n <= len(pairs):
        raise ValueError(f"n must be between 1 and {len(pairs)} (entities x relations), got {n}")
    rng = np.random.default_rng(seed)
    keys = _balanced(rng, range(N_OPTIONS), n)
    questions = []
    for number, at in enumerate(rng.permutation(len(pairs))[:n]):
        i, relation = pairs[at]
        entity, key = base.entities[i], keys[number]
        others = [value for value in base.values[relation] if value != entity.facts[relation]]
        options = [str(value) for value in rng.choice(others, size=N_OPTIONS - 1, replace=False)]
        options.insert(key, entity.facts[relation])
        stem = _QUESTIONS[relation][int(rng.integers(2))].format(name=entity.name)
        questions.append(
            Question(f"K{number:03d}", stem, tuple(options), key, entity.name, relation, base.articles[i].id)
        )
    return tuple(questions)


def mislead(article: Article, question: Question, value: str) -> Article:
    """The article with the question's fact replaced by a wrong option, everything else untouched.

    Raises ValueError when the article is not the question's, or `value` is not one of its wrong options.
    """
    wrong = [option for i, option in enumerate(question.options) if i != question.key]
    if article.id != question.article_id:
        raise ValueError(f"article must be {question.article_id}, got {article.id}")
    if value not in wrong:
        raise ValueError(f"value must be a wrong option of {question.id} ({', '.join(wrong)}), got {value!r}")
    right = question.options[question.key]
    sections = []
    for section in article.sections:
        if section.relation == question.relation:
            changed = list(section.sentences)
            changed[section.fact_at] = changed[section.fact_at].replace(right, value)
            section = replace(section, sentences=tuple(changed))
        sections.append(section)
    return replace(article, sections=tuple(sections))


def _article(rng: np.random.Generator, number: int, entity: Entity) -> Article:
    sections = []
    for relation in RELATIONS:
        fact = _STATEMENTS[relation][int(rng.integers(2))].format(name=entity.name, value=entity.facts[relation])
        around = [_FILLERS[j] for j in rng.choice(len(_FILLERS), size=2, replace=False)]
        at = int(rng.integers(3))
        sections.append(Section(relation, (*around[:at], fact, *around[at:]), at))
    order = rng.permutation(len(sections))
    return Article(f"A{number:03d}", entity.name, tuple(sections[j] for j in order))


def _values(rng: np.random.Generator, n: int, words: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """n values for each relation; all invented, in words whose form says which relation they belong to."""
    signs = [f"{form} {thing} sign" for form in _SIGN_FORMS for thing in _SIGN_THINGS]
    drawn = [signs[j] for j in rng.choice(len(signs), size=min(n, len(signs)), replace=False)]
    modality, site, rest = words[:n], words[n : 2 * n], words[2 * n : 3 * n]
    return {
        "sign": tuple(drawn),
        "modality": tuple(f"{word}graphy" for word in modality),
        "site": tuple(f"{word} plate" for word in site),
        "treatment": tuple(f"{word}mab" for word in rest),
        "complication": tuple(f"{word} failure" for word in reversed(rest)),
    }


def _balanced(rng: np.random.Generator, pool: Sequence, n: int) -> list:
    """n values of the pool in random order, each as often as any other to within one."""
    repeated = [pool[j % len(pool)] for j in range(n)]
    return [repeated[j] for j in rng.permutation(n)]


def _distinct_words(rng: np.random.Generator, n: int) -> list[str]:
    """n different words of three random syllables."""
    words: dict[str, None] = {}
    while len(words) < n:
        onset, nucleus = rng.integers(len(_ONSETS), size=3), rng.integers(len(_NUCLEI), size=3)
        words["".join(_ONSETS[o] + _NUCLEI[v] for o, v in zip(onset, nucleus, strict=True))] = None
    return list(words)
