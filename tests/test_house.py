"""The house itself: which room may import which, what a light command loads, equal catalogues."""

from __future__ import annotations

import ast
import re
import string
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import aira_cli
from aira_cli.i18n import CATALOGUES

PACKAGE = Path(aira_cli.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))

BASE = {"types", "errors", "environment", "printable"}

# What each room may import of ours, beside the base layer (design: one direction).
ALLOWED: dict[str, set[str]] = {
    **{name: set() for name in BASE},
    "i18n": set(),
    "profiles": set(),
    "sources": set(),
    "checkpoints": set(),
    "prompts": set(),
    "engine.base": {"prompts"},
    "engine.loops": set(),
    "engine.text": set(),
    "engine.open": {"profiles", "sources", "checkpoints", "prompts", "engine.local"},
    "engine.local": {"checkpoints", "prompts", "engine.text", "engine.loops"},
    "session": {"engine.base", "history"},
    "history": set(),
    "bench": {"profiles", "sources", "checkpoints", "engine.local", "engine.open", "history"},
    "ui": {"i18n", "session", "history", "profiles", "prompts", "engine.base"},
    "cli": {
        "i18n",
        "session",
        "history",
        "profiles",
        "sources",
        "checkpoints",
        "engine.open",
        "engine.local",
        "bench",
        "ui",
    },
    "__main__": {"cli"},
}

# Which rooms may import the heavy and the visible.
OUTSIDE: dict[str, set[str]] = {
    "torch": {
        "engine.local",
        "checkpoints",
        "cli.doctor",
        *(f"bench.{name}" for name in ("ours", "cards", "perplexity", "shapes")),
    },
    "transformers": {"prompts.tokenizer", "engine.local.models.generic", "bench.shapes"},
    "tokenizers": {"prompts"},
    "rich": {"ui", "cli"},
    "prompt_toolkit": {"ui", "cli"},
    "typer": {"cli"},
    "huggingface_hub": {"sources", "engine.local.models.generic"},
    "gguf": {"checkpoints", "bench.shape_gguf"},
    "llama_cpp": {"bench.llamacpp"},
}


def module_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"relative import in {path}"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room(module: str) -> str:
    """The longest name in ALLOWED that `module` lies in."""
    parts = module.split(".")
    names = [".".join(parts[:n]) for n in range(len(parts), 0, -1)]
    return next(name for name in names if name in ALLOWED)


def inside(module: str, rooms: set[str]) -> bool:
    return any(module == name or module.startswith(f"{name}.") for name in rooms)


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_imports_go_one_way(path: Path) -> None:
    module = module_of(path)
    if not module or module == "engine":
        return
    own = room(module)
    allowed = BASE - {own} if own not in BASE else set()
    for name in imports(path):
        if name.startswith("aira_cli."):
            target = name.removeprefix("aira_cli.")
            if not inside(target, {own} | allowed | ALLOWED[own]):
                assert target == "__version__", f"{module} imports {target}"
        top = name.split(".")[0]
        if top in OUTSIDE:
            assert inside(module, OUTSIDE[top]), f"{module} imports {top}"


@pytest.mark.parametrize(
    "command",
    [["--help"], ["--version"], ["models", "list"], ["history", "list"], ["ask", "--help"]],
)
def test_light_commands_load_nothing_heavy(command: list[str], tmp_path: Path) -> None:
    script = (
        "import sys; from aira_cli.cli.boundary import run; code = run(sys.argv[1:]);"
        "print([m for m in ('torch', 'transformers') if m in sys.modules],"
        "file=sys.stderr); sys.exit(code)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script, *command],
        capture_output=True, text=True, timeout=60, check=False,
        env={"PATH": "/usr/bin", "HOME": str(tmp_path), "LANG": "C.UTF-8"},
    )  # fmt: skip
    assert (ran.returncode, ran.stderr.strip()) == (0, "[]")


# catalogues


def fields(template: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(template) if name}


def test_catalogues_have_equal_keys_and_fields() -> None:
    portuguese, english = CATALOGUES["pt"], CATALOGUES["en"]
    assert portuguese.keys() == english.keys()
    for key in portuguese:
        assert fields(portuguese[key]) == fields(english[key]), key


def keyword_names(call: ast.Call) -> set[str] | None:
    names = [keyword.arg for keyword in call.keywords]
    return None if None in names else {name for name in names if name}


def raised_errors() -> Iterator[tuple[str, set[str] | None]]:
    """Every literal key with which an error of ours is made, and its fields."""
    kinds = {"AiraError", "UsageError", "ModelUnavailable", "CheckpointError", "HistoryError",
             "ContextError"}  # fmt: skip
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            named = isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
            if named and node.func.id in kinds and node.args:  # type: ignore[attr-defined]
                first = node.args[0]  # type: ignore[attr-defined]
                if isinstance(first, ast.Constant):
                    yield str(first.value), keyword_names(node)  # type: ignore[arg-type]


def test_every_error_has_words_for_all_it_says() -> None:
    raised = list(raised_errors())
    assert len(raised) > 50
    for key, given in raised:
        assert f"error.{key}" in CATALOGUES["en"], key
        if given is not None:
            assert fields(CATALOGUES["en"][f"error.{key}"]) <= given, key


def test_no_sentence_is_left_that_nobody_says() -> None:
    source = "\n".join(
        path.read_text(encoding="utf-8") for path in FILES if "i18n" not in path.parts
    )
    dynamic = ("layout.", "chat.", "command.", "models.")  # made of a prefix and a name
    for key in CATALOGUES["en"]:
        name = re.escape(key.removeprefix("error."))
        said = re.search(rf"[\"'](error\.)?{name}[\"']", source)
        assert said or key.startswith(dynamic), key


def test_no_function_or_file_outgrows_a_reader() -> None:
    for path in FILES:
        if path.parent.name == "i18n":
            continue  # sentences, not code
        text = path.read_text(encoding="utf-8")
        assert text.count("\n") <= 400, path
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                assert (node.end_lineno or 0) - node.lineno < 60, f"{path}: {node.name}"
