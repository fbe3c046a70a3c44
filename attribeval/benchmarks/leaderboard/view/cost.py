"""What a good rank costs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullFormatter, NullLocator

from attribeval.benchmarks.leaderboard.view.parts import ordered, short
from attribeval.errors import AttribevalError
from attribeval.plots.style import INK, LINES, MUTED, dress, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from attribeval.results.result import Result


def plot_cost(result: Result) -> Figure:
    """Seconds per image (logarithmic) against the average rank over families; intervals of ranks over images."""
    table = result.table.drop_duplicates("method").set_index("method")
    rows = [row for row in ordered(result) if row["value"] is not None]
    rows = [row for row in rows if np.isfinite(table.loc[row["method"], "seconds_per_image"])]
    if not rows:
        raise AttribevalError("Expected a method with a rank and a cost. Received none.")
    seconds = np.maximum([table.loc[row["method"], "seconds_per_image"] for row in rows], 1e-6)
    ranks = np.array([row["value"] for row in rows])
    figure = new_figure(9.6, max(4.6, 0.27 * len(rows) + 1.4))
    ax = figure.subplots()
    ax.set_xscale("log")
    for row, cost, rank in zip(rows, seconds, ranks, strict=True):
        control = row["kind"] == "control"
        colour = MUTED if control else LINES[0][0]
        ax.vlines(cost, row["low"], row["high"], color=colour, lw=1.0, alpha=0.55, zorder=2)
        ax.plot(cost, rank, marker="s" if control else "o", ms=6, mfc="white" if control else colour, mec=colour,
                mew=1.2, ls="none", zorder=3)  # fmt: skip
    low, high = seconds.min() / 1.6, seconds.max() * 1.6
    ax.set_xlim(low, high)
    bottom, top = max(row["high"] for row in rows), min(row["low"] for row in rows)
    margin = 0.05 * (bottom - top) + 0.2
    ax.set_ylim(bottom + margin, top - margin)
    _name_points(ax, rows, seconds, ranks)
    for k in range(len(ranks)):
        better = (seconds <= seconds[k]) & (ranks <= ranks[k]) & (np.arange(len(ranks)) != k)
        if not better.any():
            ax.plot(seconds[k], ranks[k], marker="o", ms=12, mfc="none", mec=INK, mew=0.9, ls="none", zorder=4)
    ticks = [value for value in (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1, 10, 100, 1000) if low <= value <= high]
    ax.xaxis.set_major_locator(FixedLocator(ticks))
    ax.set_xticks(ticks, [f"{value:g} s" if value >= 1 else f"{1000 * value:g} ms" for value in ticks])
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xlabel("time of explaining one image", fontsize=9, color=INK)
    ax.set_ylabel("average rank over families (1 is best)", fontsize=9, color=INK)
    dress(ax, "both")
    figure.supxlabel("ringed: no method is both quicker and better · squares: controls · bars: 95 % interval of the "
                     "rank, over images", fontsize=8, color=MUTED)  # fmt: skip
    return figure


def _name_points(ax: Axes, rows: list[dict[str, Any]], seconds: np.ndarray, ranks: np.ndarray) -> None:
    """Names beside points; each takes the first place around its point where it covers no other name or point."""
    figure = ax.figure
    figure.canvas.draw()
    to_pixels = ax.transData.transform
    scale = figure.dpi / 72
    points = to_pixels(np.column_stack([seconds, ranks]))
    left, right = ax.bbox.x0, ax.bbox.x1
    taken: list[tuple[float, float, float, float]] = [
        (x - 5 * scale, y - 5 * scale, x + 5 * scale, y + 5 * scale) for x, y in points
    ]
    for row, (x, y) in zip(rows, points, strict=True):
        text = short(row["method"])
        width, height = 4.3 * scale * len(text), 9.5 * scale
        best: Any = None
        for rise in (0, 10, -10, 19, -19, 28, -28, 38, -38, 48, -48):
            for side in (1, -1):
                start = x + 8 * scale if side > 0 else x - 8 * scale - width
                box = (start, y + rise * scale - height / 2, start + width, y + rise * scale + height / 2)
                inside = box[0] >= left and box[2] <= right and box[1] >= ax.bbox.y0 and box[3] <= ax.bbox.y1
                overlap = sum(_overlap(box, other) for other in taken) + (0 if inside else 1e6)
                if best is None or overlap < best[0]:
                    best = (overlap, side, rise, box)
                if overlap == 0:
                    break
            if best[0] == 0:
                break
        _, side, rise, box = best
        taken.append(box)
        line = {"arrowstyle": "-", "color": "#98a2b3", "lw": 0.6, "shrinkA": 0, "shrinkB": 4} if rise else None
        note = ax.annotate(
            text, (seconds[rows.index(row)], row["value"]), xytext=(8 * side, rise), textcoords="offset points",
            ha="left" if side > 0 else "right", va="center", fontsize=7.6, color=INK, arrowprops=line, zorder=5,
            style="italic" if row["kind"] == "control" else "normal",
        )  # fmt: skip
        note.set_parse_math(False)


def _overlap(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    return max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
