"""Where a script's errors end: as one sentence on standard error, like the program's."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from aira_cli.errors import AiraError
from aira_cli.i18n import translator


@contextmanager
def errors_told() -> Iterator[None]:
    """Ends the process with the exit code of an `AiraError` that is raised inside."""
    try:
        yield
    except AiraError as error:
        print(translator("en")(f"error.{error.key}", **error.fields), file=sys.stderr)
        sys.exit(error.exit_code)
