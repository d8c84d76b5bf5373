"""`aira bench --history N`: how long a history of N turns takes to record, list and search."""

from __future__ import annotations

from dataclasses import asdict

from aira_cli.bench.long_history import (
    ANSWERS,
    FREQUENT,
    LISTED,
    RARE,
    TURNS_OF_A_CONVERSATION,
    WORDS_OF_AN_ANSWER,
    measure_history,
)
from aira_cli.bench.machine import cpu_name
from aira_cli.bench.report import Figure
from aira_cli.cli.boundary import Runtime
from aira_cli.i18n import Translate
from aira_cli.printable import printable, printable_json
from aira_cli.ui.figures import FigureTable, print_figure_table
from aira_cli.ui.style import decimal
from aira_cli.ui.tables import size


def bench_history(
    runtime: Runtime, turns: int, rounds: int, *, as_json: bool, markdown: bool
) -> None:
    """Measures and shows it."""
    t, environment = runtime.t, runtime.environment

    def announce() -> None:
        line = t("bench.history_writing", turns=turns)
        print(printable(line), file=environment.stderr, flush=True)

    found = measure_history(turns, rounds, announce)
    if as_json:
        figures = {name: asdict(figure) for name, figure in found.items()}
        content = {"turns": turns, "rounds": rounds, "figures": figures}
        print(printable_json(content), file=environment.stdout)
        return
    labels = {
        "file_bytes": t("bench.history_file"),
        "record_seconds": t("bench.history_record"),
        "open_seconds": t("bench.history_open"),
        "list_seconds": t("bench.history_list", listed=LISTED),
        "rare_seconds": t("bench.history_rare", word=RARE),
        "frequent_seconds": t("bench.history_frequent", word=FREQUENT, listed=LISTED),
        "read_seconds": t("bench.history_read", turns=TURNS_OF_A_CONVERSATION),
    }
    rows = [[label, _cell(t, name, found[name])] for name, label in labels.items()]
    how = t("bench.history_how", answers=ANSWERS, words=WORDS_OF_AN_ANSWER, rounds=rounds,
            cpu=cpu_name())  # fmt: skip
    table = FigureTable(
        t("bench.history_title", turns=turns), [t("bench.figure"), "aira"], rows, [how]
    )
    print_figure_table(environment.stdout, table, markdown=markdown)


def _cell(t: Translate, name: str, figure: Figure) -> str:
    if name.endswith("_bytes"):
        return size(int(figure.median), t)
    parts = (f"{seconds * 1000:.1f}" for seconds in (figure.median, figure.least, figure.most))
    median, least, most = (decimal(part, t) for part in parts)
    return f"{median} ({least}–{most})"
