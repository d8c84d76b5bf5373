"""Trains the adapter: LoRA on the embedded model, loss on answers only, on a CPU or a GPU.

How pairs become batches is `pairs.py`'s, the model `lora.py`'s, what is kept `saved_run.py`'s.

    python -m training.train
    python -m training.train --resume
    python -m training.train --start aira_cli/adapters/embedded
    torchrun --standalone --nproc-per-node 2 -m training.train
"""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import json
import math
import os
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from aira_cli.checkpoints.open import open_checkpoint
from aira_cli.engine.local.device import cpu_has_bfloat16, fast_dtype, pick_device
from aira_cli.environment import Environment
from aira_cli.profiles.store import ProfileStore
from aira_cli.prompts.tokenizer import Tokenizer, load_tokenizer, tokenizer_from_gguf
from aira_cli.sources.resolve import resolve
from training.boundary import errors_told
from training.lora import Student, load_base
from training.pairs import (
    PROMPT_FORMAT,
    TRAINING,
    Batch,
    Example,
    batch_of,
    encode,
    endless,
    epoch,
    read_pairs,
)
from training.saved_run import Position, RunFolder
from training.team import ALONE, Sums, Team

BASE_PROFILE = "smollm2-135m"
WARM_UP = 40  # steps
LAST_RATE = 0.02  # of the highest
CLIP = 1.0  # longest gradient
LOOKED_AT = 4  # batches, before the base is put in 8 bits
SAVE_SECONDS, SAY_SECONDS = 180, 10
PRODUCTS = ("float32", "bfloat16", "float16", "int8")
#: A run's length, its unit and a batch's size in ids, where no flag says. A GPU takes as long for
#: a batch of 1024 ids as for one of 4096.
PACES = {"cpu": (85.0, "minutes", 512), "cuda": (8.0, "epochs", 4096)}
SMOOTHED = 50  # steps whose mean loss is told


@dataclass(frozen=True)
class Recipe:
    """All that decides what is learned, besides the pairs. `length` is epochs or minutes."""

    length: float
    unit: str
    seed: int = 0
    rank: int = 32
    rate: float = 2e-3
    size: int = 512  # of a batch, in ids
    written: float = 1.0  # how often an epoch has each written answer
    products: str = "float32"  # what is multiplied in: a number type of torch, or int8

    @property
    def dtype(self) -> torch.dtype:
        """What is not in 8 bits."""
        dtype = torch.float32 if self.products == "int8" else getattr(torch, self.products)
        assert isinstance(dtype, torch.dtype)
        return dtype


class Run:
    """A student, its optimizer and its place in the pairs. All of a `team` have the same."""

    def __init__(
        self, student: Student, examples: Sequence[Example], recipe: Recipe, team: Team = ALONE
    ) -> None:
        self.position = Position()
        self.team = team
        self.student = student
        self.recipe = recipe
        self.examples = examples
        self.epoch_steps = len(epoch(examples, recipe.seed, 0, recipe.size, recipe.written))
        tensors = [parameter for _, parameter in student.parameters]
        self.optimizer = torch.optim.AdamW(tensors, lr=recipe.rate, weight_decay=0.0, fused=True)
        self._sums = Sums(tensors)
        if recipe.products == "int8":
            seen = itertools.islice(self.batches(), LOOKED_AT)
            student.in_eight_bits([self._batch(examples) for examples in seen])
        self._since = time.perf_counter()

    @property
    def done(self) -> float:
        """How much of the run lies behind it, 0 to 1; by the clock where its length is a time."""
        at = self.position
        in_unit = at.seconds / 60 if self.recipe.unit == "minutes" else at.step / self.epoch_steps
        return min(1.0, in_unit / self.recipe.length)

    def batches(self) -> Iterator[list[Example]]:
        recipe, step = self.recipe, self.position.step
        return endless(self.examples, recipe.seed, recipe.size, step, recipe.written)

    def learn(self, examples: Sequence[Example]) -> dict[str, float]:
        """One step from a batch; the line of the curve for it."""
        rate = self.recipe.rate * share(self.position.step, self.done)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        lost, seconds = self._gradients(examples)
        torch.nn.utils.clip_grad_norm_([p for _, p in self.student.parameters], CLIP)
        self.optimizer.step()
        at = self.position
        at.step, at.seconds = at.step + 1, at.seconds + seconds
        at.tokens += sum(example.length for example in examples)
        return {"step": at.step, "loss": lost, "rate": rate, **vars(at)}

    def _gradients(self, examples: Sequence[Example]) -> tuple[float, float]:
        """Puts the batch's gradient into the parameters; its loss, and the seconds since the last
        one by the clock of the process that leads: all must agree on how far they are."""
        self._sums.clear()
        part, lost = self.team.part(examples), 0.0
        if part:
            loss = self.student.loss(self._batch(part)) * (_answered(part) / _answered(examples))
            loss.backward()  # type: ignore[no-untyped-call]
            lost = loss.item()
        now = time.perf_counter()
        passed, self._since = now - self._since, now
        return self._sums.exchange(self.team, lost, passed if self.team.leads else 0.0)

    def _batch(self, examples: Sequence[Example]) -> Batch:
        return batch_of(examples).to(self.student.device)

    def save(self, folder: RunFolder) -> None:
        folder.save(self.position, asdict(self.recipe), self.student.parameters, self.optimizer)

    def restore(self, folder: RunFolder) -> None:
        parameters = self.student.parameters
        self.position = folder.restore(asdict(self.recipe), parameters, self.optimizer)
        if self.team.leads:
            folder.cut_curve(self.position.step)
        self._since = time.perf_counter()


