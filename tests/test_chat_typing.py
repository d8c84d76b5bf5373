"""What is typed before a prompt is there, numbers as they are shown, a region that goes away."""

from __future__ import annotations

import io
import re

from rich.console import Console
from rich.text import Text

from aira_cli.ui.painter import Painter
from aira_cli.ui.settings import parsed
from tests.chats import Opened, leave, say


def test_a_line_sent_while_answers_grow_is_sent(chat: Opened) -> None:
    terminal = chat("-n", "1", "--max-new-tokens", "200", "--temperature", "3", "--no-history")
    terminal.send("uma pergunta\r")
    terminal.until(lambda s: len(s.partition("Resposta 1")[2]) > 30)
    terminal.send("/n 3\r")
    shown = terminal.until("Respostas por pergunta: 3", 60)
    assert shown.count("/n 3") == 1  # not echoed into the answer, and not asked
    leave(terminal)


def test_a_decimal_comma_is_a_decimal_point(chat: Opened) -> None:
    assert parsed("temperature=0,5 top_p = 0,9") == {"temperature": 0.5, "top_p": 0.9}
    terminal = chat("-n", "1", "--no-history")
    assert re.search(r"temperature +0,5 ", say(terminal, "/set temperature=0,5"))
    leave(terminal)


def test_nothing_is_cleared_from_the_first_line_on_at_once() -> None:
    """tmux keeps what is cleared so among the lines that scrolled off, a copy for each frame."""
    stream = io.StringIO()
    painter = Painter(Console(file=stream, width=40, height=10))
    for text in ("um\ndois\ntrês", "um", "um\ndois"):
        painter.paint(Text(text))
    painter.erase()
    assert not re.search(r"\x1b\[\d+A\x1b\[0?J", stream.getvalue())
    assert stream.getvalue().count("\x1b[2K") >= 3 + 1 + 2 + 2
