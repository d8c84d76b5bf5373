"""An adapter that comes with this program: a folder by its name in `aira_cli/adapters`."""

from __future__ import annotations

from pathlib import Path

import aira_cli
from aira_cli.errors import ModelUnavailable
from aira_cli.sources.hub_files import is_plain_path
from aira_cli.types import PackagedSource


def locate(source: PackagedSource) -> Path:
    """The folder. Raises ModelUnavailable for a name that this version does not bring."""
    home = Path(aira_cli.__file__).parent / "adapters"
    folder = home / source.packaged
    if "/" in source.packaged or not is_plain_path(source.packaged) or not folder.is_dir():
        known = ", ".join(sorted(path.name for path in home.glob("*") if path.is_dir()))
        raise ModelUnavailable("packaged_missing", name=source.packaged, known=known or "–")
    return folder
