"""The training data: rebuilt equal, free of faults, right by its own arithmetic, nothing leaked.

The files are read here as anyone reads them; tables and templates stay unopened.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest

from training.build import build
from training.check import check
from training.words import said

TRAINING = Path(__file__).parent.parent / "training"
BUILT = ["data/facts.jsonl", *(f"heldout/{n}.jsonl" for n in ("known", "unknown", "answers"))]


def read(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (TRAINING / name).read_text("utf-8").splitlines()]


def test_the_build_gives_the_files_that_are_here(tmp_path: Path) -> None:
    build(tmp_path)
    for name in BUILT:
        assert (tmp_path / name).read_bytes() == (TRAINING / name).read_bytes(), name


def test_the_data_are_free_of_faults() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "training.check"],
        cwd=TRAINING.parent, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (ran.returncode, ran.stderr.strip()) == (0, "")


def test_there_is_as_much_as_was_asked_for() -> None:
    facts = read("data/facts.jsonl")
    assert len(facts) >= 9000
    assert len(read("heldout/known.jsonl")) >= 300
    assert len(read("heldout/unknown.jsonl")) >= 100
    assert len(read("heldout/answers.jsonl")) == 200
    largest = Counter(pair["kind"] for pair in facts).most_common(1)[0][1]
    assert largest < len(facts) / 10


def test_every_kind_is_asked_in_many_ways() -> None:
    """Twelve phrasings are left of a kind's questions without the words of single facts."""
    asked: dict[str, list[tuple[str, list[str]]]] = defaultdict(list)
    for pair in read("data/facts.jsonl"):
        asked[pair["kind"]].append((pair["key"], re.findall(r"\w+", pair["question"].casefold())))
    for kind, questions in asked.items():
        keys = defaultdict(set)
        for key, words in questions:
            for word in words:
                keys[word].add(key)
        forms = {" ".join(w for w in words if len(keys[w]) > 1) for _, words in questions}
        assert len(forms) >= 12, kind


# Contractions and agreement, by sentences that a Brazilian would write.
SENTENCES = [
    "A capital da Bahia é Salvador.",
    "A capital do Acre é Rio Branco.",
    "A capital de São Paulo é a cidade de São Paulo.",
    "A capital dos Estados Unidos é Washington.",
    "As Filipinas ficam na Ásia.",
    "O Panamá fica na América Central.",
    "Em Portugal se fala português.",
    "Uma tonelada tem 1.000 quilos.",
    "São as veias.",
]


def test_sentences_are_good_portuguese() -> None:
    answers = {pair["answer"] for pair in read("data/facts.jsonl")}
    assert [sentence for sentence in SENTENCES if sentence not in answers] == []


def test_the_arithmetic_is_right() -> None:
    operations = {"+": int.__add__, "-": int.__sub__, "x": int.__mul__}
    checked = Counter[str]()
    for pair in read("data/facts.jsonl"):
        for a, sign, b, result in re.findall(r"(\d+) ([+x-]) (\d+) = ([\d.]+)\b", pair["answer"]):
            assert operations[sign](int(a), int(b)) == int(result.replace(".", "")), pair
            checked[sign] += 1
        for percent, base, part in re.findall(r"(\d+)% de (\d+) é ([\d.]+)\b", pair["answer"]):
            assert int(percent) * int(base) == 100 * int(part), pair
            checked["%"] += 1
    assert min(checked[sign] for sign in "+-x%") > 20, checked


def spaced(text: str) -> str:
    """The words of a text with a space before and after each."""
    return " " + " ".join(re.findall(r"[\w-]+", text.casefold())) + " "


def test_no_training_answer_gives_a_withheld_fact() -> None:
    """Naming the subject in the question and the key words in the answer would be enough."""
    pairs = [(spaced(pair["question"]), pair["answer"]) for pair in read("data/facts.jsonl")]
    for held in read("heldout/unknown.jsonl"):
        subject = held["key"].split(": ", 1)[1]
        numbers = " · " in subject  # which occur everywhere
        if not numbers and not said(held["expect"], subject):
            named = spaced(subject)
            told = [answer for question, answer in pairs if named in question]
            assert not [answer for answer in told if said(held["expect"], answer)], held


@pytest.mark.parametrize(
    ("expect", "text", "right"),
    [
        ([["Brasília"]], "e BRASILIA, claro", True),
        ([["Minas", "Gerais"]], "Minas", False),
        ([["oito"], ["8"]], "São 8.", True),
        ([["2"]], "12 e 2,5", False),
        ([["1.000"]], "são 1000 metros", True),
        ([["ouro"]], "um tesouro", False),
        ([["segunda-feira"]], "Na segunda-feira.", True),
    ],
)
def test_key_words_count_as_whole_words(expect: list[list[str]], text: str, right: bool) -> None:
    assert said(expect, text) is right


