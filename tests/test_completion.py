"""Tab in real shells, after `aira --install-completion` in each of them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.conftest import Program
from tests.run_inside import Person
from tests.terminal import Terminal

SHELLS = ("bash", "zsh", "fish")


def installed(program: Program, shell: str) -> Program:
    """The shell, after the person's own `aira --install-completion` in it."""
    found = shutil.which(shell)
    if found is None:
        pytest.skip(f"no {shell} here")
    folder = str(Path(program.command).parent)
    variables = {**program.variables, "PATH": f"{folder}:{program.variables['PATH']}"}
    variables |= {"PS1": "$ ", "SHELL": found}
    ran = Program(found, variables)("-c", "aira --install-completion; true")
    assert ran.returncode == 0, ran.stderr
    assert f"Completamento para {shell}" in ran.stdout
    return Program(found, variables)


def typed(shell: Program, name: str, line: str, seen: str) -> str:
    terminal = Terminal(shell, ["-i"], 100, 30)
    terminal.read(1.5)  # its own start, which says nothing
    terminal.send(line)
    terminal.read(0.5)
    terminal.send("\t")
    screen = terminal.until(seen, 20)
    terminal.child.close(force=True)
    return screen


@pytest.mark.parametrize("name", SHELLS)
def test_tab_knows_profiles(program: Program, name: str) -> None:
    shell = installed(program, name)
    folder = Path(program.variables["HOME"]) / ".config" / "aira" / "profiles"
    folder.mkdir(parents=True)
    (folder / "zebra.yaml").write_text("source: {hub: org/zebra}\n")
    typed(shell, name, "aira ask --model zeb", "--model zebra")


@pytest.mark.parametrize("name", SHELLS)
def test_tab_knows_commands(program: Program, name: str) -> None:
    typed(installed(program, name), name, "aira models pu", "models pull")


def test_what_a_person_wrote_stays(program: Program) -> None:
    written = Path(program.variables["HOME"]) / ".bashrc"
    written.write_text("alias oi='echo olá'\n")
    for _ in range(2):
        installed(program, "bash")
    assert written.read_text().startswith("alias oi='echo olá'\n")
    assert written.read_text().count("aira.sh") == 1


def completed(program: Program, line: str) -> list[str]:
    """What is offered for the last word, asked as bash asks."""
    variables = {
        "_AIRA_COMPLETE": "complete_bash", "COMP_WORDS": line,
        "COMP_CWORD": str(line.count(" ")),
    }  # fmt: skip
    ran = program(**variables)
    assert ran.returncode == 0 and ran.stderr == ""
    return ran.stdout.split()


def test_what_is_offered(program: Program) -> None:
    assert completed(program, "aira chat -m ttl-460m-a") == ["ttl-460m-awq"]
    assert "smollm2-135m" in completed(program, "aira models show ")
    assert completed(program, "aira bench --shape aira-2-portuguese-1b") == [
        "aira-2-portuguese-1b7"
    ]
    assert completed(program, "aira ask --dtype i") == ["int8", "int4"]
    assert completed(program, "aira ask --device c") == ["cpu", "cuda"]
    assert completed(program, "aira ask --lang p") == ["pt"]
    assert completed(program, "aira chat --session ") == []


def test_a_broken_history_says_nothing(program: Program) -> None:
    folder = Path(program.variables["HOME"]) / ".local" / "share" / "aira"
    folder.mkdir(parents=True)
    (folder / "history.db").write_text("no database")
    assert completed(program, "aira chat --session ") == []


def test_an_unknown_shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aira_cli.cli.completing._shell_around", lambda: None)
    ran = Person(tmp_path)("--install-completion", SHELL="/bin/tcsh")
    assert ran.code == 2 and "tcsh" in ran.err and "fish" in ran.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("histroy",), "Did you mean history?"),
        (("history", "lst"), "Did you mean list?"),
        (("models", "zzzz"), "`aira models --help`"),
    ],
)
def test_a_misspelled_command(tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    ran = Person(tmp_path)(*words)
    assert ran.code == 2 and said in ran.err
