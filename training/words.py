"""Texts as bare words: without case, accents and punctuation, the form in which they are compared.

Used by the build, the check and whoever scores answers; it knows nothing of tables or files.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

Expect = list[list[str]]  # alternatives; of one alternative every key word must occur

# Words that say nothing about what is asked: a question's core is what is left without them.
_SAYING_NOTHING = (
    "a as o os um uma uns umas de do da dos das em no na nos nas num numa por pelo pela pelos "
    "pelas para pra pro ao aos com sem e ou se que qual quais quem como quando onde cujo "
    "eu me mim voce te tu ele ela eles elas isso isto esse essa este esta aquele aquela "
    "nao sim ja la ai so muito mesmo meu minha"
)
FUNCTION_WORDS = frozenset(_SAYING_NOTHING.split())
_COURTEOUS = (
    "diga dizer diz fala fale favor sabe saberia sei lembra lembrar pode poderia oi ola "
    "gostaria quero queria preciso saber informar responda responder pergunta rapida duvida "
    "tenho esqueci ajude ajuda estou estudando conta conte e sao foi foram era ser"
)
_LEFT_OUT = FUNCTION_WORDS | frozenset(_COURTEOUS.split())

_WORD = re.compile(r"\d+(?:,\d+)?[ao]?(?![a-z0-9])|[a-z0-9]+")
_ACCENTS = re.compile("[\u0300-\u036f]")  # combining marks, once letters are decomposed
_GREETING = re.compile(r"^(bom dia|boa tarde|boa noite)\b")
_THOUSANDS = re.compile(r"(?<=\d)\.(?=\d{3}\b)")


def bare(text: str) -> str:
    """The text without case and accents; `1º` becomes `1o`."""
    return _ACCENTS.sub("", unicodedata.normalize("NFKD", text.casefold()))


def words(text: str) -> list[str]:
    """Bare words and numbers in order; `1.000` is one number, `2,5` too."""
    return _WORD.findall(_THOUSANDS.sub("", bare(text)))


def core(question: str, besides: frozenset[str] = frozenset()) -> tuple[str, ...]:
    """What a question is about: its words without greeting, function words and courtesies.

    Words in `besides` are kept all the same.
    """
    spoken = words(_GREETING.sub("", bare(question)))
    return tuple(word for word in spoken if word in besides or word not in _LEFT_OUT)


def occurs(phrase: Sequence[str], inside: Sequence[str]) -> bool:
    """Whether the words of `phrase` stand one after another `inside`."""
    length = len(phrase)
    return any(
        list(inside[at : at + length]) == list(phrase) for at in range(len(inside) - length + 1)
    )


def said(expect: Expect, text: str) -> bool:
    """Whether `text` holds every key word of one of the alternatives, as whole words."""
    spoken = words(text)
    return any(all(occurs(words(key), spoken) for key in keys) for keys in expect)
