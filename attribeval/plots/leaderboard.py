"""Pictures of a leaderboard: who stands where, who agrees with whom, and what a good rank costs.

Standing is lightness: the better, the darker, so that it reads in grey; the number in each cell says the rest.
"""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullFormatter, NullLocator

from attribeval.errors import AttribevalError, unknown
from attribeval.plots.style import INK, LINES, MUTED, ON_DARK, ON_LIGHT, new_figure
from attribeval.results.numbers import number, rank_text

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from attribeval.results.result import Result

_STANDING = LinearSegmentedColormap.from_list("standing", ["#fbfcfe", "#c9dbf0", "#7fa8d6", "#2f6db5", "#123a70"])
# Dark orange to white to dark blue; the numbers in the cells carry the sign where colour is lost.
_SIGNED = LinearSegmentedColormap.from_list(
    "agreement", ["#8a3b00", "#d98a3d", "#f6dcc0", "#fefefe", "#c9dbf0", "#5b8fca", "#123a70"]
)
_LONGEST = 36
_MARKS = (
    "darker is a better rank · number: mean over images · letters: methods that share one cannot be told apart · "
    "↑ high is better, ↓ low is better · italics: controls · ! scores of some images are missing · × none"
)
_PER_LINE = 12  # benchmarks beside each other before the board goes on below
_COLUMNS = {"method", "kind", "benchmark", "value", "low", "high", "rank", "group", "error"}


