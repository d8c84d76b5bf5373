"""The conversation's loop: read a line, run a command or a turn, again.

Ctrl-C while answers grow stops them and keeps what is there; at the prompt it clears the line,
and twice within two seconds on an empty one it leaves. Ctrl-D leaves.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TextIO

from prompt_toolkit import PromptSession
from prompt_toolkit.history import InMemoryHistory
from rich.text import Text

from aira_cli.errors import AiraError, ContextError
from aira_cli.i18n import Translate
from aira_cli.printable import printable
from aira_cli.profiles.schema import Profile
from aira_cli.session import Conversation, Turn
from aira_cli.ui.commands import COMMANDS, find_command, nearest_command
from aira_cli.ui.render import LiveView
from aira_cli.ui.style import Labels, console_for

INTERRUPTED = 130
_TWICE_SECONDS = 2.0


class Repl:
    """A person at a terminal, talking with one model."""

    def __init__(
        self,
        conversation: Conversation,
        profile: Profile,
        t: Translate,
        stdout: TextIO,
        stats: Callable[[Turn], str] | None = None,
    ) -> None:
        self._conversation = conversation
        self._profile = profile
        self._t = t
        self._stats = stats
        self._labels = Labels(t, stdout)
        self._console = console_for(stdout)
        self._prompt: PromptSession[str] = PromptSession(history=InMemoryHistory())
        self._interrupted_at = float("-inf")

    def run(self) -> int:
        """Until the person leaves; the exit code."""
        self._say(self._t("chat.welcome", name=self._profile.name))
        while True:
            try:
                line = self._prompt.prompt(self._labels.question("").rstrip() + " ")
            except EOFError:
                return 0
            except KeyboardInterrupt:
                if not self._prompt.default_buffer.text and self._interrupted_twice():
                    return INTERRUPTED
                continue
            if not line.strip():
                continue
            words = line.lstrip()
            if not words.startswith("/"):
                self._turn(line)
            elif words.startswith("//"):
                self._turn(words[1:])
            elif self._command(words):
                return 0

    def _interrupted_twice(self) -> bool:
        now = time.monotonic()
        twice = now - self._interrupted_at < _TWICE_SECONDS
        self._interrupted_at = now
        if not twice:
            self._say(self._t("chat.how_to_leave"))
        return twice

    def _command(self, line: str) -> bool:
        """Runs a command; whether the conversation ends with it."""
        command = find_command(line)
        if command is None:
            self._say(self._t("chat.unknown", name=line.split()[0], near=nearest_command(line)))
        elif command.action == "new":
            self._conversation.restart()
            self._say(self._t("chat.restarted"))
        elif command.action == "help":
            for known in COMMANDS:
                self._say(f"  {', '.join(known.names):24} {self._t(known.help_key)}")
            self._say(self._t("chat.keys"))
        return command is not None and command.action == "exit"

    def _turn(self, question: str) -> None:
        samples = self._conversation.sampling.samples
        growing = not self._console.is_dumb_terminal
        view = LiveView(self._console, self._labels, samples=samples, growing=growing)
        try:
            with view:
                turn = self._conversation.ask(question, view.show)
        except AiraError as error:
            self._say(self._t(f"error.{error.key}", **error.fields), style="red")
            if isinstance(error, ContextError) and self._conversation.messages:
                self._say(self._t("chat.context_full"))
            return
        view.finish(turn)
        if self._stats:
            self._say(self._stats(turn))
        self._console.print()

    def _say(self, sentence: str, style: str = "dim") -> None:
        self._console.print(Text(printable(sentence), style=style))
