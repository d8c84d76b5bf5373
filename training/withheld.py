"""Facts kept out of the training data, so that questions about them measure what was not taught."""

from __future__ import annotations

import re
from dataclasses import dataclass

from training.tables import Fact, expected
from training.words import FUNCTION_WORDS, Expect, said, words

_SENTENCE = re.compile(r"(?<=[.!?;])\s+")


@dataclass(frozen=True, eq=False)
class Secret:
    """A withheld fact: any of `subjects` (sets of words) together with `value` tells it."""

    key: str
    subjects: tuple[frozenset[str], ...]
    value: Expect

    def told_by(self, question: str, answer: str) -> bool:
        """Whether the pair says it: asked one way, asked the other way, or within a sentence."""
        texts = [(question, answer), (answer, question)]
        texts += [(sentence, sentence) for sentence in _SENTENCE.split(answer)]
        return any(self.named_in(set(words(one))) and said(self.value, two) for one, two in texts)

    def named_in(self, spoken: set[str]) -> bool:
        return any(subject <= spoken for subject in self.subjects)


class Secrets:
    """The withheld facts among `facts`, found by the words of their subjects."""

    def __init__(self, facts: list[Fact]) -> None:
        self._by_word: dict[str, dict[Secret, None]] = {}
        for fact in facts:
            if fact.withheld:
                self._add(_secret(fact))

    def told(self, question: str, answer: str) -> list[str]:
        """The keys of the withheld facts that the pair tells."""
        spoken = {*words(question), *words(answer)}
        near = dict.fromkeys(s for word in spoken for s in self._by_word.get(word, ()))
        return sorted(s.key for s in near if s.named_in(spoken) and s.told_by(question, answer))

    def _add(self, secret: Secret) -> None:
        for subject in secret.subjects:
            longest = max(subject, key=lambda word: (len(word), word))
            self._by_word.setdefault(longest, {})[secret] = None


def _secret(fact: Fact) -> Secret:
    relation = fact.relation
    names = [" ".join(fact.row[column] for column in relation.subject)]
    names += [fact.row[column] for column in relation.aliases]
    subjects = [frozenset(words(name)) - FUNCTION_WORDS or frozenset(words(name)) for name in names]
    return Secret(fact.key, tuple(subjects), expected(fact, relation.value))
