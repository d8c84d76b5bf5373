"""Words and marks of the layout: 👤 for the question, a numbered 🤖 for each answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TextIO

from rich.console import Console
from rich.text import Text

from aira_cli.i18n import Translate
from aira_cli.printable import one_line
from aira_cli.session import Answer, Turn


def console_for(stream: TextIO) -> Console:
    """A Rich console that parses nothing: answers are data, never markup."""
    return Console(file=stream, markup=False, highlight=False, emoji=False, legacy_windows=False)


class Labels:
    """The layout's words in one language; ASCII marks where the stream cannot hold emoji."""

    def __init__(self, t: Translate, stream: TextIO, *, ascii_only: bool = False) -> None:
        self._t = t
        emoji = not ascii_only and _holds_emoji(stream)
        self._person, self._robot = ("👤", "🤖") if emoji else (">", "*")
        self.here = "▶" if emoji else ">"

    def question(self, text: str) -> str:
        return self._t("layout.question", mark=self._person, text=one_line(text))

    def answer(self, row: int) -> str:
        return self._t("layout.answer", mark=self._robot, number=row + 1)

    def merged(self, rows: Sequence[int]) -> str:
        """The label of rows that say the same: that of the first, and how many there are."""
        if len(rows) == 1:
            return self.answer(rows[0])
        return self._t("layout.merged", mark=self._robot, number=rows[0] + 1, count=len(rows))

    def facts(self, answers: Sequence[Answer]) -> str:
        """Why answers that say the same ended, and the seeds that draw them again."""
        reason = self.ending(answers[0]) or self._t("layout.end")
        seeds = ", ".join(str(answer.seed) for answer in answers)
        return self._t("layout.facts", reason=reason, seeds=seeds)

    def ending(self, answer: Answer) -> str:
        """Why an answer ended, in brackets, where that is not simply its end."""
        if answer.finish_reason in ("length", "interrupted", "loop"):
            return self._t(f"layout.{answer.finish_reason}", tokens=answer.tokens)
        return ""

    def answer_text(self, answer: Answer) -> Text:
        """Label, answer and ending as styled text."""
        text = Text(self.answer(answer.row), style="bold cyan")
        for part, style in ((answer.text.strip(), "default"), (self.ending(answer), "dim default")):
            if part:
                text.append(f" {part}", style=f"{style} not bold")
        return text


def decimal(number: str, t: Translate) -> str:
    """A number as Python writes it, with the language's decimal sign."""
    return number.replace(".", t("number.decimal"))


def stats_line(t: Translate, model: str, turn: Turn) -> str:
    """One line on what a turn cost."""
    stats = turn.stats
    if stats is None:
        return t("stats.none", name=model)
    tokens = sum(stats.tokens)
    return t(
        "stats.line",
        name=model, prompt=stats.prompt_tokens, cached=stats.cached_tokens,
        prefill=decimal(f"{stats.prefill_seconds:.2f}", t), tokens=tokens,
        seconds=decimal(f"{stats.decode_seconds:.2f}", t),
        speed=decimal(f"{tokens / stats.decode_seconds:.1f}", t) if stats.decode_seconds else "–",
        seed=turn.request.seed,
    )  # fmt: skip


def _holds_emoji(stream: TextIO) -> bool:
    try:
        "👤🤖".encode(stream.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
