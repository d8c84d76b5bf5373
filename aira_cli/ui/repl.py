"""The conversation's loop: read a line, run a command or a turn, again.

Ctrl-C while answers grow stops them and keeps what is there; at the prompt it clears the line,
and twice within two seconds on an empty one it leaves. Ctrl-D leaves.
"""

from __future__ import annotations

import time
from pathlib import Path

from prompt_toolkit import PromptSession
from prompt_toolkit.input.typeahead import store_typeahead
from prompt_toolkit.input.vt100_parser import Vt100Parser
from prompt_toolkit.key_binding.key_processor import KeyPress

from aira_cli.errors import AiraError, UsageError
from aira_cli.ui.actions.models import tell_limits
from aira_cli.ui.commands import find_command, help_of, tell_unknown
from aira_cli.ui.completion import CommandCompleter
from aira_cli.ui.echo import Echo
from aira_cli.ui.keys import prompt_keys
from aira_cli.ui.line_history import line_history
from aira_cli.ui.talk import Talk
from aira_cli.ui.toolbar import toolbar

INTERRUPTED = 130
_TWICE_SECONDS = 2.0
_MENU_LINES = 6


class Repl:
    """Reads what a person types and has it done; `lines` is where typed lines are kept."""

    def __init__(self, talk: Talk, lines: Path | None) -> None:
        self._talk = talk
        self._interrupted_at = float("-inf")
        self._lines = line_history(lines)
        self._prompt: PromptSession[str] = PromptSession(
            history=self._lines,
            key_bindings=prompt_keys(),
            completer=CommandCompleter(talk),
            complete_while_typing=False,
            multiline=True,
            prompt_continuation=_continuation,
            reserve_space_for_menu=_MENU_LINES,
            bottom_toolbar=lambda: toolbar(talk, talk.console.width),
            tempfile_suffix=".md",
        )

    def run(self) -> int:
        """Until the person leaves; the exit code."""
        held = Echo(self._talk.environment.stdin)
        held.off()
        try:
            return self._until_left()
        finally:
            self._expect_pastes(False)
            held.back()

    def _until_left(self) -> int:
        talk = self._talk
        self._expect_pastes(True)
        talk.tell("chat.welcome", name=talk.profile.name)
        tell_limits(talk)
        talk.measure()
        while not talk.leaving:
            try:
                line = self._read()
            except EOFError:
                return 0
            except KeyboardInterrupt:
                if self._interrupted_twice():
                    return INTERRUPTED
                continue
            if line.strip():
                self._do(line)
        return 0

    def _read(self) -> str:
        talk = self._talk
        draft, talk.draft = talk.draft, ""
        if talk.typed_ahead:
            self._type(talk.typed_ahead)
            talk.typed_ahead = ""
        label = self._talk.labels.question("").rstrip() + " "
        line = self._prompt.prompt(label, default=draft)
        self._expect_pastes(True)
        # Bytes that are no letters come as lone surrogates, which no tokenizer takes.
        return line.encode("utf-16", "surrogatepass").decode("utf-16", "replace")

    def _type(self, keys: str) -> None:
        """The prompt finds `keys` as if they were pressed when it is there."""
        pressed: list[KeyPress] = []
        parser = Vt100Parser(pressed.append)
        parser.feed(keys)
        parser.flush()
        store_typeahead(self._prompt.app.input, pressed)

    def _expect_pastes(self, expected: bool) -> None:
        """Also between two prompts a paste is marked as such, and nothing of it is sent."""
        if not self._talk.console.is_dumb_terminal and self._talk.console.is_terminal:
            stdout = self._talk.environment.stdout
            stdout.write("\x1b[?2004h" if expected else "\x1b[?2004l")
            stdout.flush()

    def _interrupted_twice(self) -> bool:
        """Whether Ctrl-C is meant; a line that it cleared stays in the line history."""
        typed = self._prompt.default_buffer.text
        if typed:
            self._lines.append_string(typed)
            return False
        now = time.monotonic()
        twice = now - self._interrupted_at < _TWICE_SECONDS
        self._interrupted_at = now
        if not twice:
            self._talk.tell("chat.how_to_leave")
        return twice

    def _do(self, line: str) -> None:
        """A command or a question. Neither a failure nor Ctrl-C ends the chat."""
        words = line.lstrip()
        try:
            if words.startswith("/") and not words.startswith("//"):
                self._command(words)
            else:
                self._talk.ask(words[1:] if words.startswith("//") else line)
        except AiraError as error:
            self._talk.complain(error)
        except KeyboardInterrupt:
            self._talk.tell("chat.interrupted")
        self._talk.tell_unrecorded()
        self._talk.measure()

    def _command(self, line: str) -> None:
        first = line.split()[0]
        command = find_command(line)
        if command is None:
            tell_unknown(self._talk, first)
            return
        try:
            command.run(self._talk, line[len(first) :].strip())
        except UsageError as error:
            self._talk.complain(error)
            if error.key == "command_incomplete":
                help_of(self._talk, command)


def _continuation(width: int, line: int, wrapped: int) -> str:
    return " " * width