def share(step: int, done: float) -> float:
    """Which part of the highest rate holds: a straight rise, then half a cosine wave."""
    fallen = LAST_RATE + (1 - LAST_RATE) * (1 + math.cos(math.pi * done)) / 2
    return fallen * min(1.0, (step + 1) / WARM_UP)


def train(run: Run, folder: RunFolder) -> None:
    """Steps until the run's length is reached; state and curve go to `folder` on the way."""
    saved = said = time.monotonic()
    losses: list[float] = [line["loss"] for line in folder.curve()]
    batches = run.batches()
    while run.done < 1:
        line = run.learn(next(batches))
        folder.add(line)
        losses.append(line["loss"])
        now = time.monotonic()
        if now - saved >= SAVE_SECONDS:
            run.save(folder)
            saved = now
        if now - said >= SAY_SECONDS or run.done == 1:
            print(progress(run, losses), file=sys.stderr, flush=True)
            said = now
    run.save(folder)
    run.student.save(folder.adapter)


def follow(run: Run) -> None:
    """The steps of a process that does not lead."""
    batches = run.batches()
    while run.done < 1:
        run.learn(next(batches))


def progress(run: Run, losses: Sequence[float]) -> str:
    at, recent = run.position, losses[-SMOOTHED:]
    left = at.seconds * (1 - run.done) / run.done / 60
    return (
        f"{run.done:4.0%}  step {at.step}  epoch {at.step / run.epoch_steps:.2f}  "
        f"loss {sum(recent) / len(recent):.3f}  {at.tokens / at.seconds:.0f} tokens/s  "
        f"{left:.0f} min left"
    )


def summary(run: Run, folder: RunFolder) -> dict[str, Any]:
    """What was done, and what it cost."""
    at, curve = run.position, folder.curve()
    losses = [line["loss"] for line in curve]
    return {
        **asdict(run.recipe),
        "prompt_format": PROMPT_FORMAT,
        "pairs": len(run.examples),
        "parameters": sum(parameter.numel() for _, parameter in run.student.parameters),
        "adapter_bytes": sum(path.stat().st_size for path in folder.adapter.iterdir()),
        "steps": at.step,
        "epochs": round(at.step / run.epoch_steps, 2),
        "tokens": at.tokens,
        "minutes": round(at.seconds / 60, 1),
        "tokens_per_second": round(at.tokens / at.seconds),
        "first_loss": round(_mean(losses[:SMOOTHED]), 3),
        "last_loss": round(_mean(losses[-SMOOTHED:]), 3),
        "tenths": tenths(curve),
        "device": str(run.student.device),
        "processes": run.team.size,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }


