"""How a fact is asked and answered: templates filled in, wrapped and roughened.

Which facts are asked, how often and for what, is `build.py`'s affair.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator

from training.tables import Fact, Kind
from training.words import bare

PLAIN = 0.45  # share of clauses asked as they are, without a wrapper
CARELESS = 0.08  # share of questions typed without capital letter and question mark
HASTY = 0.06  # and of those typed without accents too, where letters are not the point

_INTERROGATIVE = re.compile(
    r"(o que|quem|qual|quais|que|como|onde|quando|quant[oa]s?|"
    r"(em|de|a|ao|com|para|por|até|a partir de|sobre) (que|quem|qual|quais|onde|quant[oa]s?))\b"
)
_DIRECT = re.compile(r"(^|[:,!] )\{[qQ]\}")


def capitalized(text: str) -> str:
    return text[:1].upper() + text[1:]


def lowered(text: str) -> str:
    return text[:1].lower() + text[1:]


def is_clause(template: str) -> bool:
    """Whether the template is to be finished: it neither opens nor closes like a sentence."""
    return template[-1] not in ".?!" and not template[0].isupper()


def wrapped(clause: str, wrappers: list[str], draw: random.Random) -> str:
    """The clause in a sentence; one that opens with no question word only after a colon or so."""
    if not _INTERROGATIVE.match(clause):
        wrappers = [wrapper for wrapper in wrappers if _DIRECT.search(wrapper)]
    return draw.choice(wrappers).format(q=clause, Q=capitalized(clause))


def training_questions(
    fact: Fact, kind: Kind, wrappers: list[str], draw: random.Random
) -> Iterator[tuple[str, str]]:
    """Questions and answers without end: the first clause as it is, then all at random."""
    first = kind.questions[0]
    if is_clause(first):
        yield capitalized(first.format_map(fact.row)) + "?", answer(fact, kind)
    while True:
        for template in draw.sample(kind.questions, len(kind.questions)):
            told = fact.in_other_words(draw)
            text = template.format_map(told.row)
            if is_clause(template):
                plain = draw.random() < PLAIN
                text = f"{text}?" if plain else wrapped(text, wrappers, draw)
            question = roughened(capitalized(text), fact.table.spelled, draw)
            yield question, answer(told, kind)


def reserved_questions(
    fact: Fact, kind: Kind, wrappers: list[str], draw: random.Random
) -> Iterator[tuple[str, str]]:
    """Every reserved phrasing once and an answer, in random order, half of the clauses wrapped."""
    for template in draw.sample(kind.reserved, len(kind.reserved)):
        text = template.format_map(fact.row)
        if is_clause(template):
            text = f"{text}?" if draw.random() < 0.5 else wrapped(text, wrappers, draw)
        yield capitalized(text), answer(fact, kind)


def answer(fact: Fact, kind: Kind) -> str:
    """The answer to whatever question: a fact told in three forms is learned three times."""
    return capitalized(kind.answers[0].format_map(fact.row))


def roughened(question: str, spelled: bool, draw: random.Random) -> str:
    """Now and then as people type: no capital, no question mark, no accents."""
    chance = draw.random()
    if chance < CARELESS:
        return lowered(question).rstrip("?. ")
    if chance < CARELESS + HASTY and not spelled:
        return bare(question).rstrip("?. ")
    return question
