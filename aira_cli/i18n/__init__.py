"""The words a person reads, in Brazilian Portuguese and English.

Catalogues are flat dictionaries with equal keys (a test holds that); values are `str.format`
templates. Keys are grouped by a prefix: "error." for the error tree, "help." for --help, the
rest by the command that says them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from aira_cli.i18n.en import MESSAGES as EN
from aira_cli.i18n.pt_br import MESSAGES as PT_BR
from aira_cli.printable import Size

CATALOGUES: Mapping[str, Mapping[str, str]] = {"pt": PT_BR, "en": EN}

Translate = Callable[..., str]


def translator(language: str) -> Translate:
    """A function `t(key, **fields)` that says `key` in `language` ("pt" or "en")."""
    messages = CATALOGUES[language]

    def translate(key: str, /, **fields: object) -> str:
        for name, value in fields.items():
            if isinstance(value, Size):
                fields[name] = str(value).replace(".", messages["number.decimal"])
        return messages[key].format(**fields)

    return translate