def tenths(curve: Sequence[dict[str, float]]) -> list[tuple[float, float]]:
    """For each tenth of the steps: the tokens learned from by then, and the mean loss in it."""
    bounds = [len(curve) * tenth // 10 for tenth in range(11)]
    parts = [curve[start:end] for start, end in itertools.pairwise(bounds) if start < end]
    return [(part[-1]["tokens"], round(_mean([x["loss"] for x in part]), 2)) for part in parts]


def open_base(path: Path | None) -> tuple[Path, Tokenizer]:
    """The checkpoint at `path`, or the embedded model, fetched if it is not here yet."""
    if path is None:
        environment = Environment.of_process()
        profile = ProfileStore(environment.config_dir).load(BASE_PROFILE)
        path = resolve(
            profile.source,
            cache_dir=environment.cache_dir, offline=False, progress=lambda *_: None,
        )  # fmt: skip
    fields = open_checkpoint(path).tokenizer_fields
    return path, load_tokenizer(path) if fields is None else tokenizer_from_gguf(fields)


@contextmanager
def metered(told: dict[str, Any]) -> Iterator[None]:
    """Adds the energy used inside, as codecarbon estimates it; nothing where that is missing."""
    if importlib.util.find_spec("codecarbon") is None:
        yield
        return
    from codecarbon import OfflineEmissionsTracker

    # the country decides on grams of CO2 alone, which are not told
    meter = OfflineEmissionsTracker(
        country_iso_code="BRA", save_to_file=False, log_level="critical", allow_multiple_runs=True
    )
    meter.start()
    try:
        yield
    finally:
        meter.stop()
        told["energy_kwh"] = round(meter.final_emissions_data.energy_consumed, 4)


def _answered(examples: Sequence[Example]) -> int:
    """How many ids the loss is a mean over."""
    return sum(len(example.answer) for example in examples)


def _mean(numbers: Sequence[float]) -> float:
    return sum(numbers) / len(numbers)


def _flags() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--minutes", type=_positive, help="how long to train (85 on a CPU)")
    length.add_argument("--epochs", type=_positive, help="how often to see all pairs (8 on a GPU)")
    parser.add_argument("--run", type=Path, default=TRAINING / "runs" / "embedded", help="folder")
    parser.add_argument("--resume", action="store_true", help="go on where the run was saved")
    parser.add_argument("--start", type=Path, help="adapter to go on from, instead of none")
    parser.add_argument("--base", type=Path, help="checkpoint (default: the embedded model)")
    parser.add_argument("--pairs", type=Path, default=TRAINING, help="where data/ and prose/ are")
    parser.add_argument("--device", help="cpu or cuda (default: CUDA where there is one)")
    parser.add_argument("--seed", type=int, default=Recipe.seed)
    parser.add_argument("--rank", type=int, default=Recipe.rank)
    parser.add_argument("--rate", type=float, default=Recipe.rate, help="highest learning rate")
    parser.add_argument(
        "--written", type=_positive, default=1.0,
        help="how often an epoch has each written answer (1)",
    )  # fmt: skip
    parser.add_argument("--products", choices=PRODUCTS, help="default: the device's fastest")
    parser.add_argument("--size", type=int, help="of a batch, in token ids (512; 4096 on a GPU)")
    return parser.parse_args()


def _positive(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not number > 0:
        raise argparse.ArgumentTypeError(f"{text} is no number above 0")
    return number


def _recipe(flags: argparse.Namespace, device: torch.device) -> Recipe:
    length, unit, size = PACES.get(device.type, PACES["cpu"])
    if flags.minutes is not None:
        length, unit = flags.minutes, "minutes"
    if flags.epochs is not None:
        length, unit = flags.epochs, "epochs"
    return Recipe(
        length,
        unit,
        flags.seed,
        flags.rank,
        flags.rate,
        size=flags.size or size,
        written=flags.written,
        products=flags.products or fast_products(device),
    )


def fast_products(device: torch.device) -> str:
    """What `device` multiplies fastest: 8-bit integers on a CPU without bfloat16."""
    if device.type == "cpu" and torch.cpu._is_vnni_supported() and not cpu_has_bfloat16():
        return "int8"
    return str(fast_dtype(device)).removeprefix("torch.")


def main() -> None:
    flags = _flags()
    with errors_told():
        _run(flags)


def _run(flags: argparse.Namespace) -> None:
    folder, device, team = RunFolder(flags.run), pick_device(flags.device), Team.of_process()
    recipe = _recipe(flags, device)
    path, tokenizer = open_base(flags.base)
    examples = [encode(pair, tokenizer) for pair in read_pairs(flags.pairs)]
    if not examples:
        sys.exit(f"no pairs in data/ and prose/ of {flags.pairs}")
    if shutil.which(os.environ.get("CXX", "g++")) is None:  # what torch.compile needs
        torch.compiler.set_stance("force_eager")
    if device.type == "cuda":
        torch.set_float32_matmul_precision("high")  # the adapter's own products in TF32
    torch.manual_seed(recipe.seed)  # where the adapter starts from
    student = Student(load_base(path, device), recipe.rank, recipe.dtype)
    if flags.start is not None:
        student.start_from(flags.start)
    run = Run(student, examples, recipe, team)
    if flags.resume and folder.begun:
        run.restore(folder)
    elif team.leads:
        folder.begin()
    if not team.leads:
        follow(run)
        return
    cost: dict[str, Any] = {"metered_from_step": run.position.step}
    with metered(cost):
        train(run, folder)
    text = json.dumps(summary(run, folder) | cost, indent=2) + "\n"
    folder.summary.write_text(text, encoding="utf-8")
    print(text, end="")


if __name__ == "__main__":
    main()
