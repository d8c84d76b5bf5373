"""Question and answer pairs as the token ids that are trained on, in batches of like lengths.

The prompts are those that the program sends; models and losses are `lora.py`'s and `train.py`'s.
"""

from __future__ import annotations

import itertools
import json
import math
import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from aira_cli.prompts.formats import build_prompt
from aira_cli.prompts.tokenizer import Tokenizer
from aira_cli.types import Message

TRAINING = Path(__file__).parent
#: ChatML without the base model's English system text, which costs 18 tokens a question. Who uses
#: the adapter asks in the same format: profiles name it in `prompt_format`.
PROMPT_FORMAT = "chatml"
END = "<|im_end|>"
NO_TARGET = -100  # what cross_entropy leaves out
PER_FACT = 4  # pairs in an epoch of each fact in the tables, at least
PER_KIND = 100  # and of all facts of a kind together, at least
#: Kinds that are learned last: a word from its description.
_CLUES = (
    "astronomy.clue body.clue computing.clue counts.free culture.clue geography.clue jobs.clue"
    " nature.clue people.who science.clue sports.clue symbols.clue"
)
#: Kinds that are taken for another: the double for the half, the product for the sum.
_CONFUSED = "doubles.double doubles.half multiplication.product"
#: Large kinds that are learned first.
_EASY = (
    "addition.story antonyms.antonym countries.continent countries.currency countries.language"
    " countries.of_capital elements.of_symbol feminines.feminine feminines.masculine plurals.plural"
    " subtraction.story translations.to_english translations.to_portuguese"
)
#: How often an epoch has each fact, and each written answer, of a kind, where not as usual.
OFTEN = (
    {"identity": 4, "smalltalk": 3, "unknown": 2, "refusal": 2}
    | {"calendar.before": 12, "calendar.after": 12}
    | dict.fromkeys(_CLUES.split(), 8)
    | dict.fromkeys(_CONFUSED.split(), 6)
    | dict.fromkeys(_EASY.split(), 3)
)
_CHUNK = 40  # batches whose examples are sorted by length together


@dataclass(frozen=True)
class Pair:
    """A question and its answer. Pairs of one `fact`, whose first word is its kind, say the same in
    other words. Kinds of the tables have a dot in their names, those of written pairs have none."""

    question: str
    answer: str
    fact: str


@dataclass(frozen=True)
class Example:
    """A prompt and the answer to it, which ends with the token that ends a turn."""

    prompt: tuple[int, ...]
    answer: tuple[int, ...]
    fact: str = ""  # empty: alone

    @property
    def length(self) -> int:
        return len(self.prompt) + len(self.answer)


@dataclass(frozen=True)
class Batch:
    """`ids` [B, T], filled up on the right; `targets` [B, T] has at each position the id that
    follows it where that belongs to an answer, elsewhere NO_TARGET."""

    ids: Tensor
    targets: Tensor

    def to(self, device: torch.device) -> Batch:
        return Batch(self.ids.to(device), self.targets.to(device))


def read_pairs(folder: Path = TRAINING) -> list[Pair]:
    """All questions and answers of data/ and prose/ under `folder`, in the files' order."""
    paths = [path for name in ("data", "prose") for path in sorted((folder / name).glob("*.jsonl"))]
    lines = (line for path in paths for line in path.read_text(encoding="utf-8").splitlines())
    return [pair for line in lines for pair in _pairs(json.loads(line))]


def _pairs(line: Mapping[str, Any]) -> Iterator[Pair]:
    """A line's question and the other wordings of it, each with the answer."""
    fact = f"{line.get('kind', '')} {line.get('key', line['question'])}"
    for question in [line["question"], *line.get("also", [])]:
        yield Pair(question, line["answer"], fact)


def encode(pair: Pair, tokenizer: Tokenizer, prompt_format: str = PROMPT_FORMAT) -> Example:
    """The ids of a single question, as the program sends it, and of what is to follow."""
    prompt = build_prompt(prompt_format, [Message("user", pair.question)], tokenizer).ids
    said = tokenizer.encode_text(pair.answer, first=False)
    return Example(prompt, (*said, tokenizer.control(END).id), pair.fact)


def batch_of(examples: Sequence[Example]) -> Batch:
    """The examples side by side. What fills up stands behind all that a token may look at, so
    that a causal model needs no mask."""
    width = max(example.length for example in examples)
    ids = torch.zeros(len(examples), width, dtype=torch.long)
    targets = torch.full_like(ids, NO_TARGET)
    for row, example in enumerate(examples):
        ids[row, : example.length] = torch.tensor(example.prompt + example.answer)
        targets[row, len(example.prompt) - 1 : example.length - 1] = torch.tensor(example.answer)
    return Batch(ids, targets)


def turns(examples: Sequence[Example], number: int, written: float = 1.0) -> list[Example]:
    """What epoch `number` has: the same number of pairs of each fact of a kind, so that facts with
    many phrasings push none aside, and enough of a kind that all its words are met. A fact's pairs
    take turns from epoch to epoch. Written pairs are there `written` times, or as many times as
    often as OFTEN says; where that is no whole number, they take turns, too."""
    facts: dict[str, list[Example]] = {}
    taken = [example for example in examples if not example.fact]
    for example in examples:
        if example.fact:
            facts.setdefault(example.fact, []).append(example)
    size = Counter(_kind(fact) for fact in facts)
    for place, (fact, pairs) in enumerate(facts.items()):
        often = _often(_kind(fact), size[_kind(fact)], written)
        ahead = place * often % 1
        first, last = (math.floor(ahead + n * often) for n in (number, number + 1))
        taken += [pairs[at % len(pairs)] for at in range(first, last)]
    return taken


def _often(kind: str, facts: int, written: float) -> float:
    """How many pairs of each of a kind's `facts` an epoch has."""
    if "." not in kind:
        return written * OFTEN.get(kind, 1)
    return OFTEN.get(kind) or max(PER_FACT, math.ceil(PER_KIND / facts))


def _kind(fact: str) -> str:
    return fact.partition(" ")[0]


def epoch(
    examples: Sequence[Example], seed: int, number: int, size: int, written: float = 1.0
) -> list[list[Example]]:
    """An epoch in a random order of batches, none of more than `size` ids in B x T."""
    chance = random.Random(f"{seed} {number}")
    drawn = turns(examples, number, written)
    chance.shuffle(drawn)
    mean = sum(example.length for example in drawn) / len(drawn)
    together = max(1, round(_CHUNK * size / mean))
    chunks = (drawn[at : at + together] for at in range(0, len(drawn), together))
    batches = [batch for chunk in chunks for batch in _cut(chunk, size)]
    chance.shuffle(batches)
    return batches


def endless(
    examples: Sequence[Example], seed: int, size: int, position: int = 0, written: float = 1.0
) -> Iterator[list[Example]]:
    """The batches of epoch after epoch, without the first `position`: the same at every run."""
    epochs = (epoch(examples, seed, number, size, written) for number in itertools.count())
    return itertools.islice(itertools.chain.from_iterable(epochs), position, None)


def _cut(chunk: Sequence[Example], size: int) -> Iterator[list[Example]]:
    """The examples by length, as many in a batch as fit."""
    batch: list[Example] = []
    for example in sorted(chunk, key=lambda example: example.length):
        if batch and (len(batch) + 1) * example.length > size:
            yield batch
            batch = []
        batch.append(example)
    if batch:
        yield batch
