"""Portuguese that templates need: contractions with the article, agreement, numbers in words.

A noun is written with its article (`a Bahia`, `os Estados Unidos`) or without one (`Portugal`);
which form a sentence wants is the template's affair.
"""

from __future__ import annotations

ARTICLES = ("o", "a", "os", "as", "")

# Before the noun, by its article.
BEFORE: dict[str, tuple[str, str, str, str, str]] = {
    "o": ("o", "a", "os", "as", ""),
    "do": ("do", "da", "dos", "das", "de"),
    "no": ("no", "na", "nos", "nas", "em"),
    "ao": ("ao", "à", "aos", "às", "a"),
    "pelo": ("pelo", "pela", "pelos", "pelas", "por"),
    "um": ("um", "uma", "uns", "umas", ""),
    "este": ("este", "esta", "estes", "estas", ""),
    "quantos": ("quantos", "quantas", "quantos", "quantas", "quantos"),
    "qual": ("qual é o", "qual é a", "quais são os", "quais são as", "qual é"),
    "chama": ("se chama o", "se chama a", "se chamam os", "se chamam as", "se chama"),
}

# Verbs that agree with the noun and stand without it: singular, plural.
AGREEING: dict[str, tuple[str, str]] = {
    "é": ("é", "são"),
    "foi": ("foi", "foram"),
    "fica": ("fica", "ficam"),
    "aconteceu": ("aconteceu", "aconteceram"),
    "tem": ("tem", "têm"),
    "usa": ("usa", "usam"),
    "pertence": ("pertence", "pertencem"),
    "vale": ("vale", "valem"),
}

_NUMBERS = (
    "zero um dois três quatro cinco seis sete oito nove dez onze doze treze catorze quinze "
    "dezesseis dezessete dezoito dezenove "
    "vinte trinta quarenta cinquenta sessenta setenta oitenta noventa "
    "cento duzentos trezentos quatrocentos quinhentos seiscentos setecentos oitocentos novecentos"
)
_WORDS = _NUMBERS.split()
_UNITS, _TENS, _HUNDREDS = _WORDS[:20], _WORDS[20:28], _WORDS[28:]


def split_article(text: str) -> tuple[str, str]:
    """`a Bahia` → (`a`, `Bahia`); `Portugal` → (``, `Portugal`)."""
    first, _, rest = text.partition(" ")
    return (first, rest) if rest and first in ARTICLES else ("", text)


def inflect(form: str, text: str) -> str:
    """The noun (with its article) in one of the forms of BEFORE and AGREEING."""
    article, noun = split_article(text)
    if form in AGREEING:
        return AGREEING[form][article in ("os", "as")]
    return f"{BEFORE[form][ARTICLES.index(article)]} {noun}".strip()


def spell(number: int) -> str:
    """A number from 0 to 9999 in words."""
    if number < 20:
        return _UNITS[number]
    if number < 100:
        return _joined(_TENS[number // 10 - 2], number % 10)
    if number < 1000:
        return "cem" if number == 100 else _joined(_HUNDREDS[number // 100 - 1], number % 100)
    thousands = "mil" if number < 2000 else f"{spell(number // 1000)} mil"
    rest = number % 1000
    linked = rest < 100 or rest % 100 == 0
    return thousands if not rest else f"{thousands} {'e ' if linked else ''}{spell(rest)}"


def _joined(larger: str, rest: int) -> str:
    return f"{larger} e {spell(rest)}" if rest else larger


def digits(number: int) -> str:
    """A whole number as Brazilians write it: 1.000."""
    return f"{number:,}".replace(",", ".")
