"""MiniRadQA and MiniPedia: radiology questions and encyclopaedia articles written for this project, as YAML in `bank/`.

Two files a subspecialty. Everything listed is required, other keys are refused.

articles_<subspecialty>.yaml: `subspecialty`, and `articles`, a list of
    id        unique, starts with the subspecialty: chest_sarcoidosis
    title     names the entity the article is about
    topic     a subject that several articles share (diffuse lung disease)
    sections  3 to 5 of {name, text}; names unique within the article; 60 to 120 words each

questions_<subspecialty>.yaml: `subspecialty`, and `questions`, a list of
    id        unique, starts with the subspecialty: chest_q01
    tier      basic | standard | hard
    mix       same_words   the named section states the key in the option's words, and no wrong option
              other_words  it states the key by synonym or definition: no content word of the key stands in that
                           section, and not all of them stand in that article
              missing      no article holds both a name of the entity and the key (article and section: null)
              lookalike    as same_words, and the section named under `lookalike` states a wrong option, which is right
                           for the different entity of that article
    entities  names of what is asked about, synonyms included; for a question "what is this?", names of the diagnosis
    stem      the question; shares no run of more than 6 words with any article
    key       A | B | C | D
    options   A to D, each {text, severity, high_risk, unsafe, contradicts, reason}, where for a wrong option
              severity     none | mild | moderate | high: the likely harm if care followed this answer
              high_risk    true exactly where severity is high: life, organ or lasting function is at stake
              unsafe       true where acting on it is itself a harmful act, a dangerous delay or false reassurance
                           (needs moderate or high); false where harm depends on later steps, as with a misread sign
              contradicts  true where the clean evidence excludes it, false where that is merely silent on it
              reason       one line that says why; no line break
              The key has severity none and three times false. At least one wrong option is harmless (severity none or
              mild) and at least one is high_risk, so that the kind of an error can vary.
    article, section    where the answer stands; both null for mix missing
    lookalike           only for mix lookalike: {article, section, option: letter of the wrong option it states}
    evidence            {form, clean, conflict}
              form      key_words: `clean` states the key in the option's words; paraphrase: it shares no content word
                        with the key
              clean     2 or 3 sentences, all true, that together decide for the key; the first is background and does
                        not state the key: conflicting evidence begins with it
              conflict  {option, plain, authoritative}: one untrue sentence in two tones, both stating the wrong
                        option's words; in half of all items that option is high_risk

Articles named by a question belong to its own subspecialty. The text is teaching material about images, in our own
words; it is no advice for patients. `question_checks` holds the checks that concern wording and the bank as a whole.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from .question_types import (
    FORMS,
    LETTERS,
    MIXES,
    SECTION_WORDS,
    SEVERITIES,
    SUBSPECIALTIES,
    TIERS,
    Article,
    Bank,
    Evidence,
    Lookalike,
    Option,
    Question,
    Section,
    sentences,
)  # fmt: skip

_FOLDER = Path(__file__).with_name("bank")
_LABELS = ("high_risk", "unsafe", "contradicts")
_QUESTION_KEYS = ("id", "tier", "mix", "entities", "stem", "key", "options", "article", "section", "evidence")
_YAML = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # what safe_load uses, faster where libyaml is there


def load_bank(subspecialties: Sequence[str] | None = None, *, folder: Path | None = None) -> Bank:
    """The bank, or the part of it in the named subspecialties.

    folder: where the YAML files lie; None: those of this package.
    Raises ValueError, one line naming file, item and key, when a file is not as the schema above demands.
    """
    folder = _FOLDER if folder is None else folder
    articles: list[Article] = []
    questions: list[Question] = []
    for name in SUBSPECIALTIES if subspecialties is None else subspecialties:
        if name not in SUBSPECIALTIES:
            raise ValueError(f"subspecialties must be of {', '.join(SUBSPECIALTIES)}, got '{name}'")
        own = [_article(*entry, name) for entry in _entries(folder, "articles", name)]
        by_id = {article.id: article for article in own}
        articles += own
        questions += [_question(*entry, name, by_id) for entry in _entries(folder, "questions", name)]
    return Bank(tuple(articles), tuple(questions))


def _entries(folder: Path, kind: str, subspecialty: str) -> list[tuple[str, dict[str, Any]]]:
    """(file and item for messages, mapping) of each entry of a file."""
    where = f"{kind}_{subspecialty}.yaml"
    try:
        raw = yaml.load((folder / where).read_text(encoding="utf-8"), Loader=_YAML)
    except OSError as error:
        raise ValueError(f"{where}: cannot be read: {error.strerror}") from None
    except yaml.YAMLError as error:
        raise ValueError(f"{where}: is not valid YAML: {' '.join(str(error).split())}") from None
    _keys(where, raw, ("subspecialty", kind))
    if raw["subspecialty"] != subspecialty:
        raise ValueError(f"{where}: subspecialty: must be {subspecialty}, got {raw['subspecialty']!r}")
    found: dict[str, dict[str, Any]] = {}
    for number, entry in enumerate(_list(f"{where}: {kind}", raw[kind])):
        if not isinstance(entry, dict) or not re.fullmatch(rf"{subspecialty}_[a-z0-9_]+", str(entry.get("id"))):
            got = entry.get("id") if isinstance(entry, dict) else entry
            raise ValueError(
                f"{where}: {kind}[{number}]: id: must be {subspecialty}_name in small letters, got {got!r}"
            )
        if entry["id"] in found:
            raise ValueError(f"{where}: {entry['id']}: id: is used twice")
        found[entry["id"]] = entry
    return [(f"{where}: {id}", entry) for id, entry in found.items()]


def _article(where: str, raw: dict[str, Any], subspecialty: str) -> Article:
    _keys(where, raw, ("id", "title", "topic", "sections"))
    sections: list[Section] = []
    for i, entry in enumerate(_list(f"{where}: sections", raw["sections"])):
        _keys(f"{where}: sections[{i}]", entry, ("name", "text"))
        name, text = (_text(f"{where}: sections[{i}].{key}", entry[key]) for key in ("name", "text"))
        low, high = SECTION_WORDS
        if not low <= len(text.split()) <= high:
            raise ValueError(f"{where}: section '{name}': must have {low} to {high} words, got {len(text.split())}")
        if name in [section.name for section in sections]:
            raise ValueError(f"{where}: section '{name}': is there twice")
        sections.append(Section(name, text))
    if not 3 <= len(sections) <= 5:
        raise ValueError(f"{where}: sections: must be 3 to 5, got {len(sections)}")
    title, topic = (_text(f"{where}: {key}", raw[key]) for key in ("title", "topic"))
    return Article(raw["id"], title, topic, subspecialty, tuple(sections))


def _question(where: str, raw: dict[str, Any], subspecialty: str, articles: Mapping[str, Article]) -> Question:
    mix = _one_of(f"{where}: mix", raw.get("mix"), MIXES)
    _keys(where, raw, (*_QUESTION_KEYS, "lookalike") if mix == "lookalike" else _QUESTION_KEYS)
    key = _letter(f"{where}: key", raw["key"])
    _keys(f"{where}: options", raw["options"], tuple(LETTERS))
    options = tuple(_option(f"{where}: options.{letter}", raw["options"][letter]) for letter in LETTERS)
    if len({option.text.lower() for option in options}) != len(LETTERS):
        raise ValueError(f"{where}: options: two have the same text")
    if options[key].severity != "none" or any(getattr(options[key], label) for label in _LABELS):
        raise ValueError(f"{where}: options.{LETTERS[key]}: the key must have severity none and no label set")
    wrong = [option for i, option in enumerate(options) if i != key]
    if not any(option.harmless for option in wrong) or not any(option.high_risk for option in wrong):
        raise ValueError(f"{where}: options: one wrong option must be harmless and one high_risk")
    if mix == "missing":
        if raw["article"] is not None or raw["section"] is not None:
            raise ValueError(f"{where}: article: must be null, as must section, when mix is missing")
        article = section = None
    else:
        article, section = _place(where, raw, articles)
    lookalike = None
    if mix == "lookalike":
        _keys(f"{where}: lookalike", raw["lookalike"], ("article", "section", "option"))
        other = _wrong_letter(f"{where}: lookalike.option", raw["lookalike"]["option"], key)
        lookalike = Lookalike(*_place(f"{where}: lookalike", raw["lookalike"], articles), other)
        if lookalike.article == article:
            raise ValueError(f"{where}: lookalike.article: must differ from article, got '{article}'")
    return Question(
        id=raw["id"],
        subspecialty=subspecialty,
        tier=_one_of(f"{where}: tier", raw["tier"], TIERS),
        mix=mix,
        entities=tuple(_text(f"{where}: entities", name) for name in _list(f"{where}: entities", raw["entities"])),
        stem=_text(f"{where}: stem", raw["stem"]),
        options=options,
        key=key,
        article=article,
        section=section,
        lookalike=lookalike,
        evidence=_evidence(f"{where}: evidence", raw["evidence"], key),
    )


def _option(where: str, raw: Any) -> Option:
    _keys(where, raw, ("text", "severity", *_LABELS, "reason"))
    severity = _one_of(f"{where}.severity", raw["severity"], SEVERITIES)
    for label in _LABELS:
        if not isinstance(raw[label], bool):
            raise ValueError(f"{where}.{label}: must be true or false, got {raw[label]!r}")
    if raw["high_risk"] != (severity == "high"):
        raise ValueError(f"{where}.high_risk: must be true exactly where severity is high, which is {severity}")
    if raw["unsafe"] and severity not in ("moderate", "high"):
        raise ValueError(f"{where}.unsafe: needs severity moderate or high, got {severity}")
    text, reason = (_text(f"{where}.{name}", raw[name]) for name in ("text", "reason"))
    return Option(text, severity, raw["high_risk"], raw["unsafe"], raw["contradicts"], reason)


def _evidence(where: str, raw: Any, key: int) -> Evidence:
    _keys(where, raw, ("form", "clean", "conflict"))
    clean = _text(f"{where}.clean", raw["clean"])
    if not 2 <= len(sentences(clean)) <= 3:
        raise ValueError(f"{where}.clean: must be 2 or 3 sentences, got {len(sentences(clean))}")
    conflict = raw["conflict"]
    _keys(f"{where}.conflict", conflict, ("option", "plain", "authoritative"))
    plain, authoritative = (_text(f"{where}.conflict.{tone}", conflict[tone]) for tone in ("plain", "authoritative"))
    option = _wrong_letter(f"{where}.conflict.option", conflict["option"], key)
    return Evidence(_one_of(f"{where}.form", raw["form"], FORMS), clean, option, plain, authoritative)


def _place(where: str, raw: Mapping[str, Any], articles: Mapping[str, Article]) -> tuple[str, str]:
    """An article of this subspecialty and a section of it, by name."""
    if raw["article"] not in articles:
        raise ValueError(f"{where}: article: there is no '{raw['article']}' in the subspecialty's articles")
    names = [section.name for section in articles[raw["article"]].sections]
    return raw["article"], _one_of(f"{where}: section", raw["section"], names)


def _keys(where: str, raw: Any, names: Sequence[str]) -> None:
    if not isinstance(raw, dict):
        raise ValueError(f"{where}: must be a mapping with {', '.join(names)}, got {raw!r}")
    for name in names:
        if name not in raw:
            raise ValueError(f"{where}: {name}: is missing")
    for name in raw:
        if name not in names:
            raise ValueError(f"{where}: {name}: unknown key; known are {', '.join(names)}")


def _list(where: str, raw: Any) -> list[Any]:
    if not isinstance(raw, list) or not raw:
        raise ValueError(f"{where}: must be a list with entries, got {raw!r}")
    return raw


def _text(where: str, value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{where}: must be text, got {value!r}")
    return " ".join(value.split())


def _one_of(where: str, value: Any, allowed: Sequence[str]) -> str:
    if value not in allowed:
        raise ValueError(f"{where}: must be one of {', '.join(allowed)}, got {value!r}")
    return value


def _letter(where: str, value: Any) -> int:
    return LETTERS.index(_one_of(where, value, tuple(LETTERS)))


def _wrong_letter(where: str, value: Any, key: int) -> int:
    if (index := _letter(where, value)) == key:
        raise ValueError(f"{where}: must be a wrong option, got the key {value}")
    return index
