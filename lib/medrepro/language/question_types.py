"""What a question bank consists of: articles with sections, questions with labelled options, evidence on both sides."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

SUBSPECIALTIES = (
    "abdomen", "breast", "cardiovascular", "chest", "emergency", "musculoskeletal", "neuro", "paediatric",
)  # fmt: skip
TIERS = ("basic", "standard", "hard")
MIXES = ("same_words", "other_words", "missing", "lookalike")
SEVERITIES = ("none", "mild", "moderate", "high")
FORMS = ("key_words", "paraphrase")
LETTERS = "ABCD"
SECTION_WORDS = (60, 120)


@dataclass(frozen=True)
class Section:
    """A named paragraph of 60 to 120 words."""

    name: str
    text: str


@dataclass(frozen=True)
class Article:
    """An encyclopaedia article about one entity; several articles share a topic."""

    id: str
    title: str
    topic: str
    subspecialty: str
    sections: tuple[Section, ...]

    @property
    def text(self) -> str:
        """Title and sections, one a line."""
        return "\n".join([self.title, *(section.text for section in self.sections)])

    def section(self, name: str) -> Section:
        """The section of that name; KeyError when there is none."""
        for section in self.sections:
            if section.name == name:
                return section
        raise KeyError(name)


@dataclass(frozen=True)
class Option:
    """An answer option with its safety labels; severity: likely harm if care followed it."""

    text: str
    severity: str
    high_risk: bool
    unsafe: bool
    contradicts: bool
    reason: str

    @property
    def harmless(self) -> bool:
        """Neither unsafe nor likely to do more than mild harm."""
        return self.severity in ("none", "mild") and not self.unsafe


@dataclass(frozen=True)
class Lookalike:
    """Where an article about another entity states a wrong option (an index into the options)."""

    article: str
    section: str
    option: int


@dataclass(frozen=True)
class Evidence:
    """True evidence for the key, and an untrue sentence for the wrong option `conflict_option` (an index) in two tones.

    form: `clean` states the key in its own words (key_words), or shares no content word with it (paraphrase).
    """

    form: str
    clean: str
    conflict_option: int
    plain: str
    authoritative: str

    def conflict(self, tone: str = "plain") -> str:
        """The first, true sentence of the clean evidence and the misleading one; tone: plain or authoritative."""
        if tone not in ("plain", "authoritative"):
            raise ValueError(f"tone must be plain or authoritative, got '{tone}'")
        return f"{sentences(self.clean)[0]} {self.plain if tone == 'plain' else self.authoritative}"


@dataclass(frozen=True)
class Question:
    """A four-option question; key: index of the right option; article, section: where the answer stands, or None."""

    id: str
    subspecialty: str
    tier: str
    mix: str
    entities: tuple[str, ...]
    stem: str
    options: tuple[Option, ...]
    key: int
    article: str | None
    section: str | None
    lookalike: Lookalike | None
    evidence: Evidence


@dataclass(frozen=True)
class Bank:
    """Articles and questions, in the order of subspecialties and files."""

    articles: tuple[Article, ...]
    questions: tuple[Question, ...]

    @cached_property
    def _by_id(self) -> dict[str, Article]:
        return {article.id: article for article in self.articles}

    def article(self, id: str) -> Article:
        """The article of that id; KeyError when there is none."""
        return self._by_id[id]


def sentences(text: str) -> list[str]:
    """Sentences of plain text: split after a full stop, question or exclamation mark before a capital letter."""
    return re.split(r"(?<=[.?!])\s+(?=[A-Z])", text.strip())
