"""Commands that carry texts in and out, or lay two answers over each other."""

from __future__ import annotations

import difflib
import re
from pathlib import Path

from rich.text import Text

from aira_cli.errors import UsageError
from aira_cli.printable import printable
from aira_cli.ui.actions.words import answer_row, wanted
from aira_cli.ui.clipboard import copy as copy_to_system
from aira_cli.ui.clipboard import osc52, pasted
from aira_cli.ui.talk import Talk

#: A prompt line is no place for more than this, in bytes.
_LARGEST = 1_000_000


def copy(talk: Talk, words: str) -> None:
    """An answer onto the clipboard."""
    row = answer_row(talk, words)
    text = talk.conversation.answer(row).text.strip()
    copied = copy_to_system(text, talk.environment.variables)
    if not talk.console.is_dumb_terminal:
        talk.environment.stdout.write(osc52(text))
        talk.environment.stdout.flush()
    elif not copied:
        raise UsageError("clipboard_none")
    talk.tell("chat.copied" if copied else "chat.copied_by_terminal", number=row + 1)


def file(talk: Talk, words: str) -> None:
    """A file's text onto the prompt, to be sent or changed."""
    path = Path(wanted(words).strip("'\"")).expanduser()
    try:
        content = path.read_bytes() if path.stat().st_size <= _LARGEST else None
    except OSError as error:
        raise UsageError("attachment_unreadable", path=path, reason=error.strerror) from error
    if content is None:
        raise UsageError("file_too_large", path=path, limit=_LARGEST)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError("file_not_text", path=path) from error
    talk.draft = printable(text.replace("\r\n", "\n")).rstrip("\n")
    talk.tell("chat.inserted", count=len(talk.draft))


def paste(talk: Talk, words: str) -> None:
    """The clipboard's text onto the prompt."""
    text = pasted(talk.environment.variables)
    if text is None:
        raise UsageError("clipboard_none")
    talk.draft = printable(text.replace("\r\n", "\n")).rstrip("\n")
    talk.tell("chat.inserted", count=len(talk.draft))


def diff(talk: Talk, words: str) -> None:
    """What answer j says otherwise than answer i, word by word."""
    numbers = wanted(words).split()
    if len(numbers) != 2:
        raise UsageError("command_incomplete")
    first, second = (
        re.findall(r"\S+|\s+", talk.conversation.answer(answer_row(talk, n)).text.strip())
        for n in numbers
    )
    shown = Text()
    matcher = difflib.SequenceMatcher(a=first, b=second, autojunk=False)
    for kind, i, i_end, j, j_end in matcher.get_opcodes():
        if kind == "equal":
            shown.append("".join(first[i:i_end]))
            continue
        if i < i_end:
            shown.append(f"[-{''.join(first[i:i_end])}-]", style="red")
        if j < j_end:
            shown.append(f"{{+{''.join(second[j:j_end])}+}}", style="green")
    talk.console.print(shown)
