"""The line below the prompt: profile, answers, context in use, speed."""

from __future__ import annotations

from aira_cli.printable import one_line
from aira_cli.ui.style import decimal
from aira_cli.ui.talk import Talk

_GAP = " · "


def toolbar(talk: Talk, width: int) -> str:
    """The parts that fit into `width` cells, the profile first."""
    t, conversation = talk.t, talk.conversation
    parts = [one_line(talk.profile.name, 40)]
    parts.append(t("toolbar.samples", count=conversation.sampling.samples))
    if talk.tokens is not None:
        whole = conversation.engine.context_length
        parts.append(t("toolbar.context", tokens=talk.tokens, context=whole))
    if talk.speed is not None:
        parts.append(t("toolbar.speed", speed=decimal(f"{talk.speed:.1f}", t)))
    while len(parts) > 1 and len(_GAP.join(parts)) + 2 > width:
        parts.pop()
    return f" {_GAP.join(parts)} "[: max(width, 1)]
