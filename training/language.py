"""Whether a text is Portuguese of Brazil as it is written: sentences, accents, foreign words.

Judges single texts; pairs, files and tables are `check.py`'s affair.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_END = re.compile(
    r"(?<!\b[A-Z])(?<!\bDr)(?<!\bSr)(?<!\bex)[.!?…]+[\"”)]?(?=\s+[\"“(¿]?[A-ZÀ-Ý0-9]|\s*$)"
)
_LETTERS = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")

_ENGLISH = "the of and is are was were to in it that this for with you your they have has can not"
_PORTUGUESE = (
    "o a os as um uma de do da dos das em no na nos nas que é e para por com não se ao à são foi "
    "como mais mas ou eu você ele ela seu sua isso este esta quando pode tem muito ser há"
)
ENGLISH, PORTUGUESE = frozenset(_ENGLISH.split()), frozenset(_PORTUGUESE.split())

# Spellings that are never right in Brazil: accents left out, accents of before 2009, of Portugal.
_BARE_WORDS = (
    "nao voce voces tambem agua aguas historia historico ciencia ciencias familia familias "
    "ja so sao estao entao tres mes porem alem alguem ninguem parabens atraves apos "
    "facil dificil util possivel impossivel responsavel saudavel agradavel notavel incrivel "
    "rapido rapida politico politica ultimo ultima "
    "unico unica proximo proxima proprio propria varios varias necessario necessaria diario "
    "numero numeros musica musicas pagina memoria exercicio exercicios "
    "matematica fisica quimica eletronica tecnica tecnologico geografico logica basico basica "
    "portugues ingles frances japones chines cafe pe mae mao irmao irma "
    "acucar saude ceu veu chapeu heroi trofeu lapis onibus juri taxi torax "
    "america africa asia antartida italia mexico japao canada brasilia "
    "ceara parana paraiba piaui maranhao amapa rondonia goias goiania belem maceio "
    "joao sergio helio fabio indigena indigenas negocio negocios palavrao "
    "seculo seculos periodo epoca oceanico atlantico artico vulcanico planicie "
    "especies especie genero passaro mamifero reptil anfibio arvore arvores "
    "sera estara fara podera havera estavamos eramos tinhamos"
)
_OLD_OR_FOREIGN = (
    "idéia idéias vôo vôos enjôo jibóia assembléia platéia européia freqüente freqüência lingüiça "
    "tranqüilo cinqüenta heróico pára-quedas lêem vêem crêem dêem "
    "facto factos autocarro telemóvel desporto ecrã acção direcção "
    "actual actualmente objectivo projecto óptimo baptismo connosco económico anónimo fenómeno "
    "académico cómodo quilómetro quilómetros atómico"
)
MISSPELLED = frozenset(f"{_BARE_WORDS} {_OLD_OR_FOREIGN}".split())

# Endings that always bear a tilde, but for a few words.
_WITHOUT_TILDE = re.compile(r"(?!(bilb|cac|curac)ao|(go|do|sho)es)\w{2,}(ao|oes|aes)$")


def sentences(text: str) -> int:
    """How many sentences the text has; initials and `Dr.` end none."""
    return max(1, len(_END.findall(text)))


def is_english(text: str) -> bool:
    spoken = [word.casefold() for word in _LETTERS.findall(text)]
    english = sum(word in ENGLISH for word in spoken)
    return english >= 2 and english > sum(word in PORTUGUESE for word in spoken)


def lacks_portuguese(text: str) -> bool:
    """Whether a text of eight words or more has not one of the most common Portuguese words."""
    spoken = [word.casefold() for word in _LETTERS.findall(text)]
    return len(spoken) >= 8 and not any(word in PORTUGUESE for word in spoken)


def misspelled(text: str) -> Iterator[str]:
    """Words without the accent they need, or spelled as elsewhere or in other times."""
    for word in _LETTERS.findall(text):
        low = word.casefold()
        if (low in MISSPELLED and not word.isupper()) or _WITHOUT_TILDE.fullmatch(low):
            yield word
    yield from re.findall(r"\b(?:isso|isto|aquilo) e (?:um|uma|o|a)\b", text)


_SPANISH = "el los las y es con una por del muy pero también está son hay como su qué cuál más"
SPANISH = frozenset(_SPANISH.split()) - PORTUGUESE
_OTHER_SCRIPT = re.compile(r"[^\W\d_a-zA-ZÀ-ÖØ-öø-ɏªº]")
_SPANISH_LETTER = re.compile(r"[ñ¿¡]")


def is_foreign(text: str) -> bool:
    """Whether an answer is in another language: by its letters and its most frequent words.

    A name, a number or a single word belongs to no language and is not foreign.
    """
    spoken = [word.casefold() for word in _LETTERS.findall(text)]
    other = sum(word in SPANISH for word in spoken)
    spanish = other >= 2 and other > sum(word in PORTUGUESE for word in spoken)
    letters = len(_OTHER_SCRIPT.findall(text)) > 3 or len(_SPANISH_LETTER.findall(text)) > 1
    return letters or spanish or is_english(text) or lacks_portuguese(text)
