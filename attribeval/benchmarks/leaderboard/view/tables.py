"""A leaderboard for a terminal and for the page: a row per method, a column per benchmark."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attribeval.benchmarks.leaderboard.fills import fill_table
from attribeval.report.terminal import terminal_width, text_table
from attribeval.results.comparisons import letters
from attribeval.results.numbers import number, rank_text

if TYPE_CHECKING:
    import pandas as pd

    from attribeval.results.result import Result


RANK = "mean rank"


def ordered_methods(result: Result) -> list[dict[str, Any]]:
    """Records of the methods' average ranks over all families, best first."""
    return [row for row in result.settings["average_ranks"] if row["family"] == "all"]


def headings(result: Result) -> list[str]:
    """Benchmarks with the arrow that says what is better."""
    return [_headed(label, result) for label in result.settings["benchmarks"]]


def wide_table(result: Result) -> pd.DataFrame:
    """One row per method, best average rank first: its average ranks, its cost, and each benchmark's value.

    Args:
        result: Of `Evaluator.compare`.

    Returns:
        Columns: method; mean rank; low, high (its interval); one per benchmark, (text, rank): value, rank and letters
        of the groups; seconds_per_image; MiB; kind.
    """
    import pandas as pd

    cells = {(row["method"], row["benchmark"]): row for row in result.table.to_dict("records")}
    benchmarks = result.settings["benchmarks"]
    rows = []
    for about in ordered_methods(result):
        name = about["method"]
        first = cells[name, benchmarks[0]]
        of_benchmarks = {_headed(label, result): _page_cell(cells[name, label]) for label in benchmarks}
        rows.append(
            {"method": name, RANK: about["value"], "low": about["low"], "high": about["high"]}
            | of_benchmarks
            | {
                "seconds_per_image": first["seconds_per_image"],
                "peak MiB": first["peak_memory_mib"],
                "kind": about["kind"],
            }
        )
    return pd.DataFrame(rows)


def leaderboard_text(result: Result, width: int | None = None) -> str:
    """The board, block by block of benchmarks as wide as the terminal; the summary says why cells failed.

    Args:
        result: Of `Evaluator.compare`.
        width: Columns of the terminal; None: asked, 120 in a pipe.

    Returns:
        Text. A cell is the value and the rank, and a star where it cannot be told apart from the best.
    """
    width = width or terminal_width() or 120
    cells = {(row["method"], row["benchmark"]): row for row in result.table.to_dict("records")}
    methods = ordered_methods(result)
    names = [_cut(row["method"], 34) for row in methods]
    left = [
        ["method", "mean rank", "ms/image", "MiB"],
        *[
            [
                name,
                rank_text(row["value"]),
                _over_thousand(cells[row["method"], result.settings["benchmarks"][0]]["seconds_per_image"]),
                _whole(cells[row["method"], result.settings["benchmarks"][0]]["peak_memory_mib"]),
            ]
            for name, row in zip(names, methods, strict=True)
        ],
    ]
    columns = []
    for label in result.settings["benchmarks"]:
        ranked = [cells[row["method"], label] for row in methods]
        best = letters(min(ranked, key=lambda row: (row["rank"] != row["rank"], row["rank"]))["group"])
        texts = [_cell(row, best) for row in ranked]
        columns.append([_headed(label, result), *texts])
    blocks, start = [], 0
    while start < len(columns):
        head = left if start == 0 else [[line[0]] for line in left]
        room = width - sum(max(map(len, texts)) + 2 for texts in zip(*head, strict=True))
        stop = start
        while stop < len(columns) and (stop == start or room >= max(map(len, columns[stop])) + 2):
            room -= max(map(len, columns[stop])) + 2
            stop += 1
        rows = [line + [column[i] for column in columns[start:stop]] for i, line in enumerate(head)]
        blocks.append(text_table(rows[0], rows[1:], right=range(1, len(rows[0]))))
        start = stop
    key = (
        "Value and rank (–: judged on few images); * cannot be told apart from the best; ! some images lack scores; "
        "↑ high, ↓ low is better."
    )
    return "\n\n".join([*blocks, key, *_fills(result, width)])


def _fills(result: Result, width: int) -> list[str]:
    """A block per benchmark that the board has under several fills: score and rank of each method under each."""
    blocks = []
    for name, group in result.settings.get("fills", {}).items():
        rows = [
            [
                _cut(row["method"], 34),
                *[f"{number(float(row[fill]))} {rank_text(row[f'rank, {fill}']):>4}" for fill in group],
            ]
            for row in fill_table(result).query("benchmark == @name").to_dict("records")
        ]
        text = text_table([name, *group], rows, right=range(1, len(group) + 1), width=width)
        blocks.append(f"What removed pixels become: score and rank by fill\n\n{text}")
    return blocks


def _headed(label: str, result: Result) -> str:
    return f"{_cut(label, 28)} {'↑' if result.settings['better'][label] == 'high' else '↓'}"


def _cell(row: dict[str, Any], best: set[str]) -> str:
    if row["value"] != row["value"]:
        return "failed" if row["error"] else "–"
    mark = "*" if letters(row["group"]) & best else " "
    return f"{number(float(row['value']))}{'!' if row['error'] else ' '}{_rank(row):>4}{mark}"


def _rank(row: dict[str, Any]) -> str:
    return "–" if row["rank"] != row["rank"] else f"{row['rank']:g}"


def _page_cell(row: dict[str, Any]) -> tuple[str, float]:
    """Text, and the rank to sort by."""
    if row["value"] != row["value"]:
        return ("failed" if row["error"] else "–"), float("nan")
    group = row["group"] if isinstance(row["group"], str) else ""
    return f"{number(float(row['value']))}\n#{_rank(row)} {group}{' !' if row['error'] else ''}", row["rank"]


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def _over_thousand(seconds: float) -> str:
    return number(1000 * float(seconds))


def _whole(value: float) -> str:
    return "–" if value != value else f"{value:.0f}"
