"""Checks the training data: shape, language, doubles, and that nothing held out is taught.

Prints one line for each fault, `file:line: what is wrong`, and ends with 1 if there are any.

    python -m training.check
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training import language
from training.tables import Fact, expected, facts, read_tables, read_wrappers
from training.withheld import Secrets
from training.words import Expect, core, said, words

TRAINING = Path(__file__).parent
LONGEST_ANSWER, LONGEST_QUESTION = 400, 300  # characters
SENTENCES = 4
GENERATED = "facts.jsonl"
TRANSLATIONS = "translations."  # kinds whose answers quote English
REACH = 8  # words after "a capital da Bahia é" within which the capital must follow
QUESTION_WORDS = frozenset({"quem", "quando", "onde", "como", "por"})
_CLAUSE = re.compile(r"\{[qQ]\}")
OPENING = 4  # words that such an opening has at least


@dataclass(frozen=True)
class Line:
    """A line of a file, its fields as they stand there."""

    path: Path
    number: int
    fields: dict[str, Any]

    @property
    def question(self) -> str:
        return str(self.fields["question"])

    @property
    def answer(self) -> str:
        return str(self.fields["answer"])

    @property
    def kind(self) -> str:
        return str(self.fields.get("kind", ""))

    @property
    def asked(self) -> str:
        return " ".join(words(self.question))

    def fault(self, what: str) -> str:
        return f"{self.path}:{self.number}: {what}"


class Facts:
    """What the tables hold, looked up by what a question asks or how a sentence begins."""

    def __init__(self) -> None:
        found = facts(read_tables())
        self.secrets = Secrets(found)
        self.expects: dict[tuple[str, str], Expect] = {}  # by kind and key
        self.openings: dict[tuple[str, ...], list[tuple[list[str], Expect, str]]] = {}
        for fact in found:
            for kind in fact.relation.kinds:
                name = f"{fact.table.name}.{kind.name}"
                expect = expected(fact, kind.expect)
                self.expects[name, fact.key] = expect
                for template in kind.answers:
                    self._add_opening(fact, template, kind.expect, expect)

    def _add_opening(self, fact: Fact, template: str, column: str, expect: Expect) -> None:
        """Keeps how an answer begins, before it comes to the column that answers."""
        head = template.split("{" + column + "}")[0]
        if head != template and not head.startswith("{" + column):
            opening = words(head.format_map(fact.row))
            if len(opening) >= OPENING:
                at = self.openings.setdefault(tuple(opening[:OPENING]), [])
                at.append((opening, expect, fact.key))


def read_lines(paths: Iterable[Path], needed: tuple[str, ...]) -> tuple[list[Line], list[str]]:
    """The well-formed lines of JSONL files, once for each wording of the question, and a fault for
    each of the others."""
    lines, faults = [], []
    for path in paths:
        for number, text in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            try:
                fields = json.loads(text)
            except json.JSONDecodeError as error:
                faults.append(f"{path}:{number}: no JSON: {error}")
                continue
            wrong = _wrong_shape(fields, needed)
            if wrong:
                faults.append(f"{path}:{number}: {wrong}")
            else:
                asked = [fields["question"], *fields.get("also", [])]
                lines += [Line(path, number, fields | {"question": one}) for one in asked]
    return lines, faults


def _wrong_shape(fields: Any, needed: tuple[str, ...]) -> str | None:
    if not isinstance(fields, dict):
        return "not an object"
    if missing := [key for key in needed if not fields.get(key)]:
        return f"without {', '.join(missing)}"
    if unknown := sorted(set(fields) - {*needed, "key", "also"}):
        return f"unknown field {', '.join(unknown)}"
    also = fields.get("also", [])
    if not isinstance(also, list):
        return "also is no list"
    texts = [*(value for key, value in fields.items() if key not in ("expect", "also")), *also]
    if not all(isinstance(value, str) for value in texts):
        return "a field is not text"
    if any(line != " ".join(line.split()) for text in texts for line in text.split("\n")):
        return "spaces at an end of a line or doubled"
    return None


# Single lines.


def check_text(line: Line) -> Iterator[str]:
    """Length, language and spelling of the answer; length of the question."""
    if len(line.question) > LONGEST_QUESTION:
        yield line.fault(f"question longer than {LONGEST_QUESTION} characters")
    if len(line.answer) > LONGEST_ANSWER:
        yield line.fault(f"answer longer than {LONGEST_ANSWER} characters")
    if language.sentences(line.answer) > SENTENCES:
        yield line.fault(f"answer of more than {SENTENCES} sentences")
    if line.answer[-1] not in '.!?"…':
        yield line.fault("answer without closing punctuation")
    if line.kind.startswith(TRANSLATIONS):
        return
    if language.is_english(line.answer) or language.lacks_portuguese(line.answer):
        yield line.fault("answer not in Portuguese")
    for word in language.misspelled(line.answer):
        yield line.fault(f"misspelled: {word}")


def check_fact(line: Line, known: Facts) -> Iterator[str]:
    """A generated answer says what its table says."""
    expect = known.expects.get((line.kind, str(line.fields.get("key"))))
    if expect is None:
        yield line.fault("no such fact in the tables")
    elif not said(expect, line.answer):
        yield line.fault(f"answer without {' or '.join(' '.join(keys) for keys in expect)}")


def check_secrets(line: Line, known: Facts) -> Iterator[str]:
    for key in known.secrets.told(line.question, line.answer):
        yield line.fault(f"tells the withheld fact {key}")


def check_claims(line: Line, known: Facts) -> Iterator[str]:
    """A sentence that begins as the tables' answers do goes on as they do."""
    spoken = words(line.answer)
    for at in range(len(spoken)):
        for opening, expect, key in known.openings.get(tuple(spoken[at : at + OPENING]), []):
            end = at + len(opening)
            if spoken[at:end] == opening and not said(expect, " ".join(spoken[end : end + REACH])):
                yield line.fault(f"contradicts {key}: not {' '.join(expect[0])}")


