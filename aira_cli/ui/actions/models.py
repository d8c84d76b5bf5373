"""Commands for the models that there are."""

from __future__ import annotations

from aira_cli.errors import UsageError
from aira_cli.printable import one_line
from aira_cli.ui.talk import Talk


def models(talk: Talk, words: str) -> None:
    """The profiles, the present one marked."""
    here, store = talk.labels.here, talk.models.store
    talk.show_pairs(
        (f"{here if name == talk.profile.name else ' '} {name}", _described(talk, name))
        for name in store.names()
    )


def model(talk: Talk, words: str) -> None:
    """Another model for the same conversation."""
    if not words:
        talk.tell("chat.model", name=talk.profile.name)
        return
    talk.models.store.find(words)
    before = talk.conversation.engine
    profile, talk.conversation.engine = talk.models.open(words)
    before.close()
    talk.adopt(profile)
    talk.speed = None
    talk.tell("chat.model", name=profile.name)
    tell_limits(talk)


def tell_limits(talk: Talk) -> None:
    """What a conversation with this model is like, where that is not what people expect."""
    if talk.profile.single_turn:
        talk.tell_once("chat.single_turn", name=talk.profile.name)
    elif talk.conversation.memory == 0:
        talk.tell_once("chat.raw_turns", name=talk.profile.name)
    if talk.conversation.system and talk.conversation.folds_system():
        talk.tell("chat.system_folded", name=talk.profile.name)


def _described(talk: Talk, name: str) -> str:
    try:
        return one_line(talk.models.store.load(name).description.text(talk.language), 100)
    except UsageError:  # a broken profile is told when it is used
        return "?"
