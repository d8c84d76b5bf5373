"""Commands that ask the model again, or choose among what it answered."""

from __future__ import annotations

from aira_cli.errors import AiraError
from aira_cli.ui.actions.words import answer_row, count, wanted
from aira_cli.ui.echo import usual
from aira_cli.ui.editor import edited
from aira_cli.ui.memory import resident_bytes
from aira_cli.ui.settings import parsed
from aira_cli.ui.style import stats_line
from aira_cli.ui.tables import size
from aira_cli.ui.talk import Talk

_CUT = ("length", "interrupted", "loop")


def regen(talk: Talk, words: str) -> None:
    """Other answers to the last question, with settings for this once."""
    conversation = talk.conversation
    conversation.current_turn()
    with talk.once(**parsed(words)):
        if conversation.sampling.greedy and len(conversation.current_turn().answers) > 1:
            talk.tell("ask.greedy_one")
        talk.run(conversation.again)


def more(talk: Talk, words: str) -> None:
    """Further answers to the last question."""
    conversation = talk.conversation
    first_row = len(conversation.current_turn().answers)
    samples = count(words, 1)
    talk.run(lambda show: conversation.more(samples, show), samples=samples, first_row=first_row)


def go_on(talk: Talk, words: str) -> None:
    """Lengthens an answer; without a number the first that was cut."""
    conversation = talk.conversation
    cut = [a.row for a in conversation.current_turn().answers if a.finish_reason in _CUT]
    row = answer_row(talk, words) if words or not cut else cut[0]
    talk.run(lambda show: conversation.go_on(row, show), samples=1, first_row=row)


def pick(talk: Talk, words: str) -> None:
    """The answer that the next question follows."""
    row = answer_row(talk, wanted(words))
    talk.conversation.pick(row)
    talk.tell("chat.picked", number=row + 1)


def undo(talk: Talk, words: str) -> None:
    """Takes back the last questions."""
    gone = talk.conversation.undo(count(words, 1))
    turn = talk.conversation.current
    last = talk.conversation.turns[turn].question if turn is not None else None
    if last is None:
        talk.tell("chat.undone_all", count=gone)
    else:
        talk.tell("chat.undone", count=gone, question=" ".join(last.split())[:60])


def edit(talk: Talk, words: str) -> None:
    """The last question in the editor, asked anew in its place."""
    question = talk.conversation.current_turn().question
    with usual(talk.environment.stdin):
        changed = edited(question, talk.environment.variables)
    if not changed.strip() or changed.strip() == question.strip():
        talk.tell("chat.unchanged")
        return
    talk.say(talk.labels.question(changed), style="bold")
    talk.run(lambda show: talk.conversation.again(show, changed))


def compare(talk: Talk, words: str) -> None:
    """The last question on other profiles, one after another; they stay as branches."""
    conversation = talk.conversation
    question = conversation.current_turn()
    place, current = conversation.place, conversation.current
    engine, profile = conversation.engine, talk.profile
    names = wanted(words).split()
    for name in names:
        talk.models.store.find(name)  # a wrong name is told before any model is opened
    for name in names:
        before = resident_bytes()
        try:
            other, conversation.engine = talk.models.open(name)
        except AiraError as error:  # the others can still be asked
            talk.complain(error)
            continue
        try:
            talk.adopt(other)
            talk.say(f"── {other.name}")
            turn = talk.run(lambda show: conversation.again(show, question.question))
            talk.say(stats_line(talk.t, other.name, turn))
            more_memory = max(resident_bytes() - before, 0)
            talk.tell("chat.more_memory", size=size(more_memory, talk.t))
        finally:
            conversation.engine.close()
            conversation.engine = engine
            talk.adopt(profile)
            conversation.go_to(place)
            conversation.current = current
        if turn.interrupted:
            break


def seed(talk: Talk, words: str) -> None:
    """The seed of the next question."""
    if words:
        talk.conversation.seed = parsed(f"seed={words.split()[0]}")["seed"]
    talk.tell("chat.seed", seed=talk.conversation.seed)


def samples(talk: Talk, words: str) -> None:
    """How many answers a question gets."""
    if words:
        talk.settings.typed |= parsed(f"samples={words.split()[0]}")
        talk.conversation.sampling = talk.settings.sampling()
    drawn = talk.conversation.sampling
    talk.tell("chat.samples", count=drawn.samples)
    if drawn.greedy:
        talk.tell("ask.greedy_one")
