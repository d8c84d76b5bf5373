"""Every failure a person can meet, as one tree with exit codes.

    AiraError              1  something failed
    ├── UsageError         2  a flag, a prompt or a configuration file is wrong
    ├── ModelUnavailable   3  the model cannot be had: unknown, unreachable, damaged on the way
    ├── CheckpointError    1  the model's files are there but cannot be used
    ├── HistoryError       1  the file of past conversations cannot be used
    └── ContextError       4  the prompt does not fit the model's context

An error carries a catalogue key and the values its sentence needs, never a sentence: `i18n`
has the words ("error.<key>"), and `cli/boundary.py` is the one place that prints them. An
interrupted program exits with 130, which is Python's KeyboardInterrupt and no error of ours.
"""

from __future__ import annotations


class AiraError(Exception):
    """A failure with a catalogue `key` and the `fields` of its sentence."""

    exit_code = 1

    def __init__(self, key: str, /, **fields: object) -> None:
        super().__init__(key, fields)
        self.key = key
        self.fields = fields

    def __str__(self) -> str:
        values = ", ".join(f"{name}={value}" for name, value in self.fields.items())
        return f"{self.key} ({values})" if values else self.key


class UsageError(AiraError):
    """What the person wrote cannot be used as it is."""

    exit_code = 2


class ModelUnavailable(AiraError):
    """No profile, folder or repository of that name can be had now."""

    exit_code = 3


class CheckpointError(AiraError):
    """The model's files are damaged, unsafe or of a kind that is not supported."""


class HistoryError(AiraError):
    """The history is damaged, locked, cannot be written or lacks what was asked for."""


class ContextError(AiraError):
    """The prompt is longer than the model's context."""

    exit_code = 4
