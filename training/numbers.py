"""The rows of the tables about numbers, which nobody needs to write out, and other forms of them.

Which rows there are is fixed here; how they are asked for stands in the tables' YAML files.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from training.grammar import digits, spell

Rows = list[list[str]]

# Larger unit in the plural, how many of the smaller one it holds, the smaller one.
UNITS = [
    ("os quilômetros", 1000, "os metros"),
    ("os metros", 100, "os centímetros"),
    ("os centímetros", 10, "os milímetros"),
    ("os quilos", 1000, "os gramas"),
    ("as toneladas", 1000, "os quilos"),
    ("os litros", 1000, "os mililitros"),
    ("as horas", 60, "os minutos"),
    ("os minutos", 60, "os segundos"),
    ("os dias", 24, "as horas"),
    ("as semanas", 7, "os dias"),
    ("os anos", 12, "os meses"),
    ("as décadas", 10, "os anos"),
    ("os séculos", 100, "os anos"),
    ("as dúzias", 12, "as unidades"),
    ("os reais", 100, "os centavos"),
]

_SPELLED = {spell(number): str(number) for number in range(101)}


def other_forms(cell: str) -> list[str]:
    """The same number in words or in digits: `8` → `oito`, `1.000` → `mil`, `oito` → `8`."""
    figure = cell.replace(".", "")
    if figure.isdecimal():
        return [spell(int(figure))] if int(figure) < 10_000 else []
    return [_SPELLED[cell]] if cell in _SPELLED else []


def generated(table: str) -> Rows:
    """The rows of the named table, the same at every call."""
    return _TABLES[table](random.Random(f"rows of {table}"))


def _addition(draw: random.Random) -> Rows:
    small = [(a, b) for a in range(2, 11) for b in range(a, 11)]
    tens = [(a, b) for a in range(10, 60, 10) for b in range(a, 60, 20)]
    return [[*_shuffled(draw, a, b), digits(a + b)] for a, b in small + tens]


def _shuffled(draw: random.Random, a: int, b: int) -> list[str]:
    return [str(a), str(b)] if draw.random() < 0.5 else [str(b), str(a)]


def _subtraction(draw: random.Random) -> Rows:
    pairs = [(a, b) for a in range(4, 21) for b in range(2, a - 1) if a != 2 * b]
    return [[str(a), str(b), str(a - b)] for a, b in sorted(draw.sample(pairs, 40))]


def _multiplication(draw: random.Random) -> Rows:
    pairs = [(a, b) for a in range(2, 11) for b in range(a, 11)]
    return [[*_shuffled(draw, a, b), str(a * b)] for a, b in pairs]


def _doubles(_: random.Random) -> Rows:
    numbers = [*range(3, 21), 25, 30, 35, 40, 45, 50, 60, 75, 100, 150, 200, 500]
    return [[str(number), digits(2 * number)] for number in numbers]


def _percentages(_: random.Random) -> Rows:
    bases = {10: (50, 80, 100, 200, 300, 500), 20: (50, 100, 200, 300, 400), 25: (40, 80, 100, 200)}
    bases |= {30: (100, 200), 50: (40, 60, 80, 90, 120, 300), 75: (100, 200)}
    return [
        [str(percent), str(base), digits(percent * base // 100)]
        for percent, chosen in bases.items()
        for base in chosen
    ]


def _conversions(draw: random.Random) -> Rows:
    return [
        [str(amount), large, digits(amount * size), small]
        for large, size, small in UNITS
        for amount in sorted(draw.sample(range(2, 11), 2))
    ]


def _spelling(_: random.Random) -> Rows:
    numbers = [*range(11, 20), 22, 28, 31, 34, 37, 43, 46, 52, 55, 61, 66, 67, 74, 76]
    numbers += [83, 88, 92, 99, 100, 101, 125, 150, 200, 365, 500, 1000]
    return [[str(number), spell(number)] for number in numbers]


_TABLES: dict[str, Callable[[random.Random], Rows]] = {
    "addition": _addition,
    "subtraction": _subtraction,
    "multiplication": _multiplication,
    "doubles": _doubles,
    "percentages": _percentages,
    "conversions": _conversions,
    "spelling": _spelling,
}
