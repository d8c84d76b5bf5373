"""The average of adapters: their tensors' weighted mean, for runs that began alike.

Runs that share a beginning end near one another, and the mean of their weights answers better than
each of them (Wortsman et al. 2022, "Model soups"). Runs from other seeds have nothing in common to
average.

    python -m training.average RUN/adapter:0.4 OTHER/adapter:0.6 --out aira_cli/adapters/embedded
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Sequence
from pathlib import Path

from safetensors.torch import load_file, save_file
from torch import Tensor

from aira_cli.checkpoints.adapter import CONFIG, WEIGHTS

Part = tuple[Path, float]


def average(parts: Sequence[Part]) -> dict[str, Tensor]:
    """The mean of the adapters in folders, each by its weight, in float16.

    SystemExit where a folder has no adapter, or not all have the same tensors.
    """
    total = sum(weight for _, weight in parts)
    mean: dict[str, Tensor] = {}
    for number, (folder, weight) in enumerate(parts):
        path = folder / WEIGHTS
        if not path.is_file():
            raise SystemExit(f"{folder} holds no {WEIGHTS}")
        tensors = {
            name: tensor.float() * (weight / total) for name, tensor in load_file(path).items()
        }
        if number and _shapes(tensors) != _shapes(mean):
            raise SystemExit(f"{path} has not the tensors of {parts[0][0]}")
        mean = {name: tensor + mean[name] if number else tensor for name, tensor in tensors.items()}
    return {name: tensor.half() for name, tensor in mean.items()}


def _shapes(tensors: dict[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def _part(text: str) -> Part:
    folder, _, weight = text.rpartition(":")
    try:
        part = Path(folder), float(weight)
    except ValueError:
        part = Path(), 0.0
    if not folder or part[1] <= 0:
        raise argparse.ArgumentTypeError(f"{text} is not FOLDER:WEIGHT with a weight above 0")
    return part


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("parts", type=_part, nargs="+", metavar="FOLDER:WEIGHT")
    parser.add_argument("--out", type=Path, required=True, help="folder of the mean")
    flags = parser.parse_args()
    tensors = average(flags.parts)
    flags.out.mkdir(parents=True, exist_ok=True)
    partial = flags.out / f"{WEIGHTS}.partial"
    save_file(tensors, partial, {"format": "pt"})
    partial.replace(flags.out / WEIGHTS)
    first = flags.parts[0][0] / CONFIG
    if first.resolve() != (flags.out / CONFIG).resolve():
        shutil.copyfile(first, flags.out / CONFIG)


if __name__ == "__main__":
    main()
