"""What `aira bench` shows a person: a table for each model's figures, and what they come to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from aira_cli.bench.orders import LLAMA_CPP, TRANSFORMERS
from aira_cli.bench.report import Figure, Ratio, figures, ratios, start_over_import
from aira_cli.bench.rounds import MEMORY_SAMPLES, Entry, Results, Settings, TextSurprise
from aira_cli.cli.boundary import Runtime
from aira_cli.i18n import Translate
from aira_cli.ui.figures import FigureTable, print_figure_table
from aira_cli.ui.style import decimal
from aira_cli.ui.tables import size


def print_results(
    runtime: Runtime,
    results: Results,
    settings: Settings,
    machine: Mapping[str, Any],
    *,
    markdown: bool,
) -> None:
    """One model's tables on stdout."""
    t, stdout = runtime.t, runtime.environment.stdout
    title = f"{results.subject} ({t('bench.random')})" if results.random else results.subject
    heads = [t("bench.figure"), *(entry.name for entry in results.entries)]
    lines = [*_ratio_lines(t, results, settings), *_notes(t, results, settings, machine)]
    table = FigureTable(title, heads, list(_rows(t, results.entries, settings)), lines)
    print_figure_table(stdout, table, markdown=markdown)
    if results.perplexities:
        print_figure_table(stdout, _perplexity_table(t, results), markdown=markdown)


def _rows(t: Translate, entries: Sequence[Entry], settings: Settings) -> Iterator[list[str]]:
    """A row for each figure that anybody has."""
    yield [t("bench.checkpoint"), *(size(entry.checkpoint_bytes, t) for entry in entries)]
    measured = [figures(entry) for entry in entries]
    for name, label in _labels(t, settings).items():
        if any(name in found for found in measured):
            yield [label, *(_cell(t, name, found.get(name)) for found in measured)]


def _labels(t: Translate, settings: Settings) -> dict[str, str]:
    """The figures in the order of the table, in words with their units."""
    labels = {
        "memory_bytes": t("bench.memory", samples=MEMORY_SAMPLES),
        "device_memory_bytes": t("bench.device_memory", samples=MEMORY_SAMPLES),
        "load_seconds": t("bench.load"),
        "start_seconds": t("bench.start"),
        "prefill_tokens_per_second": t("bench.prefill", tokens=settings.prefill_tokens),
    }
    for n in settings.samples:
        key = "bench.decode_one" if n == 1 else "bench.decode"
        labels[f"decode_{n}_tokens_per_second"] = t(key, samples=n)
    return labels


def _cell(t: Translate, name: str, figure: Figure | None) -> str:
    """Median and, where there were several rounds, least and most; bytes were measured once."""
    if figure is None:
        return "–"
    if name.endswith("_bytes"):
        return size(int(figure.median), t)
    median, least, most = (_number(n, t) for n in (figure.median, figure.least, figure.most))
    return median if figure.least == figure.most else f"{median} ({least}–{most})"


def _number(value: float, t: Translate) -> str:
    """Three digits, or whole tokens and seconds where they are more."""
    places = max(0, 2 - max(0, len(str(int(value))) - 1))
    return decimal(f"{value:.{places}f}", t)


def _ratio_lines(t: Translate, results: Results, settings: Settings) -> Iterator[str]:
    """For each figure, ours as so many times the best of every contender's; memory of each."""
    pairs = ratios(results)
    for name, label in _labels(t, settings).items():
        each = name.endswith("_bytes")
        told = [_pair(t, pair) for pair in pairs if pair.figure == name and (pair.best or each)]
        if told:
            yield f"{results.subject}, {label}: {', '.join(told)}"


def _pair(t: Translate, ratio: Ratio) -> str:
    rival = f"{ratio.contender} ({ratio.dtype})" if ratio.dtype else ratio.contender
    return f"{decimal(f'{ratio.ratio:.2f}', t)} × {rival}"


def _notes(
    t: Translate, results: Results, settings: Settings, machine: Mapping[str, Any]
) -> Iterator[str]:
    """How the figures came about, and what they leave out."""
    over = start_over_import(results)
    if over is not None:
        yield t("bench.over_import", seconds=decimal(f"{over:+.2f}", t))
    rivals = {entry.contender for entry in results.entries}
    if TRANSFORMERS in rivals:
        yield t("bench.cards_way")
    if LLAMA_CPP in rivals:
        yield t("bench.no_sampling")
    if LLAMA_CPP in results.left_out:
        yield t("bench.no_gguf", name=results.subject)
    if not results.random:
        yield t("bench.first_start")
    yield t(
        "bench.how",
        cpu=machine["cpu"], threads=settings.threads, device=_device(machine),
        kernels=machine["kernels"],
        versions=", ".join(f"{name} {number}" for name, number in machine["versions"].items()),
        rounds=settings.rounds, prompt=settings.prompt_tokens, new=settings.new_tokens,
    )  # fmt: skip


def _device(machine: Mapping[str, Any]) -> str:
    device = str(machine["device"])
    return device if device == "cpu" else f"{device} ({machine['device_name']})"


def _perplexity_table(t: Translate, results: Results) -> FigureTable:
    found = [row for row in results.perplexities if row.perplexity is not None]
    rows = [[row.dtype or t("bench.stored"), decimal(f"{row.perplexity:.3f}", t)] for row in found]
    how = {(row.predicted_tokens, row.window) for row in found}
    lines = [t("bench.windows", tokens=tokens, window=window) for tokens, window in how]
    lines += [_left_out(t, row) for row in results.perplexities if row.error]
    heads = [t("bench.format"), t("bench.perplexity")]
    return FigureTable(f"{results.subject}: {t('bench.perplexity')}", heads, rows, lines)


def _left_out(t: Translate, row: TextSurprise) -> str:
    reason = t(f"error.{row.error}", **row.error_fields).partition("\n")[0]
    return t("bench.format_left_out", format=row.dtype, reason=reason)
