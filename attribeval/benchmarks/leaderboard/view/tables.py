"""A leaderboard for a terminal and for the page: a row per method, a column per benchmark."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attribeval.benchmarks.leaderboard.fills import fill_table
from attribeval.benchmarks.leaderboard.view.parts import ordered
from attribeval.report.terminal import terminal_width, text_table
from attribeval.results.comparisons import letters
from attribeval.results.numbers import cut, missing, number, rank_text

if TYPE_CHECKING:
    import pandas as pd

    from attribeval.results.result import Result

RANK = "mean rank"


def headings(result: Result) -> list[str]:
    """Benchmarks with the arrow that says what is better."""
    better = result.settings["better"]
    return [f"{cut(label, 28)} {'↑' if better[label] == 'high' else '↓'}" for label in result.settings["benchmarks"]]


def wide_table(result: Result) -> pd.DataFrame:
    """One row per method, best average rank first.

    Columns: method; mean rank; low, high (its interval); one per benchmark, (text, rank): value, rank and letters of
    the groups; seconds_per_image; peak MiB; kind.
    """
    import pandas as pd

    rows = []
    for about, cells in _cells(result):
        rows.append(
            {"method": about["method"], RANK: about["value"], "low": about["low"], "high": about["high"]}
            | dict(zip(headings(result), map(_page_cell, cells), strict=True))
            | {"seconds_per_image": cells[0]["seconds_per_image"], "peak MiB": cells[0]["peak_memory_mib"]}
            | {"kind": about["kind"]}
        )
    return pd.DataFrame(rows)


def leaderboard_text(result: Result, width: int | None = None) -> str:
    """The board for a terminal of so many columns (None: asked, 120 in a pipe); the summary says why cells failed.

    A cell is the value and the rank, and a star where it cannot be told apart from the best.
    """
    width = width or terminal_width() or 120
    rows = _cells(result)
    of_benchmarks = zip(*[cells for _, cells in rows], strict=True)
    best = [
        letters(min(column, key=lambda cell: (missing(cell["rank"]), cell["rank"]))["group"])
        for column in of_benchmarks
    ]
    texts = [
        [
            cut(about["method"], 34),
            rank_text(about["value"]),
            number(1000 * float(cells[0]["seconds_per_image"])),
            rank_text(cells[0]["peak_memory_mib"], 0),
            *map(_cell, cells, best),
        ]
        for about, cells in rows
    ]
    header = ["method", "mean rank", "ms/image", "MiB", *headings(result)]
    board = text_table(header, texts, right=range(1, len(header)), width=width)
    key = (
        "Value and rank (–: judged on few images); * cannot be told apart from the best; ! some images lack scores; "
        "↑ high, ↓ low is better."
    )
    return "\n\n".join([board, key, *_fills(result, width)])


def _cells(result: Result) -> list[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Of each method, best first, its average rank and its rows of the table by benchmark."""
    cells = {(row["method"], row["benchmark"]): row for row in result.table.to_dict("records")}
    return [(one, [cells[one["method"], label] for label in result.settings["benchmarks"]]) for one in ordered(result)]


def _fills(result: Result, width: int) -> list[str]:
    """A block per benchmark that the board has under several fills: score and rank of each method under each."""
    blocks = []
    for name, group in result.settings.get("fills", {}).items():
        rows = [
            [
                cut(row["method"], 34),
                *[f"{number(float(row[fill]))} {rank_text(row[f'rank, {fill}']):>4}" for fill in group],
            ]
            for row in fill_table(result).query("benchmark == @name").to_dict("records")
        ]
        text = text_table([name, *group], rows, right=range(1, len(group) + 1), width=width)
        blocks.append(f"What removed pixels become: score and rank by fill\n\n{text}")
    return blocks


def _cell(row: dict[str, Any], best: set[str]) -> str:
    if missing(row["value"]):
        return "failed" if row["error"] else "–"
    mark = "*" if letters(row["group"]) & best else " "
    return f"{number(float(row['value']))}{'!' if row['error'] else ' '}{_rank(row):>4}{mark}"


def _rank(row: dict[str, Any]) -> str:
    return "–" if missing(row["rank"]) else f"{row['rank']:g}"


def _page_cell(row: dict[str, Any]) -> tuple[str, float]:
    """Text, and the rank to sort by."""
    if missing(row["value"]):
        return ("failed" if row["error"] else "–"), float("nan")
    group = row["group"] if isinstance(row["group"], str) else ""
    return f"{number(float(row['value']))}\n#{_rank(row)} {group}{' !' if row['error'] else ''}", row["rank"]
