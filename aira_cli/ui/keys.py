"""The keys of the prompt: what sends, what begins a new line, what opens the editor."""

from __future__ import annotations

from prompt_toolkit.filters import is_searching
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent


def prompt_keys() -> KeyBindings:
    """Enter sends; Alt-Enter, Ctrl-J and a backslash before Enter begin a new line.

    What a bracketed paste brings is inserted by prompt_toolkit itself and never sent. In a search
    behind Ctrl-R its own keys count: Enter takes the line that was found.
    """
    keys = KeyBindings()
    keys.add("enter", filter=~is_searching)(_send)
    keys.add("escape", "enter", filter=~is_searching)(_new_line)
    keys.add("c-j", filter=~is_searching)(_new_line)
    keys.add("c-g", filter=~is_searching)(_edit)
    return keys


def _send(event: KeyPressEvent) -> None:
    buffer = event.current_buffer
    if buffer.complete_state is not None and buffer.complete_state.current_completion:
        buffer.complete_state = None  # chosen from the menu; the line goes with the next Enter
    elif buffer.document.current_line_before_cursor.endswith("\\"):
        buffer.delete_before_cursor(1)
        buffer.insert_text("\n")
    else:
        buffer.validate_and_handle()


def _new_line(event: KeyPressEvent) -> None:
    event.current_buffer.insert_text("\n")


def _edit(event: KeyPressEvent) -> None:
    event.current_buffer.open_in_editor(validate_and_handle=False)
