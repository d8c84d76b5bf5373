"""The profiles that can be named: packaged ones, then the user's, which add or override.

A profile may extend another (`extends: NAME`): mappings merge key by key, except `source`,
`tokenizer` and `adapter`, which replace. Extending its own name means the packaged profile of
that name.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

import aira_cli
from aira_cli.errors import ModelUnavailable, UsageError
from aira_cli.profiles.schema import Profile, Settings
from aira_cli.profiles.yaml_file import read_mapping, validate
from aira_cli.types import HubSource, LocalSource

DEFAULT_MODEL = "ttl-460m-awq"
EMBEDDED_MODEL = "embedded"

_REPLACED = {"source", "tokenizer", "adapter"}
_HUB_NAME = re.compile(r"(?P<repo>[\w][\w.-]*/[\w.-]+)(?::(?P<file>[\w./-]+\.gguf))?")


def packaged_folder() -> Path:
    """configs/: inside the package of a wheel, beside it in a checkout."""
    package = Path(aira_cli.__file__).parent
    inside = package / "configs"
    return inside if inside.is_dir() else package.parent / "configs"


class ProfileStore:
    """Profiles by name from the packaged folder and the user's `profiles` folder."""

    def __init__(self, config_dir: Path) -> None:
        self.settings_path = config_dir / "config.yaml"
        self.user_folder = config_dir / "profiles"
        self._layers = [_yaml_files(packaged_folder()), _yaml_files(self.user_folder)]

    def names(self) -> list[str]:
        return sorted(set().union(*self._layers))

    def is_users(self, name: str) -> bool:
        return name in self._layers[1]

    def settings(self) -> Settings:
        """The user's config.yaml, or what holds without one."""
        if not self.settings_path.exists():
            return Settings()
        content, node = read_mapping(self.settings_path)
        return validate(Settings, content, self.settings_path, node)

    def load(self, name: str) -> Profile:
        """The profile called `name`. ModelUnavailable names the nearest ones if there is none."""
        for depth in (1, 0):
            if name in self._layers[depth]:
                return self._load_file(self._layers[depth][name], name, depth)
        nearest = difflib.get_close_matches(name, self.names(), n=3, cutoff=0.5)
        if nearest:
            raise ModelUnavailable("unknown_model", name=name, nearest=", ".join(nearest))
        raise ModelUnavailable("unlike_any_model", name=name, known=", ".join(self.names()))

    def find(self, wanted: str) -> Profile:
        """A profile's name, a folder, a .gguf or .yaml file, or a hub name (org/name[:file])."""
        if wanted in self.names():
            return self.load(wanted)
        path = Path(wanted).expanduser()
        if path.suffix in (".yaml", ".yml") and path.is_file():
            return self._load_file(path, path.stem, depth=2)
        if path.is_dir() or path.is_file():
            return Profile(name=path.resolve().name, source=LocalSource(str(path.resolve())))
        if wanted.startswith((".", "/", "~")) or wanted.endswith((".yaml", ".yml")):
            raise ModelUnavailable("no_such_path", path=wanted)
        hub = _HUB_NAME.fullmatch(wanted)
        if hub is not None:
            return Profile(name=wanted, source=HubSource(hub["repo"], file=hub["file"]))
        return self.load(wanted)

    def _load_file(self, path: Path, name: str, depth: int) -> Profile:
        content, node = read_mapping(path)
        merged = self._extended(content, name, depth, seen=(path,))
        merged = _anchored({"name": name} | merged, path.parent)
        return validate(Profile, merged, path, node)

    def _extended(
        self, content: dict[str, Any], name: str, depth: int, seen: tuple[Path, ...]
    ) -> dict[str, Any]:
        """`content` laid over what it extends, looked up from the layer above downwards."""
        own = {key: value for key, value in content.items() if key != "extends"}
        parent = content.get("extends")
        if parent is None:
            return own
        top = depth - 1 if parent == name else min(depth, 1)
        for layer in range(top, -1, -1):
            path = self._layers[layer].get(str(parent))
            if path is not None:
                if path in seen:
                    raise UsageError("profile_extends_itself", path=seen[0], name=parent)
                base, _ = read_mapping(path)
                return _merge(self._extended(base, str(parent), layer, (*seen, path)), own)
        known = ", ".join(self.names())
        raise UsageError("profile_extends_unknown", path=seen[-1], name=parent, known=known)


def broken_profiles(store: ProfileStore) -> Iterator[tuple[str, UsageError]]:
    """The profiles that cannot be loaded, with the reason: a list shows them, not dies of them."""
    for name in store.names():
        try:
            store.load(name)
        except UsageError as error:
            yield name, error


def _yaml_files(folder: Path) -> dict[str, Path]:
    return {path.stem: path for path in sorted(folder.glob("*.y*ml"))} if folder.is_dir() else {}


def _merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(base.get(key), dict)
        merged[key] = base[key] | value if both and key not in _REPLACED else value
    return merged


def _anchored(content: dict[str, Any], folder: Path) -> dict[str, Any]:
    """A relative `source: {path: …}`, or adapter's, is meant from the profile's own folder."""
    for key in ("source", "adapter"):
        source = content.get(key)
        if isinstance(source, dict) and isinstance(source.get("path"), str):
            path = Path(source["path"]).expanduser()
            content = content | {key: source | {"path": str(folder / path)}}
    return content


def profile_yaml(profile: Profile) -> str:
    """A profile as the YAML a user could copy and change."""
    content = profile.model_dump(mode="json", exclude={"name"}, exclude_defaults=True)
    return yaml.safe_dump(content, allow_unicode=True, sort_keys=False)