def plot_leaderboard(result: Result) -> Figure:
    """Methods × benchmarks: colour is the rank (darker is better), text the value and the letters of the groups.

    Methods are sorted by their average rank over families; benchmarks stand in their families; controls are in italics.

    Args:
        result: Of `Evaluator.compare`.

    Returns:
        matplotlib Figure.

    Raises:
        AttribevalError: If the table lacks a column or has no rows.
    """
    _check_table(result)
    methods, _ = _ordered(result)
    families = result.settings["families"]
    order = list(dict.fromkeys(families.values()))
    benchmarks = sorted(result.settings["benchmarks"], key=lambda label: order.index(families[label]))
    lines = -(-len(benchmarks) // _PER_LINE)
    parts = [benchmarks[k * len(benchmarks) // lines : (k + 1) * len(benchmarks) // lines] for k in range(lines)]
    wide, high = 0.78, 0.36
    names = max(len(_short(name)) for name in methods) * 0.078 + 0.3
    heads = min(max(len(_short(label)) + 2 for label in benchmarks), _LONGEST) * 0.06 + 0.75
    longest = max(map(len, parts)) + 1
    width = names + wide * longest + 1.3
    figure = new_figure(width, lines * (heads + high * len(methods) + 0.35) + 0.4)
    places = [np.array([0.0, *_places(part, families)]) for part in parts]
    right = max(x[-1] for x in places) + 0.56
    for ax, part, x in zip(figure.subplots(lines, 1, squeeze=False)[:, 0], parts, places, strict=True):
        _draw_board(ax, result, part, x)
        ax.set_xlim(-0.56, right)
    figure.supxlabel(textwrap.fill(_MARKS, int(width / 0.062)), fontsize=8, color=MUTED)
    return figure


def _draw_board(ax: Axes, result: Result, benchmarks: list[str], x: np.ndarray) -> None:
    """The average rank at x[0], and some of the benchmarks behind it."""
    methods, averages = _ordered(result)
    cells = {(row["method"], row["benchmark"]): row for row in result.table.to_dict("records")}
    for i, method in enumerate(methods):
        average = averages[i]
        _draw_cell(ax, x[0], i, np.nan if average is None else average, len(methods), None)
        for j, label in enumerate(benchmarks):
            row = cells[method, label]
            _draw_cell(ax, x[j + 1], i, row["rank"], len(methods), row)
    _draw_families(ax, x[1:], benchmarks, result.settings["families"], len(methods))
    ax.set_ylim(len(methods) - 0.45, -0.55)
    better = result.settings["better"]
    labels = ["average rank", *[f"{_short(label)} {'↑' if better[label] == 'high' else '↓'}" for label in benchmarks]]
    ax.set_xticks(x, labels, rotation=38, ha="left", rotation_mode="anchor", fontsize=8.5, color=INK)
    ax.xaxis.tick_top()
    _name_rows(ax, methods, result)
    _bare(ax)


def plot_benchmark(result: Result, benchmark: str) -> Figure:
    """The methods by one benchmark, best on top: the mean over images with its 95 % interval.

    Controls are squares and in italics. The arrow below points to where the better numbers are.

    Args:
        result: What `Evaluator.compare` returned.
        benchmark: Its label in the result.

    Returns:
        matplotlib Figure; methods without a number are named below it.

    Raises:
        AttribevalError: If the result is no leaderboard, has no such benchmark, or no method has a number by it.
    """
    _check_table(result)
    if benchmark not in result.settings["benchmarks"]:
        raise unknown("benchmark of this leaderboard", str(benchmark), result.settings["benchmarks"])
    high = result.settings["better"][benchmark] == "high"
    of_benchmark = result.table[result.table["benchmark"] == benchmark]
    rows = of_benchmark[np.isfinite(of_benchmark["value"])].sort_values("value", ascending=not high, kind="stable")
    if rows.empty:
        raise AttribevalError(
            f"Expected a method with a number by {benchmark}. Received none: {_reasons(of_benchmark)}."
        )
    figure = new_figure(6.0, 0.27 * len(rows) + 1.0)
    ax = figure.subplots()
    for place, row in enumerate(rows.to_dict("records")):
        control = row["kind"] == "control"
        colour = MUTED if control else LINES[0][0]
        ax.hlines(place, row["low"], row["high"], color=colour, lw=1.4, alpha=0.6, zorder=2)
        ax.plot(row["value"], place, marker="s" if control else "o", ms=6, mfc="white" if control else colour,
                mec=colour, mew=1.2, ls="none", zorder=3)  # fmt: skip
    _name_rows(ax, list(rows["method"]), result)
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.set_xlabel(f"{_short(benchmark)}: {'better →' if high else '← better'}", fontsize=9, color=INK, parse_math=False)
    ax.grid(axis="x", color="#e4e7ec", lw=0.8)
    ax.set_axisbelow(True)
    for side in ("top", "right", "left"):
        ax.spines[side].set_visible(False)
    ax.tick_params(axis="x", labelsize=8.5, color="#aab2bf", labelcolor=INK)
    ax.tick_params(axis="y", length=0)
    without = [name for name in of_benchmark["method"] if name not in set(rows["method"])]
    note = "bars: 95 % interval over images · squares: controls"
    note += f"\nno number: {', '.join(map(_short, without))}" if without else ""
    figure.supxlabel(note, fontsize=8, color=MUTED, parse_math=False)
    return figure


def plot_benchmark_agreement(result: Result) -> Figure:
    """Kendall's τ between the orders in which benchmarks put the methods, with its interval over images.

    Args:
        result: What `Evaluator.compare` returned.

    Returns:
        matplotlib Figure.
    """
    families = result.settings["families"]
    order = list(dict.fromkeys(families.values()))
    labels = result.settings["benchmarks"]
    places = sorted(range(len(labels)), key=lambda j: order.index(families[labels[j]]))
    note = "Kendall's τ over methods (controls left out); below, small: 95 % interval over images"
    return _matrix(result, "tau", [labels[j] for j in places], places, note)


def plot_map_agreement(result: Result) -> Figure:
    """Spearman's correlation between the heat maps of two methods, mean over images; methods by average rank.

    Args:
        result: What `Evaluator.compare` returned.

    Returns:
        matplotlib Figure.
    """
    methods, _ = _ordered(result)
    places = [result.settings["methods"].index(name) for name in methods]
    note = "rank correlation of the heat maps of the same image, mean over images"
    return _matrix(result, "maps", methods, places, note, intervals=False)


def plot_cost(result: Result) -> Figure:
    """Seconds per image (logarithmic) against the average rank over families; intervals of ranks over images.

    Args:
        result: What `Evaluator.compare` returned.

    Returns:
        matplotlib Figure.
    """
    table = result.table.drop_duplicates("method").set_index("method")
    rows = [row for row in result.settings["average_ranks"] if row["family"] == "all" and row["value"] is not None]
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
    ax.grid(color="#e4e7ec", lw=0.8)
    ax.set_axisbelow(True)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    ax.tick_params(labelsize=8.5, color="#aab2bf", labelcolor=INK)
    figure.supxlabel("ringed: no method is both quicker and better · squares: controls · bars: 95 % interval of the "
                     "rank, over images", fontsize=8, color=MUTED)  # fmt: skip
    return figure


def leaderboard_pictures(result: Result) -> dict[str, Figure]:
    """What a report shows beside the board, by name.

    Args:
        result: What `Evaluator.compare` returned.

    Returns:
        Figures by title.
    """
    pictures = {}
    if len(result.settings["benchmarks"]) > 1 and np.isfinite(result.arrays["tau"]).any():
        pictures["Agreement between benchmarks"] = plot_benchmark_agreement(result)
    if np.isfinite(result.arrays["maps"]).any():
        pictures["Agreement between maps"] = plot_map_agreement(result)
    ranked = [row for row in result.settings["average_ranks"] if row["value"] is not None]
    if ranked and result.table["seconds_per_image"].notna().any():
        pictures["Cost and average rank"] = plot_cost(result)
    return pictures


def _check_table(result: Result) -> None:
    missing = _COLUMNS - set(result.table.columns)
    if missing or result.table.empty:
        raise AttribevalError(f"Expected the table of a leaderboard. Received one without {sorted(missing) or 'rows'}.")


def _reasons(rows: pd.DataFrame) -> str:
    return "; ".join(dict.fromkeys(filter(None, rows["error"]))) or "no image has one"


def _ordered(result: Result) -> tuple[list[str], list[float | None]]:
    rows = [row for row in result.settings["average_ranks"] if row["family"] == "all"]
    return [row["method"] for row in rows], [row["value"] for row in rows]


def _places(benchmarks: list[str], families: dict[str, str]) -> list[float]:
    """Where columns stand: one apart, with a gap between families and after the averages."""
    places, x, last = [], 0.25, None
    for label in benchmarks:
        x += 1.0 + (0.22 if last is not None and families[label] != last else 0)
        places.append(x)
        last = families[label]
    return places


def _draw_cell(ax: Axes, x: float, y: float, rank: float, largest: int, row: dict[str, Any] | None) -> None:
    share = np.nan if not np.isfinite(rank) else 1 - (rank - 1) / max(largest - 1, 1)
    colour = "#ffffff" if share != share else _STANDING(share)
    ax.add_patch(_rectangle(x - 0.49, y - 0.47, 0.98, 0.94, colour, hatch="////" if share != share else ""))
    ink = INK if share != share else ON_DARK if share > 0.62 else ON_LIGHT
    if row is None:
        ax.text(x, y, rank_text(rank), ha="center", va="center", fontsize=8.5, color=ink,
                fontweight="bold")  # fmt: skip
        return
    if row["value"] != row["value"]:
        ax.text(x, y, "×" if row["error"] else "–", ha="center", va="center", fontsize=9, color=INK)
        return
    mark = " !" if row["error"] else ""
    group = row["group"] if isinstance(row["group"], str) else ""
    group = group if len(group) <= 8 else group[:7] + "…"
    ax.text(x, y - 0.14, number(float(row["value"])) + mark, ha="center", va="center", fontsize=8, color=ink)
    ax.text(x, y + 0.24, group, ha="center", va="center", fontsize=6.2, color=ink)


def _draw_families(ax: Axes, x: np.ndarray, benchmarks: list[str], families: dict[str, str], rows: int) -> None:
    """A line and a name under the columns of each family."""
    for family in dict.fromkeys(families[label] for label in benchmarks):
        places = [place for place, label in zip(x, benchmarks, strict=True) if families[label] == family]
        left, right = min(places) - 0.46, max(places) + 0.46
        ax.plot([left, right], [rows - 0.42, rows - 0.42], color=INK, lw=1.4, clip_on=False, solid_capstyle="butt")
        text = family.replace(" ", "\n") if right - left < 1.2 else family
        text = text if right - left > 0.076 * max(map(len, text.split("\n"))) else text[:9] + "…"
        ax.text((left + right) / 2, rows - 0.3, text, ha="center", va="top", fontsize=7.2, color=INK, clip_on=False)


def _matrix(
    result: Result, name: str, labels: list[str], places: list[int], note: str, intervals: bool = True
) -> Figure:
    """A symmetric matrix of agreements, the lower half and no diagonal."""
    pick = np.ix_(places, places)
    values, low, high = (np.asarray(result.arrays[key])[pick] for key in (name, f"{name}_low", f"{name}_high"))
    n = len(labels)
    cell = 0.56 if intervals else 0.42
    names = max(len(_short(label)) for label in labels) * 0.072 + 0.4
    figure = new_figure(names + cell * n + 0.9, names * 0.72 + cell * 0.75 * n + 0.7)
    ax = figure.subplots()
    for i in range(n):
        for j in range(i):
            value = values[i, j]
            known = np.isfinite(value)
            colour = _SIGNED((value + 1) / 2) if known else "#ffffff"
            ax.add_patch(_rectangle(j - 0.48, i - 0.46, 0.96, 0.92, colour, hatch="" if known else "////"))
            ink = INK if not known else ON_DARK if abs(value) > 0.6 else ON_LIGHT
            shift = 0.16 if intervals and known else 0
            text = _signed(value) if known else "–"
            ax.text(j, i - shift, text, ha="center", va="center", fontsize=7.6, color=ink)
            if intervals and known and np.isfinite(low[i, j]):
                ends = f"{_signed(low[i, j])} {_signed(high[i, j])}"
                ax.text(j, i + 0.24, ends, ha="center", va="center", fontsize=4.9, color=ink)
    ax.set_xlim(-0.55, n - 1 - 0.45)
    ax.set_ylim(n - 0.45, 0.45)
    ax.set_xticks(range(n - 1), [_short(label) for label in labels[:-1]], rotation=38, ha="right",
                  rotation_mode="anchor", fontsize=8, color=INK)  # fmt: skip
    ax.set_yticks(range(1, n), [_short(label) for label in labels[1:]], fontsize=8, color=INK)
    for label in [*ax.get_xticklabels(), *ax.get_yticklabels()]:
        label.set_parse_math(False)
    _bare(ax)
    figure.supxlabel(note, fontsize=8, color=MUTED)
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
        text = _short(row["method"])
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


def _name_rows(ax: Axes, methods: list[str], result: Result) -> None:
    ax.set_yticks(range(len(methods)), [_short(name) for name in methods], fontsize=8.5, color=INK)
    for label, name in zip(ax.get_yticklabels(), methods, strict=True):
        label.set_parse_math(False)
        label.set_fontstyle("italic" if result.settings["kinds"][name] == "control" else "normal")
    for label in ax.get_xticklabels():
        label.set_parse_math(False)


def _rectangle(x: float, y: float, width: float, height: float, colour: Any, hatch: str = "") -> Any:
    from matplotlib.patches import Rectangle

    edge = "#d0d5dd" if hatch else "#e4e7ec"
    return Rectangle((x, y), width, height, facecolor=colour, edgecolor=edge, lw=0.5, hatch=hatch)


def _bare(ax: Axes) -> None:
    ax.tick_params(length=0, pad=3)
    for spine in ax.spines.values():
        spine.set_visible(False)


def _signed(value: float) -> str:
    return number(float(value)) if abs(value) < 0.9995 else f"{value:.0f}".replace("-", "−")


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