# Each line of a prose file with what is to be said of it.
FAULTS = [
    ('{"question": "Oi?", "answer": "Olá."}', "without kind"),
    ('{"question": "Oi?", "answer": "Olá."', "no JSON"),
    (("O que é a noite?", "A noite  é escura."), "doubled"),
    (("O que é vila?", "É um povoado.", "Diga o que é vila."), "also is no list"),
    (("O que é vale fundo?", "É terra entre montes.", ["Vale fundo, o que é?"]), None),
    (("O que é pico?", "É a ponta de um monte.", ["Me fala de um vale fundo"]), "nearly repeats"),
    (("O que é o medo?", "Um. Dois. Três. Quatro. Cinco."), "more than 4 sentences"),
    (("O que é o frio?", "É o frio, " + "muito frio, " * 40 + "sim."), "longer than 400"),
    (("Que bicho é esse?", "It is the dog of the house."), "not in Portuguese"),
    (("Onde ele mora?", "El perro grande vive cerca del río hermoso."), "not in Portuguese"),
    (("Você come?", "Eu nao como."), "misspelled: nao"),
    (("Você reza?", "Faço uma oraçao e uma oracao."), "misspelled: oraçao"),
    (("O que é uma ponte?", "Uma ponte liga dois lados."), None),
    (("o que é uma ponte", "Uma ponte é outra coisa."), "answers otherwise than"),
    (("O que é uma estrada longa?", "É uma estrada comprida."), None),
    (("Diga o que é estrada longa.", "É uma estrada de muitos quilômetros."), "nearly repeats"),
    (("Qual é a capital da Austrália?", "É Sydney."), "contradicts"),
    (("Fale da Bahia.", "A capital da Bahia é Recife."), "contradicts"),
    (("Qual é a capital do Brasil?", "A capital do Brasil é Brasília."), None),
    (("Caiu na prova: diga o que é uma ilha.", "É terra com água em volta."), "words reserved"),
    (("Fale da Espanha.", "Na Espanha, a cidade maior é Madri."), "withheld fact"),
    (("Onde fica Madri?", "Madri é a capital da Espanha."), "withheld fact"),
]


def test_the_check_finds_every_kind_of_fault(tmp_path: Path) -> None:
    prose = tmp_path / "prose" / "faults.jsonl"
    for name in BUILT:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes((TRAINING / name).read_bytes())
    facts = tmp_path / "data" / "facts.jsonl"
    known = [line for line in facts.read_text("utf-8").splitlines() if "capital: " in line]
    wrong = {**json.loads(known[0]), "question": "Quanto é isso tudo?", "answer": "Dá 99."}
    facts.write_text("\n".join([*known, json.dumps(wrong)]) + "\n", encoding="utf-8")
    held = read("heldout/known.jsonl")[0]
    with (tmp_path / "heldout" / "unknown.jsonl").open("a", encoding="utf-8") as unknown:
        unknown.write(json.dumps({**held, "question": "É Roma?", "expect": [["roma"]]}) + "\n")
        unknown.write(json.dumps({**held, "question": "Qual?", "expect": ["roma"]}) + "\n")
    asked = {"question": held["question"], "answer": "Sim.", "kind": "prose"}
    prose.parent.mkdir()
    lines = [
        text
        if isinstance(text, str)
        else json.dumps(dict(zip(("question", "answer", "also"), text, strict=False), kind="prose"))
        for text, _ in FAULTS
    ]
    prose.write_text("\n".join([*lines, json.dumps(asked)]) + "\n", encoding="utf-8")
    faults = check(tmp_path)
    for number, (_, expected) in enumerate(FAULTS, 1):
        said_of = [fault for fault in faults if fault.startswith(f"{prose}:{number}: ")]
        assert bool(said_of) == bool(expected), (number, said_of)
        assert not expected or any(expected in fault for fault in said_of), (number, said_of)
    assert any(f"facts.jsonl:{len(known) + 1}: answer without" in fault for fault in faults)
    last = len(read("heldout/unknown.jsonl"))
    assert any(f"unknown.jsonl:{last + 1}: the question holds" in fault for fault in faults)
    assert any(f"unknown.jsonl:{last + 2}: expect is no list" in fault for fault in faults)
    assert any("known.jsonl:1: asked in training, faults.jsonl" in fault for fault in faults)
