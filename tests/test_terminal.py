"""`aira ask` and `aira chat` in a real pseudo-terminal, on the embedded model's real weights."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Program
from tests.terminal import Terminal

STORY = ("ask", "Tell me a story about a boat.", "-q", "--lang", "en", "--seed", "7")

CONTROL_D = "\x04"
CONTROL_C = "\x03"


@pytest.fixture
def window(program: Program, embedded_gguf: Path) -> Callable[..., Terminal]:
    """With the embedded model for English, which has more to say than the one for Portuguese."""
    talkative = Program(program.command, {**program.variables, "AIRA_MODEL": "smollm2-135m"})

    def opened(*arguments: str, columns: int = 80, rows: int = 24) -> Terminal:
        return Terminal(talkative, arguments, columns, rows)

    return opened


def answers(text: str) -> list[str]:
    return re.findall(r"^Answer \d: 🤖.*$", text.replace("🤖 ", "🤖"), flags=re.MULTILINE)


def test_answers_grow_side_by_side_and_stay(window: Callable[..., Terminal]) -> None:
    terminal = window(*STORY, "-n", "3", "--max-new-tokens", "40")
    early = terminal.until(lambda s: s.count("Answer") == 3 and len(s) > 150)
    assert early.startswith("Question: 👤")
    assert terminal.wait() == 0
    end = terminal.screen()
    assert len(answers(end)) == 3 and end.count("[cut at 40 tokens]") == 3
    assert len(end) > len(early)
    assert terminal.raw.endswith(b"\x1b[?25h") or b"\x1b[?25h" in terminal.raw[-2000:]


def test_long_answers_are_whole_in_the_end(window: Callable[..., Terminal]) -> None:
    """Higher than the window while they grow; nothing is lost or doubled when they are done."""
    terminal = window(*STORY, "-n", "2", "--max-new-tokens", "90", columns=40, rows=10)
    assert terminal.wait() == 0
    everything = terminal.everything()
    assert len(answers(everything)) == 2
    assert everything.count("Question") == 1
    words = re.sub(r"\s+", " ", everything)
    piped = window(*STORY, "-n", "2", "--max-new-tokens", "90", "--no-stream", columns=4000)
    assert piped.wait() == 0
    for line in answers(piped.everything()):
        assert line.replace("🤖", "🤖 ")[-60:] in words or line[-40:] in words


def test_a_window_made_narrow_and_wide_keeps_one_of_everything(
    window: Callable[..., Terminal],
) -> None:
    terminal = window(*STORY, "-n", "2", "--max-new-tokens", "60", columns=100)
    terminal.until(lambda s: len(s) > 150)
    terminal.resize(50, 60)
    terminal.read(0.5)
    terminal.resize(120, 60)
    assert terminal.wait() == 0
    # A pyte screen cuts lines instead of breaking them anew, so only the end is compared.
    words = " ".join(terminal.everything().split())  # a line may end inside of the mark
    assert words.count("[cut at 60 tokens]") == 2


def test_ctrl_c_keeps_the_answers_so_far(window: Callable[..., Terminal]) -> None:
    terminal = window(*STORY, "-n", "2", "--max-new-tokens", "2000", "--repetition-penalty", "1.1")
    terminal.until(lambda s: len(s) > 150)
    terminal.send(CONTROL_C)
    assert terminal.wait() == 130
    screen = terminal.screen()
    assert screen.count("[interrupted]") >= 1 and len(answers(screen)) == 2
    assert "Traceback" not in screen


def test_colours_can_be_turned_off(program: Program, embedded_gguf: Path) -> None:
    plain = Program(program.command, {**program.variables, "NO_COLOR": "1"})
    terminal = Terminal(plain, [*STORY, "-n", "1", "--max-new-tokens", "5"])
    assert terminal.wait() == 0
    assert not re.search(rb"\x1b\[[0-9;]*3[0-9]m", terminal.raw)


def test_a_conversation(window: Callable[..., Terminal]) -> None:
    terminal = window("chat", "-q", "-n", "2", "--max-new-tokens", "90", "-t", "0.2", rows=90)
    terminal.until("Ctrl-D sai")

    terminal.send("/help\r")
    assert "/nova, /new" in terminal.until("começa uma conversa nova")
    terminal.send("/hlep\r")
    before = len(terminal.until("Você quis dizer /help?"))

    terminal.send("My name is Maria. Tell me a very long story.\r")
    terminal.until(lambda s: len(s) > before + 400)
    terminal.send(CONTROL_C)
    terminal.until("[interrompida]")  # the answers stop, the program does not

    terminal.send("What is 2 + 2?\r")
    terminal.until(lambda s: s.count("Resposta 2") == 2 and s.endswith("Pergunta: 👤"))
    terminal.send("half a line")
    terminal.read()
    terminal.send(CONTROL_C)  # clears the line, and that is all
    terminal.read()
    assert "Ctrl-C outra vez" not in terminal.screen()
    terminal.send(CONTROL_C)
    terminal.until("Ctrl-C outra vez ou Ctrl-D para sair")
    terminal.read(2.2)
    terminal.send("/nova\r")
    terminal.until("o modelo esqueceu")
    terminal.send(CONTROL_D)
    assert terminal.wait() == 0


def test_what_is_typed_while_answers_grow_waits_for_the_prompt(
    window: Callable[..., Terminal],
) -> None:
    terminal = window("chat", "-q", "-n", "2", "--max-new-tokens", "40", "--lang", "en")
    terminal.until("Ctrl-D leaves")
    terminal.send("Tell me a story.\r")
    terminal.until(lambda s: len(s) > 200)
    terminal.send("impatient words")
    seen = terminal.until(lambda s: s.count("Question:") == 2)
    assert seen.count("Answer") == 2
    assert terminal.until("Question: 👤 impatient words").count("impatient words") == 1


def test_ctrl_c_twice_leaves_a_conversation(window: Callable[..., Terminal]) -> None:
    terminal = window("chat", "-q", "--lang", "en")
    terminal.until("Ctrl-D leaves")
    terminal.send(CONTROL_C)
    terminal.until("Ctrl-C once more")
    terminal.send(CONTROL_C)
    assert terminal.wait() == 130
