"""The rounds of one run: the contenders take turns, so that the machine's drift hits all alike.

Each turn is a fresh process. What the figures of all rounds come to is left to `report`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from aira_cli.bench.children import CHILD, Children
from aira_cli.bench.orders import (
    AIRA,
    LLAMA_CPP,
    TRANSFORMERS,
    FirstToken,
    Load,
    Measure,
    Perplexity,
    written,
)
from aira_cli.bench.subjects import Subject
from aira_cli.errors import UsageError

QUESTION = "Qual é a capital do Brasil?"
MEMORY_SAMPLES = 2
WINDOW = 512  # tokens of a text that are read together, where the context holds as many

#: Whose perplexity is compared; None is the weights as they are stored.
FORMATS = (None, "float32", "int8", "int4")

#: Called before each piece of work, with who is at it and the round, from 1 (0: not counted).
Announce = Callable[[str, int], None]


@dataclass(frozen=True)
class Settings:
    """What is measured, and how often; `device` and `threads` are those torch really takes.

    `kernels` is the folder of our compiled kernels, None where torch is to compute.
    """

    samples: tuple[int, ...]
    prompt_tokens: int
    prefill_tokens: int
    new_tokens: int
    rounds: int
    dtype: str | None
    device: str
    threads: int
    kernels: str | None
    offline: bool


@dataclass
class Entry:
    """One contender in one run: its weights' bytes on disk, and the figures of each round."""

    contender: str
    dtype: str | None
    checkpoint_bytes: int
    rounds: list[dict[str, float]] = field(default_factory=list)

    @property
    def name(self) -> str:
        named = self.contender == TRANSFORMERS and self.dtype
        return f"{self.contender} {self.dtype}" if named else self.contender


@dataclass(frozen=True)
class TextSurprise:
    """A text's perplexity in the number format `dtype`, None as stored; or the error's key
    and fields where there is no such format."""

    dtype: str | None
    perplexity: float | None = None
    predicted_tokens: int = 0
    window: int = 0
    error: str | None = None
    error_fields: Mapping[str, object] = field(default_factory=dict)


@dataclass
class Results:
    """All that was measured with one subject's weights."""

    subject: str
    random: bool
    entries: list[Entry]
    left_out: list[str] = field(default_factory=list)
    perplexities: list[TextSurprise] = field(default_factory=list)
    first_load_seconds: float | None = None
    import_torch_seconds: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Run:
    """One subject, measured with these settings by these children."""

    children: Children
    settings: Settings
    subject: Subject
    announce: Announce

    def results(self, against: Sequence[str]) -> Results:
        """The rounds with all contenders: ours, then those of `against` that can run these
        weights."""
        entries = list(self._entries(against))
        results = Results(self.subject.name, self.subject.random, entries)
        results.left_out += set(against) - {entry.contender for entry in entries}
        results.first_load_seconds = self._first_load(results.entries[0])
        for number in range(1, self.settings.rounds + 1):
            for entry in results.entries:
                self.announce(entry.name, number)
                entry.rounds.append(self._figures(entry, number))
            if not self.subject.random:
                self.announce("import torch", number)
                results.import_torch_seconds.append(
                    self.children.seconds_to_end([sys.executable, "-c", "import torch"])
                )
        return results

    def _entries(self, against: Sequence[str]) -> Iterator[Entry]:
        nbytes = self.subject.nbytes
        yield Entry(AIRA, self.settings.dtype, nbytes)
        if TRANSFORMERS in against:
            yield Entry(TRANSFORMERS, "float32", nbytes)
            yield Entry(TRANSFORMERS, "bfloat16", nbytes)
        if LLAMA_CPP in against and self.subject.gguf is not None:
            yield Entry(LLAMA_CPP, None, self.subject.gguf.stat().st_size)

    def _first_load(self, ours: Entry) -> float:
        """The load that prepares what later ones find; no round counts it."""
        self.announce(ours.name, 0)
        order = Measure(self._load(ours), self._prompt(), (), (), 0)
        seconds: float = self.children.ask(order)["load_seconds"]
        if not self.subject.random:
            self._start_seconds(ours)
        return seconds

    def _figures(self, entry: Entry, number: int) -> dict[str, float]:
        """Speeds from one process, the peak of memory from another with two samples, once."""
        settings, load = self.settings, self._load(entry)
        prefill = self.subject.prompt_ids(settings.prefill_tokens, 0)
        order = Measure(load, self._prompt(), prefill, settings.samples, settings.new_tokens)
        figures = self.children.ask(order)
        for name in ("memory_bytes", "device_memory_bytes"):
            figures.pop(name, None)
        if number == 1:
            two = Measure(load, self._prompt(), (), (MEMORY_SAMPLES,), settings.new_tokens)
            measured = self.children.ask(two)
            figures |= {name: n for name, n in measured.items() if name.endswith("memory_bytes")}
        if not self.subject.random:
            figures["start_seconds"] = self._start_seconds(entry)
        return figures

    def _start_seconds(self, entry: Entry) -> float:
        """From the command to the first piece of text, or for the others to the first token."""
        if entry.contender == AIRA:
            return self.children.seconds_to_first_byte(self._ask_command())
        order = FirstToken(self._load(entry), self._prompt())
        return self.children.seconds_to_first_byte(CHILD, written(order))

    def _ask_command(self) -> list[str]:
        settings = self.settings
        command = [sys.executable, "-m", "aira_cli", "ask", "-q", "--model", self.subject.name]
        command += ["--seed", "1", "-n", "1", "--max-new-tokens", "8"]
        command += ["--device", settings.device]
        command += ["--dtype", settings.dtype] if settings.dtype else []
        command += ["--offline"] if settings.offline else []
        command += ["--adapter", str(self.subject.adapter)] if self.subject.adapter else []
        return [*command, QUESTION]

    def perplexities(self, ids: Sequence[int]) -> Iterator[TextSurprise]:
        """Of a text's `ids` under each number format; some architectures lack some."""
        if len(ids) < 2:
            raise UsageError("quality_too_short")
        self.announce(AIRA, 0)
        window = min(WINDOW, self.subject.context() or WINDOW)
        order = Perplexity(self._load(Entry(AIRA, None, 0)), FORMATS, ids, window)
        for measured in self.children.ask(order)["formats"]:
            yield TextSurprise(**measured)

    def _load(self, entry: Entry) -> Load:
        subject, settings = self.subject, self.settings
        from_gguf = entry.contender == LLAMA_CPP and subject.gguf is not None
        return Load(
            contender=entry.contender,
            checkpoint=str(subject.gguf if from_gguf else subject.checkpoint),
            device=settings.device,
            dtype=entry.dtype,
            threads=settings.threads,
            kernels=settings.kernels,
            prepared=str(subject.prepared),
            adapter=str(subject.adapter) if subject.adapter else None,
        )

    def _prompt(self) -> list[int]:
        return self.subject.prompt_ids(self.settings.prompt_tokens, self.settings.new_tokens)
