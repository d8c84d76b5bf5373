"""Text that may reach a terminal: no character in it can move a cursor or reorder a line.

Model output, typed prompts, file names and server messages all pass through here before they
are shown. Markup is another matter: what is shown is never parsed as Rich markup.
"""

from __future__ import annotations

import json
import re

_UNITS = (("GB", 1e9), ("MB", 1e6), ("kB", 1e3))

# C0 except tab and newline, DEL, C1, line/paragraph separators, and the bidirectional controls
# that can make a line read as something else (Unicode TR 36, CVE-2021-42574).
_UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
    "\ufff9-\ufffb\ud800-\udfff]"
)


def printable(text: str) -> str:
    """`text` without control characters; tab and newline stay. Works piece by piece, too."""
    return _UNPRINTABLE.sub("", text)


def printable_json(content: object) -> str:
    """`content` as one line of JSON in which what is not printable stands escaped."""
    line = json.dumps(content, ensure_ascii=False)
    return _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", line)


def one_line(text: str, limit: int = 200) -> str:
    """`text` printable on one line, cut to `limit` characters with an ellipsis."""
    flat = " ".join(printable(text).split())
    return flat if len(flat) <= limit else flat[: limit - 1].rstrip() + "…"


class Size(int):
    """Bytes that are shown as a person reads them, in decimal units.

    Written with a point; catalogues put their language's decimal sign.
    """

    def __str__(self) -> str:
        for unit, scale in _UNITS:
            if self >= 0.9995 * scale:  # what rounds to 1000 of a unit is 1 of the next
                return f"{self / scale:.3g} {unit}"
        return f"{int(self)} B"
