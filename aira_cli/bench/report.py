"""What the rounds come to: medians, spread, ratios pair by pair, and all of it as one object."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from aira_cli.bench.machine import cores, cpu_name, versions
from aira_cli.bench.orders import AIRA
from aira_cli.bench.rounds import Entry, Results, Settings

#: Of these figures more is better; of all others (seconds, bytes) less.
_SPEED = "_per_second"


@dataclass(frozen=True)
class Figure:
    """A figure over all rounds."""

    median: float
    least: float
    most: float


@dataclass(frozen=True)
class Ratio:
    """Our median divided by another's; `best` marks the better of one contender's types."""

    figure: str
    contender: str
    dtype: str | None
    ratio: float
    best: bool


def figure_of(values: Sequence[float]) -> Figure:
    return Figure(statistics.median(values), min(values), max(values))


def figures(entry: Entry) -> dict[str, Figure]:
    """Each figure of `entry` over the rounds that have it, in the order they were measured."""
    names = dict.fromkeys(name for measured in entry.rounds for name in measured)
    return {
        name: figure_of([measured[name] for measured in entry.rounds if name in measured])
        for name in names
    }


def ratios(results: Results) -> list[Ratio]:
    """Ours against every other contender, for every figure that both have."""
    ours = figures(next(entry for entry in results.entries if entry.contender == AIRA))
    found = []
    for name, own in ours.items():
        rivals = [
            (entry, theirs[name])
            for entry in results.entries
            if entry.contender != AIRA and name in (theirs := figures(entry))
        ]
        best = _best_of_each(name, rivals)
        found += [
            Ratio(name, entry.contender, entry.dtype, own.median / theirs.median, entry in best)
            for entry, theirs in rivals
        ]
    return found


def _best_of_each(name: str, rivals: Sequence[tuple[Entry, Figure]]) -> list[Entry]:
    """For each contender, which of its number types did best."""
    ranked = sorted(rivals, key=lambda pair: pair[1].median, reverse=name.endswith(_SPEED))
    best: dict[str, Entry] = {}
    for entry, _ in ranked:
        best.setdefault(entry.contender, entry)
    return list(best.values())


def start_over_import(results: Results) -> float | None:
    """By how many seconds our start exceeds `import torch`; None where no start was measured."""
    start = figures(results.entries[0]).get("start_seconds")
    if start is None or not results.import_torch_seconds:
        return None
    return start.median - statistics.median(results.import_torch_seconds)


def results_object(results: Results) -> dict[str, Any]:
    """One subject's results as plain values."""
    found: dict[str, Any] = {
        "name": results.subject,
        "random_weights": results.random,
        "left_out": results.left_out,
        "first_load_seconds": results.first_load_seconds,
        "contenders": [_entry_object(entry) for entry in results.entries],
        "ratios": [asdict(ratio) for ratio in ratios(results)],
    }
    if results.perplexities:
        found["perplexities"] = [asdict(row) for row in results.perplexities]
    over = start_over_import(results)
    if over is not None:
        found["import_torch_seconds"] = results.import_torch_seconds
        found["start_over_import_torch_seconds"] = over
    return found


def _entry_object(entry: Entry) -> dict[str, Any]:
    return {
        "name": entry.name,
        "contender": entry.contender,
        "dtype": entry.dtype,
        "checkpoint_bytes": entry.checkpoint_bytes,
        "rounds": entry.rounds,
        "figures": {name: asdict(figure) for name, figure in figures(entry).items()},
    }


def machine_object(described: Mapping[str, Any]) -> dict[str, Any]:
    """The processor, its cores, the device and the versions of what was measured."""
    return {"cpu": cpu_name(), "cores": cores(), **described, "versions": versions()}


def settings_object(settings: Settings) -> dict[str, Any]:
    return asdict(settings)
