"""Commands for the conversation as a tree: begin anew, branch, see all of it, jump."""

from __future__ import annotations

from rich.cells import cell_len

from aira_cli.errors import UsageError
from aira_cli.history.records import AnswerKey, SavedTurn
from aira_cli.printable import one_line
from aira_cli.ui.actions.words import count
from aira_cli.ui.talk import Talk

_SHORTEST = 20  # cells of a text, however narrow the window


def new(talk: Talk, words: str) -> None:
    """Another conversation."""
    talk.conversation.restart()
    talk.tell("chat.restarted")


def fork(talk: Talk, words: str) -> None:
    """Goes on from any answer: `2` of the last question, `3.2` of question 3, `0` the start."""
    conversation = talk.conversation
    if not words:
        tree(talk, "")
    elif words == "0":
        conversation.go_to(None)
        talk.tell("chat.at_start")
    else:
        turn, row = _place(talk, words)
        conversation.go_to(AnswerKey(turn.id, row))
        talk.tell("chat.at_answer", place=f"{turn.number}.{row + 1}")


def tree(talk: Talk, words: str) -> None:
    """All questions with their answers, those that follow an answer below it."""
    conversation = talk.conversation
    conversation.snapshot()
    lines = _branch(talk, None, 0)
    for line in lines:
        talk.say(line, style="default")
    if conversation.place is None:
        talk.tell("chat.at_start")
    if lines:
        talk.tell("chat.tree_marks", here=talk.labels.here)


def _place(talk: Talk, words: str) -> tuple[SavedTurn, int]:
    number, dot, answer = words.partition(".")
    if not dot:
        turn, row = talk.conversation.current_turn(), count(words, 1) - 1
    else:
        found = [t for t in talk.conversation.turns.values() if str(t.number) == number]
        if not found:
            raise UsageError("no_such_question", number=number)
        turn, row = found[0], count(answer or "1", 1) - 1
    if row >= len(turn.answers):
        raise UsageError("no_such_answer", number=row + 1, count=len(turn.answers))
    return turn, row


def _branch(talk: Talk, after: AnswerKey | None, depth: int) -> list[str]:
    lines = []
    conversation, labels = talk.conversation, talk.labels
    for turn in conversation.turns.values():
        if turn.parent != after:
            continue
        indent = "  " * min(depth, 12)
        lines.append(_fitting(talk, f"{indent}{turn.number}. ", turn.question))
        for answer in turn.answers:
            key = AnswerKey(turn.id, answer.row)
            mark = labels.here if key == conversation.place else " "
            chosen = "*" if answer.picked else " "
            start = f"{indent}{mark}{chosen} {turn.number}.{answer.row + 1} "
            lines.append(_fitting(talk, start, answer.text or "—"))
            lines += _branch(talk, key, depth + 1)
    return lines


def _fitting(talk: Talk, start: str, text: str) -> str:
    """`start` and as much of `text` as a line of the window has room for."""
    return start + one_line(text, max(_SHORTEST, talk.console.width - cell_len(start)))
