"""Measures an adapter beside its base: held-out questions, languages, perplexity, ten answers.

The models answer as users get them (`answering.py`): the program's engine, the profile's
prompts and sampling, one sample a question with a fixed seed. The answers are judged here.

    python -m training.evaluate --adapter training/runs/embedded/adapter
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from aira_cli.checkpoints.open import open_checkpoint
from aira_cli.engine.open import Place
from aira_cli.environment import Environment
from aira_cli.profiles.schema import Profile
from aira_cli.profiles.store import ProfileStore
from training.answering import Answering, adapted
from training.boundary import errors_told
from training.language import is_foreign
from training.pairs import PROMPT_FORMAT, TRAINING
from training.words import Expect, said

BASE_PROFILE = "smollm2-135m"
SHOWN = 10  # answers
TRANSLATIONS = "translations."  # kinds whose answers quote English


@dataclass(frozen=True)
class Answered:
    question: str
    answer: str
    expect: Expect
    right: bool
    foreign: bool


@dataclass(frozen=True)
class Share:
    """`part` of `whole` questions."""

    part: int
    whole: int

    def __str__(self) -> str:
        return f"{self.part / max(1, self.whole):.1%} ({self.part}/{self.whole})"


@dataclass(frozen=True)
class Result:
    """What one model did: shares of right and foreign answers, perplexity, all its answers."""

    known: Share
    unknown: Share
    foreign: Share
    english: Share
    perplexity: float
    answers: list[Answered]


def measure(model: Answering, folder: Path, limit: int | None, seed: int) -> Result:
    """Everything held out in `folder`, of each file the first `limit` lines."""
    known = _asked(model, _lines(folder / "known.jsonl", limit), seed)
    unknown = _asked(model, _lines(folder / "unknown.jsonl", limit), seed)
    english = _asked(model, _lines(folder / "english.jsonl", limit), seed)
    portuguese = [*known, *unknown]
    return Result(
        known=_share([one.right for one in known]),
        unknown=_share([one.right for one in unknown]),
        foreign=_share([one.foreign for one in portuguese]),
        english=_share([one.right for one in english]),
        perplexity=_perplexity(model, _lines(folder / "answers.jsonl", limit)),
        answers=[*known, *unknown, *english],
    )


def _asked(model: Answering, lines: Sequence[dict[str, Any]], seed: int) -> list[Answered]:
    answered = []
    for number, line in enumerate(lines, 1):
        answer = model.answer(line["question"], seed)
        translation = line.get("kind", "").startswith(TRANSLATIONS)
        foreign = not translation and is_foreign(answer)
        right = said(line["expect"], answer)
        answered.append(Answered(line["question"], answer, line["expect"], right, foreign))
        if number % 50 == 0:
            print(f"{number} of {len(lines)}", file=sys.stderr, flush=True)
    return answered


def _perplexity(model: Answering, lines: Sequence[dict[str, Any]]) -> float:
    """Of all answers' tokens together, each behind its question."""
    found = [model.surprise(line["question"], line["answer"]) for line in lines]
    return math.exp(sum(nats for nats, _ in found) / sum(tokens for _, tokens in found))


def _share(which: Sequence[bool]) -> Share:
    return Share(sum(which), len(which))


def _lines(path: Path, limit: int | None) -> list[dict[str, Any]]:
    lines = path.read_text(encoding="utf-8").splitlines()[:limit]
    return [json.loads(line) for line in lines]


def as_markdown(results: dict[str, Result]) -> str:
    """A row for each thing measured, a column for each model; then the last one's answers."""
    rows = {
        "known facts in new words, right": [str(r.known) for r in results.values()],
        "facts that are not in the data, right": [str(r.unknown) for r in results.values()],
        "Portuguese questions answered in another language": [
            str(r.foreign) for r in results.values()
        ],
        "English questions, right": [str(r.english) for r in results.values()],
        "perplexity of held-out answers": [f"{r.perplexity:.2f}" for r in results.values()],
    }
    table = [["", *results], ["---"] * (len(results) + 1)]
    table += [[name, *cells] for name, cells in rows.items()]
    last = list(results.values())[-1]
    shown = [f"{n}. {_shown(one)}" for n, one in enumerate(last.answers[:SHOWN], 1)]
    return "\n".join([*(f"| {' | '.join(cells)} |" for cells in table), "", *shown, ""])


def _shown(one: Answered) -> str:
    answer = " ".join(one.answer.split())
    return f"{one.question} → {answer} ({'right' if one.right else 'wrong'})"


def profiles(flags: argparse.Namespace, environment: Environment) -> dict[str, Profile]:
    """By name what is measured: the base with its own profile, and the adapter with its."""
    base = ProfileStore(environment.config_dir).load(BASE_PROFILE)
    if flags.only == "base":
        return {"base": base}
    fields = ("temperature", "top_p", "repetition_penalty")
    given = {name: getattr(flags, name) for name in fields if getattr(flags, name) is not None}
    if flags.adapter is None:
        ours = ProfileStore(environment.config_dir).load(flags.profile)
    else:
        ours = adapted(base.model_copy(update={"prompt_format": PROMPT_FORMAT}), flags.adapter)
    ours = ours.model_copy(update={"sampling": ours.sampling.model_copy(update=given)})
    return {"adapter": ours} if flags.only else {"base": base, "adapter": ours}


def _flags() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--profile", default="embedded", help="what is measured beside the base")
    parser.add_argument("--adapter", type=Path, help="a folder in PEFT's format, instead")
    parser.add_argument("--only", choices=("base", "adapter"), help="measure one of the two")
    parser.add_argument("--limit", type=int, help="of each file only the first so many")
    parser.add_argument("--tokens", type=int, default=60, help="how long an answer may be")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--temperature", type=float, help="instead of the profile's")
    parser.add_argument("--top-p", type=float)
    parser.add_argument("--repetition-penalty", type=float)
    parser.add_argument("--device")
    parser.add_argument("--out", type=Path, help="folder for evaluation.json and evaluation.md")
    return parser.parse_args()


def main() -> None:
    flags, environment = _flags(), Environment.of_process()
    place = Place(environment.cache_dir, offline=False, progress=lambda *_: None)
    results = {}
    with errors_told():
        measured = profiles(flags, environment)
        for profile in measured.values():
            # what is not there is said before minutes are spent on the base
            open_checkpoint(place.resolve(profile.source, weights=True), place.adapter(profile))
        for name, profile in measured.items():
            with Answering(profile, place, flags.device, flags.tokens) as model:
                results[name] = measure(model, TRAINING / "heldout", flags.limit, flags.seed)
    text = as_markdown(results)
    if flags.out is not None:
        flags.out.mkdir(parents=True, exist_ok=True)
        told = {name: asdict(result) for name, result in results.items()}
        content = json.dumps(told, ensure_ascii=False, indent=2) + "\n"
        (flags.out / "evaluation.json").write_text(content, encoding="utf-8")
        (flags.out / "evaluation.md").write_text(text, encoding="utf-8")
    print(text, end="")


if __name__ == "__main__":
    main()
