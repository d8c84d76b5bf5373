"""The generated half of the training data, and the held-out questions: the same at every run.

Facts come from `tables.py`, their wording from `phrasing.py`; `check.py` judges what is written.

    python -m training.build
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from training import phrasing
from training.tables import Fact, Kind, expected, facts, read_tables, read_wrappers
from training.withheld import Secrets
from training.words import FUNCTION_WORDS, Expect, core, said, words

TRAINING = Path(__file__).parent
SEED = 2
KNOWN_PER_KIND = 6  # held-out questions of each kind about facts in the data
ANSWERS = 100  # generated pairs for perplexity, beside as many written ones
ATTEMPTS = 120  # questions looked at before a fact is left with fewer pairs


@dataclass(frozen=True)
class Pair:
    question: str
    answer: str
    kind: str
    key: str


@dataclass(frozen=True)
class HeldOut:
    question: str
    expect: Expect
    kind: str
    key: str


@dataclass(frozen=True, eq=False)
class Asked:
    """A fact in one of its kinds, with the source of chance that belongs to the two alone."""

    fact: Fact
    kind: Kind

    @property
    def name(self) -> str:
        return f"{self.fact.table.name}.{self.kind.name}"

    def draw(self, purpose: str) -> random.Random:
        return random.Random(f"{SEED} {purpose} {self.name} {self.fact.key}")


class Builder:
    """All facts, and what was already asked: `training` first, then the held-out sets."""

    def __init__(self) -> None:
        found = facts(read_tables())
        self.secrets = Secrets(found)
        self.wrappers, self.reserved_wrappers = read_wrappers()
        asked = [Asked(fact, kind) for fact in found for kind in fact.relation.kinds]
        self.taught = [one for one in asked if not one.fact.withheld]
        self.kept = [one for one in asked if one.fact.withheld]
        self.questions: set[str] = set()  # bare
        self.cores: set[tuple[str, ...]] = set()

    def training(self) -> list[Pair]:
        """All training pairs; what none could be made of is taught no longer."""
        made = {asked: list(self._pairs(asked)) for asked in self.taught}
        self.taught = [asked for asked, pairs in made.items() if pairs]
        return [pair for pairs in made.values() for pair in pairs]

    def known(self) -> list[HeldOut]:
        """KNOWN_PER_KIND questions of each kind, about facts drawn at random."""
        held = []
        for group in _by_kind(self.taught):
            found = (self._held_out(asked) for asked in group)
            held += [question for question in found if question][:KNOWN_PER_KIND]
        return held

    def unknown(self) -> list[HeldOut]:
        found = (self._held_out(asked) for asked in self.kept)
        return [question for question in found if question]

    def answers(self, known: list[HeldOut]) -> list[Pair]:
        """Known facts in reserved words with their answers, as evenly from all kinds as it goes."""
        used = {(held.kind, held.key) for held in known}
        groups = [
            [asked for asked in group if (asked.name, asked.fact.key) not in used]
            for group in _by_kind(self.taught)
        ]
        rounds = max(len(group) for group in groups)
        order = [group[turn] for turn in range(rounds) for group in groups if turn < len(group)]
        pairs: list[Pair] = []
        for asked in order:
            new = self._new(asked)
            if new and len(pairs) < ANSWERS:
                pairs.append(Pair(*new, asked.name, asked.fact.key))
        return pairs

    def _pairs(self, asked: Asked) -> Iterator[Pair]:
        fact, kind, draw = asked.fact, asked.kind, asked.draw("training")
        drawn = phrasing.training_questions(fact, kind, self.wrappers, draw)
        usable = (pair for pair in itertools.islice(drawn, ATTEMPTS) if self._usable(*pair))
        for question, answer in itertools.islice(usable, kind.pairs):
            self.questions.add(" ".join(words(question)))
            self.cores.add(tuple(sorted(core(question))))
            yield Pair(question, answer, asked.name, fact.key)

    def _usable(self, question: str, answer: str) -> bool:
        fresh = " ".join(words(question)) not in self.questions
        return fresh and not self.secrets.told(question, answer)

    def _new(self, asked: Asked) -> tuple[str, str] | None:
        """A reserved phrasing whose words no training question shares, and an answer to it."""
        drawn = phrasing.reserved_questions(
            asked.fact, asked.kind, self.reserved_wrappers, asked.draw("held out")
        )
        unseen = (new for new in drawn if tuple(sorted(core(new[0]))) not in self.cores)
        return next(unseen, None)

    def _held_out(self, asked: Asked) -> HeldOut | None:
        """A question that its own words do not answer, or nothing."""
        expect = expected(asked.fact, asked.kind.expect)
        new = self._new(asked)
        if new is None or said(expect, new[0]):
            return None
        if any(set(words(" ".join(keys))) <= FUNCTION_WORDS for keys in expect):
            return None  # "O símbolo é O": every answer holds such a word
        return HeldOut(new[0], expect, asked.name, asked.fact.key)


def _by_kind(asked: list[Asked]) -> list[list[Asked]]:
    """Grouped by kind, each group in a random order of its own."""
    groups: dict[str, list[Asked]] = {}
    for one in asked:
        groups.setdefault(one.name, []).append(one)
    for name, group in groups.items():
        random.Random(f"{SEED} {name}").shuffle(group)
    return list(groups.values())


def build(out: Path) -> None:
    """Writes data/facts.jsonl and heldout/{known,unknown,answers}.jsonl under `out`."""
    builder = Builder()
    training = builder.training()
    known = builder.known()
    everyday = TRAINING / "heldout" / "everyday.jsonl"
    written = [json.loads(line) for line in everyday.read_text(encoding="utf-8").splitlines()]
    _write(out / "data" / "facts.jsonl", [asdict(pair) for pair in training])
    _write(out / "heldout" / "known.jsonl", [asdict(held) for held in known])
    _write(out / "heldout" / "unknown.jsonl", [asdict(held) for held in builder.unknown()])
    answers = [asdict(pair) for pair in builder.answers(known)]
    _write(out / "heldout" / "answers.jsonl", answers + written)


def _write(path: Path, objects: list[dict[str, object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps(one, ensure_ascii=False) + "\n" for one in objects]
    path.write_text("".join(lines), encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=TRAINING, help="folder to write into")
    build(parser.parse_args().out)
