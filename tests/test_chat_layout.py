"""Whole answers on the screen of a chat: equal ones once, Markdown, nothing lost of either."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from aira_cli.i18n import translator
from aira_cli.session import Answer
from aira_cli.ui.layout import ChatView, Layout, is_markdown
from aira_cli.ui.style import Labels
from tests.run_inside import Person
from tests.tiny_checkpoints import save_tiny


class Emoji(io.StringIO):
    """A stream that holds all of Unicode, and says so."""

    encoding = "utf-8"


def shown(*texts: str, width: int = 60, layout: Layout = "auto") -> str:
    stream = Emoji()
    console = Console(file=stream, width=width, markup=False, highlight=False, emoji=False)
    view = ChatView(console, Labels(translator("en"), stream), layout, samples=len(texts))
    view.finish([Answer(row, 5 + row, text, finish_reason="end") for row, text in enumerate(texts)])
    return stream.getvalue()


def test_equal_answers_are_shown_once_with_both_seeds() -> None:
    text = shown("Brasília", "Goiânia", " Brasília ")
    assert text.count("Brasília") == 1
    assert "Answer 1 (×2)" in text and "seed 5, 7" in text and "Answer 2: " in text
    assert "Answer 3" not in text and "×2" not in shown("", "")


def test_markdown_is_rendered_and_keeps_its_lines() -> None:
    lines = ("# Title", "", "first line", "second line with **bold**", "", "- one", "- two", "")
    text = shown("\n".join([*lines, "```", "x = 1", "```"]))
    assert "**" not in text and "```" not in text and "#" not in text
    assert all(words in text for words in ("Title", "bold", "• one", "• two", "x = 1"))
    found = [line.strip() for line in text.splitlines()]
    assert "first line" in found and "second line with bold" in found


@pytest.mark.parametrize("text", ["a < b and *c*", "2 * 3 * 4", "snake_case_name", "linha\noutra"])
def test_plain_text_is_no_markdown(text: str) -> None:
    assert not is_markdown(text) and text.split("\n")[-1] in shown(text)


def test_what_looks_like_html_is_not_lost() -> None:
    assert "<b>so</b>" in shown("- write <b>so</b>")


def test_columns_are_for_wide_windows() -> None:
    assert "Answer 2" in shown("um", "dois", width=120).splitlines()[0]
    assert "Answer 2" not in shown("um", "dois", width=90).splitlines()[0]
    assert "Answer 2" in shown("um", "dois", width=60, layout="columns").splitlines()[0]
    assert "Answer 2" not in shown("um", "dois", width=200, layout="stacked").splitlines()[0]


@pytest.mark.parametrize("width", range(104, 130))
def test_columns_lose_no_letter_at_any_width(width: int) -> None:
    text = "The Blue Morpho is the largest of the four. It is one of the largest beings on Earth."
    lines = shown(text, text + " Yes.", width=width, layout="columns").splitlines()
    left = " ".join(line[: (width - 2) // 2 - 1] if "🤖" in line else line[: (width - 2) // 2]
                    for line in lines)  # fmt: skip
    assert "…" not in left and text in " ".join(left.split())


def test_an_answer_in_a_loop_is_stopped_and_says_so(tmp_path: Path) -> None:
    save_tiny(tmp_path / "tiny", num_hidden_layers=1)
    found = [
        json.loads(
            Person(tmp_path / "home")(
                "ask", text, "-m", str(tmp_path / "tiny"), "--greedy", "--max-new-tokens", "200",
                "--json", "--no-history", AIRA_KERNELS="torch",
            ).out
        )
        for text in ("olá", "casa", "um dois", "por quê", "sim")
    ]  # fmt: skip
    loops = [row for row in found if row["finish_reason"] == "loop"]
    assert loops and all(48 <= row["tokens"] < 200 for row in loops)
