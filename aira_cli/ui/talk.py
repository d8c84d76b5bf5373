"""What a chat is made of while it runs: conversation, model, settings, words; how a turn is shown.

What the commands do with it is in `actions`; reading what the person types is `repl`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from rich.table import Table
from rich.text import Text

from aira_cli.engine.base import Engine
from aira_cli.environment import Environment
from aira_cli.errors import AiraError
from aira_cli.i18n import translator
from aira_cli.printable import printable
from aira_cli.profiles.schema import Profile
from aira_cli.profiles.store import ProfileStore
from aira_cli.session import Answer, Conversation, Show, Turn
from aira_cli.types import Chunk
from aira_cli.ui.layout import ChatView, Layout
from aira_cli.ui.row_keys import RowKeys
from aira_cli.ui.settings import Settings
from aira_cli.ui.style import Labels, console_for, stats_line

Asking = Callable[[Show], Turn]


@dataclass(frozen=True)
class Models:
    """The profiles that there are, and how one of them is opened."""

    store: ProfileStore
    open: Callable[[str], tuple[Profile, Engine]]


@dataclass
class Talk:
    """A person at a terminal, talking with one model at a time.

    `draft` is what the next prompt begins with, `typed_ahead` the keys that were pressed before
    it; `tokens` are those of the context in use, None
    where they cannot be told; `speed` is the last turn's, in tokens a second.
    """

    conversation: Conversation
    profile: Profile
    settings: Settings
    models: Models
    environment: Environment
    language: str
    show_stats: bool = False
    layout: Layout = "auto"
    draft: str = ""
    typed_ahead: str = ""
    leaving: bool = False
    tokens: int | None = None
    speed: float | None = None
    _said: set[str] = field(default_factory=set)
    _unrecorded: list[AiraError] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.console = console_for(self.environment.stdout)
        self.speak(self.language)
        self.adopt(self.profile)

    def speak(self, language: str) -> None:
        """All further words are in `language`."""
        self.language, self.t = language, translator(language)
        plain = self.environment.variables.get("TERM") in ("dumb", "linux")
        self.labels = Labels(self.t, self.environment.stdout, ascii_only=plain)

    def adopt(self, profile: Profile) -> None:
        """The conversation's answers come from `profile`, whose limits become its own."""
        self.profile, self.settings.profile = profile, profile.sampling
        self.conversation.profile = profile.name
        self.conversation.sampling = self.settings.sampling()
        alone = profile.single_turn or profile.prompt_format == "raw"
        self.conversation.memory = 0 if alone else None

    def say(self, sentence: str, style: str = "dim") -> None:
        self.console.print(Text(printable(sentence), style=style))

    def tell(self, key: str, **fields: object) -> None:
        self.say(self.t(key, **fields))

    def show_pairs(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Names and what they are, in two columns that break between words."""
        grid = Table.grid(padding=(0, 2, 0, 0))
        grid.add_column(max_width=max(self.console.width * 2 // 5, 1), overflow="fold")
        grid.add_column(overflow="fold")
        for name, text in pairs:
            grid.add_row(Text(printable(name)), Text(printable(text), style="dim"))
        self.console.print(grid)

    def tell_once(self, key: str, **fields: object) -> None:
        if key not in self._said:
            self._said.add(key)
            self.tell(key, **fields)

    def complain(self, error: AiraError) -> None:
        self.say(self.t(f"error.{error.key}", **error.fields), style="red")

    def not_recorded(self, error: AiraError) -> None:
        """The history refuses. Said by `tell_unrecorded`: growing answers would paint over it."""
        self._unrecorded.append(error)

    def tell_unrecorded(self) -> None:
        for error in self._unrecorded:
            reason = self.t(f"error.{error.key}", **error.fields)
            self.say(self.t("history.not_recorded", reason=reason), style="red")
        self._unrecorded.clear()

    def ask(self, question: str) -> None:
        """A question, answered and shown."""
        conversation = self.conversation
        outlook = conversation.outlook(question)
        if outlook.left_out:
            self.tell("chat.left_out", count=outlook.left_out)
        self.run(lambda show: conversation.ask(question, show))

    def run(self, asking: Asking, *, samples: int | None = None, first_row: int = 0) -> Turn:
        """Runs what asks the engine for `samples` rows, and shows them from `first_row` on."""
        engine = self.conversation.engine
        count = samples if samples is not None else self.conversation.sampling.samples
        view = ChatView(self.console, self.labels, self.layout, samples=count, first_row=first_row)
        keys = RowKeys(self.environment.stdin, range(first_row, first_row + count))

        def show(chunk: Chunk) -> None:
            for row in keys.pressed():
                engine.stop(row - first_row)
            view.show(chunk)

        with keys, view:
            turn = asking(show)
        self.typed_ahead += keys.typed()
        view.finish([_renumbered(answer, first_row) for answer in turn.answers])
        self._note(turn)
        self.console.print()
        return turn

    @contextmanager
    def once(self, **settings: object) -> Iterator[None]:
        """Inside, the conversation samples with `settings` on top of its own."""
        conversation = self.conversation
        seed = conversation.seed
        if "seed" in settings:
            conversation.seed = int(str(settings.pop("seed")))
            seed = max(seed, conversation.seed)
        before = conversation.sampling
        conversation.sampling = self.settings.sampling(**settings)
        try:
            yield
        finally:
            conversation.sampling = before
            conversation.seed = max(seed, conversation.seed)

    def measure(self) -> None:
        """How much of the context a next question would find in use."""
        try:
            self.tokens = self.conversation.outlook("?").tokens
        except AiraError:  # the format has no words for what was said so far
            self.tokens = None

    def _note(self, turn: Turn) -> None:
        """What the turn cost, for the toolbar, and aloud where that is wanted."""
        stats = turn.stats
        if stats is not None and stats.decode_seconds:
            self.speed = sum(stats.tokens) / stats.decode_seconds
        if self.show_stats:
            self.say(stats_line(self.t, self.conversation.profile, turn))


def _renumbered(answer: Answer, first_row: int) -> Answer:
    return replace(answer, row=answer.row + first_row)
