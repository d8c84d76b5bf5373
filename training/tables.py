"""The tables of facts: YAML files in `facts/` → rows, and the kinds of questions about them.

A table has rows of columns; a relation says which columns state one fact, and its kinds ask for
it in templates. What is drawn from all this, and how it is phrased, is `build.py`'s affair.
"""

from __future__ import annotations

import copy
import random
import re
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from training import grammar, numbers
from training.words import FUNCTION_WORDS, Expect, bare

FACTS = Path(__file__).parent / "facts"
SHAPES = "phrasings.yaml"  # what several tables share
ABSENT = "-"  # a cell without a value: the row takes no part in that relation

_STARRED = re.compile(r"\*([^*]+)\*")


class Row(dict[str, str]):
    """Cells by column; a column `o_name` also gives `name`, `do_name`, `é_name` and so on.

    Stars in a cell mark its key words and are not printed: `o rio *Amazonas*`.
    """

    def __init__(self, columns: list[str], cells: list[str]) -> None:
        if len(columns) != len(cells):
            raise ValueError(f"{len(cells)} cells for {len(columns)} columns: {cells}")
        super().__init__((c, cell.replace("*", "")) for c, cell in zip(columns, cells, strict=True))
        self.starred = {
            c: _STARRED.findall(cell) for c, cell in zip(columns, cells, strict=True) if "*" in cell
        }

    def __missing__(self, key: str) -> str:
        form, _, column = key.partition("_")
        if f"o_{column}" in self and (form in grammar.BEFORE or form in grammar.AGREEING):
            return grammar.inflect(form, self[f"o_{column}"])
        if f"o_{key}" in self:
            return grammar.split_article(self[f"o_{key}"])[1]
        raise KeyError(key)


@dataclass(frozen=True)
class Kind:
    """One way to ask for a fact. Templates without closing punctuation are clauses to be wrapped.

    `pairs` is how many training pairs each fact gives, `expect` the column that answers;
    `reserved` phrasings are for held-out questions only. The first of `answers` is given; by the
    others the check knows prose that says the same.
    """

    name: str
    pairs: int
    expect: str
    questions: list[str]
    reserved: list[str]
    answers: list[str]


@dataclass(frozen=True)
class Relation:
    """Columns that state one fact together, and the kinds of questions about it.

    `subject` columns name the fact; any column of `aliases` may stand in their place; `value` is
    what is said of it. Rows in `withheld` (by subject) are in no training pair, in any direction.
    """

    name: str
    subject: list[str]
    aliases: list[str]
    value: str
    withheld: list[str]
    kinds: list[Kind]


@dataclass(frozen=True)
class Table:
    """`also` lists other right forms of a cell; `spelled` tables are about letters and accents.

    `others` has, by a row's subject, more cells for its column `other`: training draws one.
    """

    name: str
    rows: list[Row]
    relations: list[Relation]
    also: dict[str, list[str]] = field(default_factory=dict)
    others: dict[str, list[str]] = field(default_factory=dict)
    spelled: bool = False


@dataclass(frozen=True)
class Fact:
    """One row as one relation reads it."""

    table: Table
    relation: Relation
    row: Row

    @cached_property
    def subject(self) -> str:
        return " · ".join(self.row[column] for column in self.relation.subject)

    @cached_property
    def key(self) -> str:
        return f"{self.table.name}.{self.relation.name}: {self.subject}"

    @property
    def withheld(self) -> bool:
        return self.subject in self.relation.withheld

    def in_other_words(self, draw: random.Random) -> Fact:
        """The same fact, with one of its `others` or its own cell in the column `other`."""
        others = self.table.others.get(self.subject)
        if not others:
            return self
        column = "o_other" if "o_other" in self.row else "other"
        row = copy.copy(self.row)
        row[column] = draw.choice([row[column], *others])
        return replace(self, row=row)


def read_tables(folder: Path = FACTS) -> list[Table]:
    shapes = _load(folder / SHAPES)
    paths = sorted(path for path in folder.glob("*.yaml") if path.name != SHAPES)
    return [_table(path.stem, _load(path), shapes) for path in paths]


def read_wrappers(folder: Path = FACTS) -> tuple[list[str], list[str]]:
    """Sentences around a clause: for training, and those reserved for held-out questions."""
    wrappers = _load(folder / SHAPES)["wrappers"]
    return wrappers["training"], wrappers["reserved"]


def facts(tables: list[Table]) -> list[Fact]:
    """Every fact of every table; ValueError if a withheld subject is in none of them."""
    found: list[Fact] = []
    for table in tables:
        for relation in table.relations:
            columns = [*relation.subject, relation.value]
            own = [
                Fact(table, relation, row)
                for row in table.rows
                if all(row[column] != ABSENT for column in columns)
            ]
            unknown = set(relation.withheld) - {fact.subject for fact in own}
            if unknown:
                raise ValueError(f"{table.name}.{relation.name}: no such rows: {sorted(unknown)}")
            found += own
    return found


def expected(fact: Fact, column: str) -> Expect:
    """Alternatives of key words for a cell: its starred ones, else its content words."""
    column = column if column in fact.row else f"o_{column}"
    cell = fact.row[column]
    noun = grammar.split_article(cell)[1]
    content = [word for word in noun.split() if bare(word) not in FUNCTION_WORDS]
    keys = fact.row.starred.get(column) or content or [noun]
    others = list(fact.table.also.get(cell, []))
    if column.removeprefix("o_") == fact.relation.value:
        others += _listed(fact.row.get("more", ABSENT))
    forms = dict.fromkeys([*others, *numbers.other_forms(" ".join(keys))])
    return [keys, *([form] for form in forms if [form] != keys)]


def _table(name: str, content: dict[str, Any], shapes: dict[str, Any]) -> Table:
    columns = _cells(content["columns"])
    if content["rows"] == "generated":
        cells = numbers.generated(name)
    else:
        cells = [_cells(line) for line in content["rows"].splitlines() if line.strip()]
    return Table(
        name=name,
        rows=[Row(columns, row) for row in cells],
        relations=[_relation(n, spec, shapes) for n, spec in content["relations"].items()],
        also=content.get("also", {}),
        others=content.get("others", {}),
        spelled=content.get("spelled") == "yes",
    )


def _relation(name: str, spec: dict[str, Any], shapes: dict[str, Any]) -> Relation:
    shape = {**shapes[spec["like"]], **spec} if "like" in spec else spec
    return Relation(
        name=name,
        subject=_listed(shape["subject"]),
        aliases=shape.get("aliases", []),
        value=shape["value"],
        withheld=shape["withheld"],
        kinds=[_kind(kind, parts) for kind, parts in shape["kinds"].items()],
    )


def _kind(name: str, parts: dict[str, Any]) -> Kind:
    return Kind(
        name=name,
        pairs=int(parts["pairs"]),
        expect=parts["expect"],
        questions=parts["questions"],
        reserved=parts["reserved"],
        answers=parts["answers"],
    )


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.split(" | ")]


def _listed(cell: str) -> list[str]:
    return [] if cell == ABSENT else [part.strip() for part in cell.split(",")]


def _load(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)
    return content
