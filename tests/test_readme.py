"""The README's commands: the same in both languages, and flags and profiles that exist."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import yaml

from aira_cli.profiles.schema import Profile
from aira_cli.profiles.store import ProfileStore
from tests.run_inside import Person

ROOT = Path(__file__).parent.parent
BLOCK = re.compile(r"```(?:bash|yaml)\n(.*?)```", re.DOTALL)


def blocks(name: str) -> list[str]:
    """The commands and profiles shown, without their comments, which are in one language."""
    found = BLOCK.findall((ROOT / name).read_text(encoding="utf-8"))
    return [re.sub(r" *#.*", "", block) for block in found]


def test_both_languages_show_the_same_commands() -> None:
    assert len(blocks("README.md")) >= 5
    assert blocks("README.md") == blocks("README.en.md")


def test_the_commands_are_understood(tmp_path: Path) -> None:
    """Each `aira` line parses: it fails for want of its model, not of its flags."""
    person = Person(tmp_path)
    for line in "\n".join(blocks("README.md")).splitlines():
        command = line.split("#")[0].split("|")[-1].split("&&")[-1].strip()
        if command.startswith("aira ask"):
            ran = person(*shlex.split(command)[1:], "--offline", "-q", HF_HUB_OFFLINE="1")
            assert ran.code in (0, 3), (line, ran.err)


def test_the_profile_shown_loads(tmp_path: Path) -> None:
    (text,) = (block for block in blocks("README.md") if "extends:" in block)
    assert yaml.safe_load(text)["extends"] == "ttl-460m"
    person = Person(tmp_path)
    person.write_profile("minha-aira", text)
    profile = ProfileStore(tmp_path / "config").load("minha-aira")
    assert isinstance(profile, Profile) and profile.sampling.samples == 4
    assert profile.prompt_format == "ttl"


def test_the_table_has_the_packaged_profiles(tmp_path: Path) -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    store = ProfileStore(tmp_path)
    for name in store.names():
        assert f"`{name}`" in text
        count = f"{store.load(name).parameters:,}".replace(",", " ")
        assert count in text, name