# Lines among each other.


def check_doubles(lines: list[Line], known: Facts) -> Iterator[str]:
    """One question, one answer; a question may stand in prose and facts if both agree."""
    seen: dict[str, Line] = {}
    for line in lines:
        first = seen.setdefault(line.asked, line)
        if first is line or _agree(first, line, known):
            continue
        same = words(first.answer) == words(line.answer)
        what = "repeats" if same else "answers otherwise than"
        yield line.fault(f"{what} {first.path.name}:{first.number}: {line.question}")


def check_near_doubles(prose: list[Line]) -> Iterator[str]:
    """Of prose, no two questions with answers of their own that differ only in courtesies and
    little words."""
    seen: dict[tuple[str, ...], Line] = {}
    for line in prose:
        essence = core(line.question, besides=QUESTION_WORDS)
        first = seen.setdefault(essence, line)
        alike = first.asked == line.asked or first.answer == line.answer
        if len(essence) > 1 and not alike:
            yield line.fault(f"nearly repeats {first.path.name}:{first.number}: {first.question}")


def check_prose_against_facts(lines: list[Line], known: Facts) -> Iterator[str]:
    """A prose question about the same things as a generated one has an answer that agrees."""
    by_core: dict[tuple[str, ...], Line] = {}
    for line in lines:
        if _generated(line):
            by_core.setdefault(core(line.question), line)
    for line in lines:
        essence = core(line.question)
        first = by_core.get(essence) if len(essence) > 1 else None
        if first and not _generated(line) and not _agree(first, line, known):
            yield line.fault(f"contradicts {first.path.name}:{first.number}: {first.answer}")


def check_held_out(lines: list[Line], held: list[Line]) -> Iterator[str]:
    """No held-out question is asked in training, nor with the same words in another order."""
    asked = {line.asked: line for line in lines}
    cores = {tuple(sorted(core(line.question))): line for line in lines}
    for line in held:
        essence = tuple(sorted(core(line.question)))
        first = asked.get(line.asked) or (cores.get(essence) if len(essence) > 1 else None)
        if first:
            yield line.fault(f"asked in training, {first.path.name}:{first.number}")


def check_reserved(lines: list[Line]) -> Iterator[str]:
    """The sentences around held-out questions stand around no other, whatever is asked in them."""
    _, wrappers = read_wrappers()
    pieces = [" ".join(words(p)) for wrapper in wrappers for p in _CLAUSE.split(wrapper)]
    reserved = [f" {piece} " for piece in pieces if piece]
    for line in lines:
        for piece in reserved:
            if piece in f" {line.asked} ":
                yield line.fault(f"words reserved for held-out questions: {piece.strip()}")


def check_expect(line: Line) -> Iterator[str]:
    """Key words are lists of lists of words, and the question does not give them away."""
    expect = line.fields["expect"]
    lists = isinstance(expect, list) and all(isinstance(keys, list) and keys for keys in expect)
    if not lists or not all(isinstance(key, str) and words(key) for keys in expect for key in keys):
        yield line.fault("expect is no list of lists of words")
    elif said(expect, line.question):
        yield line.fault("the question holds its own answer")


def _generated(line: Line) -> bool:
    return line.path.name == GENERATED


def _agree(one: Line, other: Line, known: Facts) -> bool:
    """Whether one is generated, the other prose, and the prose says what the fact expects."""
    fact, prose = (one, other) if _generated(one) else (other, one)
    if not _generated(fact) or _generated(prose):
        return False
    expect = known.expects.get((fact.kind, str(fact.fields.get("key"))))
    return expect is not None and said(expect, prose.answer)


def check(folder: Path = TRAINING) -> list[str]:
    """All faults of data/, prose/ and heldout/ under `folder`."""
    known = Facts()
    paths = [
        *sorted((folder / "data").glob("*.jsonl")),
        *sorted((folder / "prose").glob("*.jsonl")),
    ]
    lines, faults = read_lines(paths, ("question", "answer", "kind"))
    answers, wrong = read_lines([folder / "heldout/answers.jsonl"], ("question", "answer", "kind"))
    held = [folder / "heldout/known.jsonl", folder / "heldout/unknown.jsonl"]
    questions, misshapen = read_lines(held, ("question", "expect", "kind", "key"))
    faults += wrong + misshapen
    for line in [*lines, *answers]:
        faults += check_text(line)
        faults += check_fact(line, known) if _generated(line) else check_claims(line, known)
    for line in lines:
        faults += check_secrets(line, known)
    for line in questions:
        faults += check_expect(line)
    faults += check_doubles(lines, known)
    faults += check_near_doubles([line for line in lines if not _generated(line)])
    faults += check_prose_against_facts(lines, known)
    faults += check_held_out(lines, [*questions, *answers])
    faults += check_reserved(lines)
    return faults


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=TRAINING, help="where data/ and prose/ are")
    found = check(parser.parse_args().folder)
    print("\n".join(found), file=sys.stderr)
    sys.exit(1 if found else 0)
