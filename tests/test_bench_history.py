"""`aira bench --history`: a real file is written, and its figures come as a table or as JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.run_inside import Person

FIGURES = {
    "file_bytes", "record_seconds", "open_seconds", "list_seconds", "rare_seconds",
    "frequent_seconds", "read_seconds",
}  # fmt: skip


def test_figures_for_machines(tmp_path: Path) -> None:
    ran = Person(tmp_path)("bench", "--history", "25", "--rounds", "2", "--json")
    assert ran.code == 0 and "25 turns" in ran.err
    found = json.loads(ran.out)
    assert (found["turns"], found["rounds"], set(found["figures"])) == (25, 2, FIGURES)
    for figure in found["figures"].values():
        assert 0 < figure["least"] <= figure["median"] <= figure["most"]
    assert not (tmp_path / "data").exists()  # the person's own history is left alone


@pytest.mark.parametrize("lang", ["pt", "en"])
def test_a_table_for_people(tmp_path: Path, lang: str) -> None:
    ran = Person(tmp_path, lang)("bench", "--history", "12", "--rounds", "1", "--markdown")
    assert ran.code == 0
    assert ran.out.count("\n| ") == 2 + len(FIGURES) and "jabuticaba" in ran.out


def test_no_turns_are_refused(tmp_path: Path) -> None:
    ran = Person(tmp_path)("bench", "--history", "0")
    assert ran.code == 2 and "--history" in ran.err
