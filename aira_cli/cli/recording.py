"""`aira ask` and the history: the conversation that --continue goes on with, the turn's record."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from aira_cli.cli.boundary import Runtime
from aira_cli.errors import HistoryError
from aira_cli.history.records import AnswerKey
from aira_cli.printable import one_line
from aira_cli.types import Message

if TYPE_CHECKING:
    from aira_cli.history.recorder import Recorder
    from aira_cli.history.records import SavedConversation


@dataclass(frozen=True)
class Earlier:
    """What a question goes on from: a conversation, its last place, and what was said."""

    conversation: int
    place: AnswerKey | None
    messages: tuple[Message, ...]
    profile: str


def history_path(runtime: Runtime) -> Path:
    """Where the history is, or would be."""
    return runtime.environment.data_dir / "history.db"


def newest_conversation(runtime: Runtime) -> Earlier:
    """HistoryError if there is none, or none that can be read."""
    saved = saved_conversation(runtime, None)
    assert saved is not None
    return earlier_of(saved)


def saved_conversation(runtime: Runtime, name: str | None) -> SavedConversation | None:
    """The conversation called `name`, None if there is none yet; without a name the newest.

    HistoryError if there is no newest, or the history cannot be read.
    """
    from aira_cli.history.store import History

    path = history_path(runtime)
    if path.exists():  # opening would make it
        with History.open(path) as history:
            number = history.latest() if name is None else history.named(name)
            if number is not None:
                return history.conversation(number)
    if name is None:
        raise HistoryError("history_empty")
    return None


def earlier_of(saved: SavedConversation) -> Earlier:
    """What a question goes on from, if it is the next one of `saved`."""
    listed = saved.listed
    return Earlier(listed.number, saved.place, saved.messages(), listed.profile)


def recorder_for(runtime: Runtime, earlier: Earlier | None, *, wanted: bool) -> Recorder:
    """Writes the turn behind `earlier`; nothing if not `wanted` or AIRA_HISTORY is off."""
    from aira_cli.history.recorder import Recorder

    environment = runtime.environment
    off = environment.variables.get("AIRA_HISTORY", "").lower() == "off"
    recorder = Recorder(
        path=history_path(runtime) if wanted and not off else None,
        language=runtime.language,
        clock=environment.clock,
        complain=lambda error: _complain(runtime, error),
    )
    if earlier is not None:
        recorder.conversation, recorder.place = earlier.conversation, earlier.place
    return recorder


def _complain(runtime: Runtime, error: HistoryError) -> None:
    """One line: the answers matter more than their record."""
    reason = runtime.t(f"error.{error.key}", **error.fields)
    line = runtime.t("history.not_recorded", reason=reason)
    print(one_line(line, 1000), file=runtime.environment.stderr)
