"""`aira history`: the conversations that were kept; reading, finding, exporting, removing them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from aira_cli.cli.boundary import Runtime
from aira_cli.cli.recording import history_path
from aira_cli.environment import is_terminal
from aira_cli.errors import HistoryError, UsageError
from aira_cli.history.export import (
    conversation_object,
    found_object,
    listed_object,
    local_time,
    markdown,
    plain_text,
)
from aira_cli.history.export_file import write_export
from aira_cli.history.records import Found, Listed, SavedConversation
from aira_cli.history.search import excerpt
from aira_cli.printable import one_line, printable_json
from aira_cli.ui.tables import print_table

if TYPE_CHECKING:
    from aira_cli.history.store import History

app = typer.Typer(no_args_is_help=True, rich_markup_mode="rich")

Which = Annotated[str, typer.Argument(help="help.history_which", metavar="N")]
Limit = Annotated[int, typer.Option("--limit", help="help.history_limit", metavar="N")]
Json = Annotated[bool, typer.Option("--json", help="help.history_json")]
Words = Annotated[list[str], typer.Argument(help="help.history_words", metavar="WORDS")]
File = Annotated[str, typer.Argument(help="help.history_file", metavar="FILE.md|json|txt")]
Force = Annotated[bool, typer.Option("--force", "-f", help="help.history_force")]
Several = Annotated[list[str] | None, typer.Argument(help="help.history_which", metavar="N")]
All = Annotated[bool, typer.Option("--all", help="help.history_all")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="help.history_yes")]


@app.command("list", help="help.history_list")
def list_conversations(context: typer.Context, limit: Limit = 20, json: Json = False) -> None:
    runtime: Runtime = context.obj
    with _opened(runtime) as history:
        listed = history.conversations(_one_more(limit))
    shown = listed[:limit] if limit else listed
    if json:
        _print_objects(runtime, map(listed_object, shown))
    else:
        _print_list(runtime, shown)
    _say_more(runtime, len(listed) > len(shown), limit)


@app.command("show", help="help.history_show")
def show(context: typer.Context, which: Which, json: Json = False) -> None:
    runtime: Runtime = context.obj
    with _opened(runtime) as history:
        conversation = _found(history, which)
    if json:
        _print_objects(runtime, [conversation_object(conversation)])
    else:
        print(plain_text(conversation, runtime.t).rstrip("\n"), file=runtime.environment.stdout)


@app.command("search", help="help.history_search")
def search(context: typer.Context, words: Words, limit: Limit = 20, json: Json = False) -> None:
    runtime: Runtime = context.obj
    with _opened(runtime) as history:
        found = history.search(words, _one_more(limit))
    shown = found[:limit] if limit else found
    if json:
        _print_objects(runtime, map(found_object, shown))
    elif shown:
        _print_found(runtime, shown, words)
    else:
        print(runtime.t("history.nothing_found"), file=runtime.environment.stderr)
    _say_more(runtime, len(found) > len(shown), limit)


@app.command("export", help="help.history_export")
def export(context: typer.Context, which: Which, file: File = "-", force: Force = False) -> None:
    runtime: Runtime = context.obj
    suffix = Path(file).suffix.lower() if file != "-" else ".md"
    if suffix not in (".md", ".json", ".txt"):
        raise UsageError("export_suffix", path=file)
    with _opened(runtime) as history:
        conversation = _found(history, which)
    text = _exported(runtime, conversation, suffix)
    if file == "-":
        runtime.environment.stdout.write(text)
    else:
        write_export(Path(file).expanduser(), text, force=force)


@app.command("rm", help="help.history_rm")
def rm(context: typer.Context, which: Several = None, all: All = False, yes: Yes = False) -> None:
    runtime: Runtime = context.obj
    if bool(which) == all:
        raise UsageError("history_rm_which")
    with _opened(runtime) as history:
        if which:
            wanted = [_found(history, one).listed for one in dict.fromkeys(which)]
        else:
            wanted = list(history.conversations())
        if yes or not wanted or _confirmed(runtime, wanted):
            history.remove(*{listed.number for listed in wanted})
            print(runtime.t("history.removed", count=len(wanted)), file=runtime.environment.stdout)


@app.command("path", help="help.history_path")
def path(context: typer.Context) -> None:
    runtime: Runtime = context.obj
    print(history_path(runtime), file=runtime.environment.stdout)


def _opened(runtime: Runtime) -> History:
    from aira_cli.history.store import History

    return History.open(history_path(runtime))


def _found(history: History, which: str) -> SavedConversation:
    """The conversation of that number or name."""
    number = int(which) if which.isdecimal() and len(which) < 19 else history.named(which)
    if number is None:
        raise HistoryError("history_no_conversation", number=which)
    return history.conversation(number)


def _print_list(runtime: Runtime, shown: Sequence[Listed]) -> None:
    t, stdout = runtime.t, runtime.environment.stdout
    if not shown and is_terminal(stdout):
        print(t("error.history_empty"), file=stdout)
        return
    heads = [t("history.number"), t("history.date"), t("history.profile"), t("history.turns"),
             t("history.title")]  # fmt: skip
    rows = [
        [
            str(listed.number),
            local_time(listed.updated),
            listed.profile,
            str(listed.turns),
            f"{listed.name} · {listed.title}" if listed.name else listed.title,
        ]
        for listed in shown
    ]
    print_table(stdout, heads, rows, prose=False)


def _print_found(runtime: Runtime, shown: Sequence[Found], words: Sequence[str]) -> None:
    t = runtime.t
    heads = [t("history.number"), t("history.date"), t("history.where"), t("history.excerpt"),
             t("history.title")]  # fmt: skip
    rows = [
        [
            str(found.conversation),
            local_time(found.asked),
            _where(runtime, found),
            excerpt(found.text, words),
            found.title,
        ]
        for found in shown
    ]
    print_table(runtime.environment.stdout, heads, rows)


def _where(runtime: Runtime, found: Found) -> str:
    if found.row is None:
        return runtime.t("history.in_question", turn=found.turn)
    return runtime.t("history.in_answer", turn=found.turn, answer=found.row + 1)


def _print_objects(runtime: Runtime, objects: Iterable[object]) -> None:
    for content in objects:
        print(printable_json(content), file=runtime.environment.stdout)


def _one_more(limit: int) -> int | None:
    """Than `limit`, to know whether there are; None for no limit."""
    if limit < 0:
        raise UsageError("flag_out_of_range", flag="--limit", value=limit, allowed="≥ 0")
    return limit + 1 if limit else None


def _say_more(runtime: Runtime, more: bool, limit: int) -> None:
    if more:
        print(runtime.t("history.more", limit=limit), file=runtime.environment.stderr)


def _exported(runtime: Runtime, conversation: SavedConversation, suffix: str) -> str:
    if suffix == ".json":
        return printable_json(conversation_object(conversation)) + "\n"
    return (markdown if suffix == ".md" else plain_text)(conversation, runtime.t)


def _confirmed(runtime: Runtime, wanted: Sequence[Listed]) -> bool:
    """Asks the person. UsageError if there is none, and no --yes."""
    environment, t = runtime.environment, runtime.t
    if not is_terminal(environment.stdin):
        raise UsageError("history_rm_unasked")
    if len(wanted) == 1:
        listed = wanted[0]
        question = t("history.remove_one", number=listed.number, title=one_line(listed.title, 60))
    else:
        question = t("history.remove_several", count=len(wanted))
    print(question, end=" ", file=environment.stderr, flush=True)
    return environment.stdin.readline().strip().lower() in t("history.yes_words").split()
