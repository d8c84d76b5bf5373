"""Commands that set how the next question is sent, answered and shown."""

from __future__ import annotations

from aira_cli.environment import LANGUAGES
from aira_cli.errors import UsageError
from aira_cli.ui.actions.words import count, switch
from aira_cli.ui.layout import LAYOUTS
from aira_cli.ui.prompt_listing import prompt_lines
from aira_cli.ui.settings import parsed
from aira_cli.ui.style import decimal
from aira_cli.ui.talk import Talk

_METER = 30


def set_(talk: Talk, words: str) -> None:
    """Changes sampling settings; shows all, with where each comes from."""
    changed = parsed(words)
    if "seed" in changed:
        talk.conversation.seed = changed.pop("seed")
    talk.settings.typed |= changed
    talk.conversation.sampling = talk.settings.sampling()
    sampling = talk.conversation.sampling
    for name in talk.settings.profile.__class__.model_fields:
        value, origin = getattr(sampling, name), talk.settings.origin(name)
        shown = " ".join(map(repr, value)) or "–" if name == "stop" else f"{value:g}"
        talk.say(f"  {name:19} {decimal(shown, talk.t):8} {talk.t(f'chat.from_{origin}')}")
    talk.say(f"  {'seed':19} {talk.conversation.seed}")


def reset(talk: Talk, words: str) -> None:
    """Forgets what /set changed."""
    talk.settings.typed.clear()
    set_(talk, "")


def system(talk: Talk, words: str) -> None:
    """The text that stands before the conversation."""
    conversation = talk.conversation
    if words:
        conversation.system = None if switch(words) is False else words
    if conversation.system is None:
        talk.tell("chat.no_system")
        return
    talk.tell("chat.system", text=conversation.system)
    if conversation.folds_system():
        talk.tell("chat.system_folded", name=talk.profile.name)


def memory(talk: Talk, words: str) -> None:
    """How many past turns are sent."""
    conversation = talk.conversation
    on = switch(words)
    if on is not None:
        conversation.memory = None if on else 0
    elif words == "0":
        conversation.memory = 0
    elif words:
        conversation.memory = count(words, 1)
    if conversation.memory is None:
        talk.tell("chat.memory_all")
    elif conversation.memory == 0:
        talk.tell("chat.memory_none")
    else:
        talk.tell("chat.memory_some", count=conversation.memory)


def context(talk: Talk, words: str) -> None:
    """A meter: how much of the context a next question finds in use, and what is left out."""
    outlook, whole = talk.conversation.outlook("?"), talk.conversation.engine.context_length
    filled = round(_METER * outlook.tokens / whole)
    meter = f"[{'#' * filled}{'.' * (_METER - filled)}]"
    percent = round(100 * outlook.tokens / whole)
    talk.tell(
        "chat.context", meter=meter, tokens=outlook.tokens, context=whole, percent=percent,
        sent=outlook.sent,
    )  # fmt: skip
    if outlook.forgotten:
        talk.tell("chat.forgotten", count=outlook.forgotten)
    if outlook.left_out:
        talk.tell("chat.left_out", count=outlook.left_out)


def stats(talk: Talk, words: str) -> None:
    """Whether a line after each turn says what it cost."""
    on = switch(words)
    if words and on is None:
        raise UsageError("command_switch", words=words)
    talk.show_stats = on if on is not None else not talk.show_stats
    talk.tell("chat.stats_on" if talk.show_stats else "chat.stats_off")


def prompt(talk: Talk, words: str) -> None:
    """Segments and ids: of `words` as the next question, or of the last one as it would go now."""
    conversation = talk.conversation
    if words:
        request = conversation.outlook(words).request
    elif conversation.current is not None:
        request = conversation.outlook_again().request
    else:
        raise UsageError("command_incomplete")
    for line in prompt_lines(conversation.engine.prompt(request)):
        talk.say(line, style="default")


def lang(talk: Talk, words: str) -> None:
    """The language of the interface."""
    wanted = words[:2].lower()
    if words and wanted not in LANGUAGES:
        raise UsageError("chat_language_unknown", language=words, known=", ".join(LANGUAGES))
    if words:
        talk.speak(wanted)
    talk.tell("chat.language")


def layout(talk: Talk, words: str) -> None:
    """Answers stacked, side by side, or as the window is wide."""
    for known in LAYOUTS:
        if words.lower() in (known, talk.t(f"chat.layout_{known}")):
            talk.layout = known
            break
    else:
        if words:
            names = ", ".join(talk.t(f"chat.layout_{known}") for known in LAYOUTS)
            raise UsageError("layout_unknown", words=words, known=names)
    talk.tell("chat.layout_now", name=talk.t(f"chat.layout_{talk.layout}"))
