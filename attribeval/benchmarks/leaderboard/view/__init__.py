"""How a leaderboard is shown: a row per method, a column per benchmark."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attribeval.benchmarks.leaderboard.view.agreement import plot_benchmark_agreement, plot_map_agreement
from attribeval.benchmarks.leaderboard.view.board import plot_leaderboard
from attribeval.benchmarks.leaderboard.view.cost import plot_cost
from attribeval.benchmarks.leaderboard.view.tables import RANK as MEAN_RANK
from attribeval.benchmarks.leaderboard.view.tables import headings, leaderboard_text, wide_table
from attribeval.report.view import Column, View
from attribeval.results.numbers import RANK

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from attribeval.results.result import Result


def leaderboard_pictures(result: Result) -> dict[str, Figure]:
    """What a report shows beside the board, by name."""
    pictures = {}
    if len(result.settings["benchmarks"]) > 1 and np.isfinite(result.arrays["tau"]).any():
        pictures["Agreement between benchmarks"] = plot_benchmark_agreement(result)
    if np.isfinite(result.arrays["maps"]).any():
        pictures["Agreement between maps"] = plot_map_agreement(result)
    ranked = [row for row in result.settings["average_ranks"] if row["value"] is not None]
    if ranked and result.table["seconds_per_image"].notna().any():
        pictures["Cost and average rank"] = plot_cost(result)
    return pictures


def _columns(result: Result) -> dict[str, Column]:
    """A cell of a benchmark sorts by its rank, so that low is better for all."""
    hidden = dict.fromkeys(("peak MiB", "kind"), Column(main=False))
    return {MEAN_RANK: Column(RANK, "low"), **dict.fromkeys(headings(result), Column(better="low")), **hidden}


VIEWS = {
    "leaderboard": View(
        "Leaderboard of methods",
        scores="benchmark",
        columns=_columns,
        table=wide_table,
        terminal=leaderboard_text,
        plot=plot_leaderboard,
        pictures=leaderboard_pictures,
        notes=(
            "#2 a: the second rank in this benchmark; methods that share a letter cannot be told apart (paired tests, "
            "corrected for all pairs).",
            "#–: judged on too few images for a rank. !: scores of some images are missing. ↑ high, ↓ low is better.",
        ),
        file="leaderboard",
        page="Leaderboard",
        unshown=("average_ranks",),
    )
}
