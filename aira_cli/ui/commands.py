"""The commands of the chat: one registry gives dispatch, help, completion and the nearest name."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from aira_cli.ui.actions import adjusting, asking, models, saved, texts, tree
from aira_cli.ui.talk import Talk

#: What Tab completes behind a command's name.
Completed = Literal["profile", "path", "session", "setting", "language", "layout", "switch"]


@dataclass(frozen=True)
class Command:
    """A command under its Portuguese and English names; `arguments` is how help writes them."""

    run: Callable[[Talk, str], None]
    names: tuple[str, ...]
    arguments: str = ""
    completed: Completed | None = None

    @property
    def help_key(self) -> str:
        return f"command.{self.run.__name__.strip('_')}"


def help_(talk: Talk, words: str) -> None:
    """All commands, or the one that is named."""
    if not words:
        talk.show_pairs((_usage(known), talk.t(known.help_key)) for known in COMMANDS)
        talk.tell("chat.keys")
        return
    name = f"/{words.split()[0].lstrip('/')}"
    known = find_command(name)
    if known is None:
        tell_unknown(talk, name)
        return
    help_of(talk, known)


def tell_unknown(talk: Talk, name: str) -> None:
    """There is no command of that name."""
    near = nearest_command(name)
    if near is None:
        talk.tell("chat.unknown_far", name=name)
    else:
        talk.tell("chat.unknown", name=name, near=near)


def help_of(talk: Talk, command: Command) -> None:
    """How one command is written, and what it does."""
    talk.show_pairs([(_usage(command), talk.t(command.help_key))])


def _usage(command: Command) -> str:
    return f"{', '.join(command.names)} {command.arguments}".rstrip()


def leave(talk: Talk, words: str) -> None:
    """Ends the chat."""
    talk.leaving = True


COMMANDS = (
    Command(help_, ("/ajuda", "/help"), "[NAME]"),
    Command(leave, ("/sair", "/exit", "/quit")),
    Command(tree.new, ("/nova", "/new")),
    Command(asking.pick, ("/escolher", "/pick"), "I"),
    Command(asking.more, ("/mais", "/more"), "[N]"),
    Command(asking.regen, ("/refazer", "/regen"), "[x=y …]", "setting"),
    Command(asking.go_on, ("/continuar", "/continue"), "[I]"),
    Command(asking.undo, ("/desfazer", "/undo"), "[N]"),
    Command(asking.edit, ("/editar", "/edit")),
    Command(texts.diff, ("/diff",), "I J"),
    Command(tree.fork, ("/ramo", "/fork"), "[I|Q.I|0]"),
    Command(tree.tree, ("/arvore", "/árvore", "/tree")),
    Command(asking.samples, ("/n",), "N"),
    Command(adjusting.set_, ("/set",), "[x=y …]", "setting"),
    Command(adjusting.reset, ("/reset",)),
    Command(asking.seed, ("/semente", "/seed"), "[N]"),
    Command(models.model, ("/modelo", "/model"), "[NAME]", "profile"),
    Command(models.models, ("/modelos", "/models")),
    Command(asking.compare, ("/comparar", "/compare"), "NAME…", "profile"),
    Command(adjusting.system, ("/sistema", "/system"), "[TEXT|off]"),
    Command(adjusting.memory, ("/memoria", "/memória", "/memory"), "[on|off|N]", "switch"),
    Command(adjusting.context, ("/contexto", "/context")),
    Command(adjusting.prompt, ("/prompt",), "[TEXT]"),
    Command(texts.file, ("/arquivo", "/file"), "PATH", "path"),
    Command(texts.paste, ("/colar", "/paste")),
    Command(texts.copy, ("/copiar", "/copy"), "[I]"),
    Command(saved.save, ("/salvar", "/save"), "NAME"),
    Command(saved.load, ("/carregar", "/load"), "N|NAME", "session"),
    Command(saved.sessions, ("/sessoes", "/sessões", "/sessions"), "[WORDS]"),
    Command(saved.export, ("/exportar", "/export"), "FILE.md|json|txt", "path"),
    Command(adjusting.stats, ("/stats",), "[on|off]", "switch"),
    Command(adjusting.layout, ("/layout",), "[NAME]", "layout"),
    Command(adjusting.lang, ("/idioma", "/lang"), "pt|en", "language"),
)

_BY_NAME = {name: command for command in COMMANDS for name in command.names}


def find_command(line: str) -> Command | None:
    """The command a line begins with, by its first word, in capitals or not."""
    return _BY_NAME.get(line.split()[0].lower()) if line.strip() else None


def nearest_command(line: str) -> str | None:
    """The known name that looks most like the line's first word, if one looks like it."""
    near = difflib.get_close_matches(line.split()[0].lower(), _BY_NAME, n=1, cutoff=0.5)
    return near[0] if near else None


def command_names() -> tuple[str, ...]:
    """All names, in both languages."""
    return tuple(_BY_NAME)
