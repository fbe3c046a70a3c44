"""How the page and the tables for papers show each study: heading, columns that matter, which is better, marks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from attribeval.errors import unknown
from attribeval.report import leaderboard_terminal, roar_terminal, sanity_terminal
from attribeval.report.cells import GAIN, RANK, Shown, show
from attribeval.results.numbers import share

if TYPE_CHECKING:
    import pandas as pd

    from attribeval.results.result import Result

Better = str | Mapping[str, str]  # "high" or "low", or one of them by the row's mode


@dataclass(frozen=True)
class View:
    """One study.

    Attributes:
        title: Of its section.
        table: Result → the table to show; None: as it is kept.
        main: (result, headings) → those shown without being asked for.
        better: Result → heading → which numbers are better, for columns in which one is.
        notes: What marks in the cells mean.
    """

    title: str
    table: Callable[[Result], pd.DataFrame] | None = None
    main: Callable[[Result, list[str]], list[str]] = field(default=lambda result, names: names)
    better: Callable[[Result], dict[str, Better]] = field(default=lambda result: {})
    notes: tuple[str, ...] = ()


def view_of(result: Result) -> View:
    """How a result is shown; one of an unknown benchmark with its table as it is."""
    return _VIEWS.get(result.benchmark, View(result.benchmark))


def shown_table(result: Result, columns: Sequence[str] | None = None) -> Shown:
    """A result's table, formatted.

    Args:
        result: Of any benchmark.
        columns: Headings, in the order wanted; None: all.

    Returns:
        The cells.

    Raises:
        AttribevalError: If there is no such column.
    """
    view = view_of(result)
    shown = show(result.table if view.table is None else view.table(result))
    if columns is None:
        return shown
    names = [column.name for column in shown.columns]
    for name in columns:
        if name not in names:
            raise unknown("column of the table", str(name), names)
    places = [names.index(name) for name in columns]
    rows = [(kind, [cells[place] for place in places]) for kind, cells in shown.rows]
    return Shown([shown.columns[place] for place in places], rows)


def best_cells(result: Result, shown: Shown) -> set[tuple[int, int]]:
    """(row, column) of the best number of each column in which one is better; of methods alone, controls are none.

    Equal numbers are all best. Where rows have a mode, each mode has its best.

    Args:
        result: Whose table it is.
        shown: As `shown_table` makes it.
    """
    better = view_of(result).better(result)
    names = [column.name for column in shown.columns]
    modes = [cells[names.index("mode")].sort if "mode" in names else "" for _, cells in shown.rows]
    found = set()
    for j, name in enumerate(names):
        for mode in dict.fromkeys(modes):
            way = better.get(name, "")
            way = way.get(mode, "") if isinstance(way, Mapping) else way
            numbers = {
                i: float(cells[j].sort)
                for i, (kind, cells) in enumerate(shown.rows)
                if modes[i] == mode and kind in ("method", "") and cells[j].number and cells[j].sort
            }
            if way and len(numbers) > 1:
                best = max(numbers.values()) if way == "high" else min(numbers.values())
                found |= {(i, j) for i, number in numbers.items() if number == best}
    return found


def notes(result: Result, shown: Shown, best: bool, brackets: str) -> list[str]:
    """What marks in a table for a paper mean.

    Args:
        result: Whose table it is.
        shown: As `shown_table` makes it.
        best: Whether any cell is bold.
        brackets: What intervals stand in.
    """
    said = ["Bold: the best method of a column; controls and baselines are none."] if best else []
    if shown.marked:
        said.append(f"In {brackets}: {share(result.settings.get('level', 0.95), 0)} intervals.")
    return said + list(view_of(result).notes)


# -- studies -----------------------------------------------------------------------------------------------------------


def _wsol_better(result: Result) -> dict[str, Better]:
    from attribeval.benchmarks.wsol.metrics import METRICS

    return {name: "low" if metric.lower else "high" for name, metric in METRICS.items()}


def _bam_better(result: Result) -> dict[str, Better]:
    from attribeval.benchmarks.bam.summary import LOWER_IS_BETTER, METRICS

    return {name: "low" if name in LOWER_IS_BETTER else "high" for name in METRICS}


def _board_better(result: Result) -> dict[str, Better]:
    """A cell sorts by its rank, so that low is better for all."""
    return dict.fromkeys([RANK, *leaderboard_terminal.headings(result)], "low")


def _roar_better(result: Result) -> dict[str, Better]:
    table = roar_terminal.wide_table(result)
    fractions = [name for name in table.columns if name.endswith("%")]
    return {GAIN: "high"} | {name: {"remove": "low", "keep": "high"} for name in fractions}


def _first(*wanted: str) -> Callable[[Result, list[str]], list[str]]:
    return lambda result, names: [name for name in ("method", *wanted) if name in names]


def _but(*hidden: str) -> Callable[[Result, list[str]], list[str]]:
    return lambda result, names: [name for name in names if name not in hidden]


_REST = ("kind", "images", "ms / image")
_SANITY: dict[str, Any] = {"table": sanity_terminal.wide_table, "main": _but(*_REST)}
_VIEWS = {
    "bam": View(
        "Relative feature importance (BAM)",
        main=_first("MCS", "IDR", "IIR", "MCSCorrelation", "IIRChange"),
        better=_bam_better,
    ),
    "data_randomisation": View("Sanity check: permuted labels", **_SANITY),
    "leaderboard": View(
        "Leaderboard of methods",
        leaderboard_terminal.wide_table,
        _but("peak MiB", "kind"),
        _board_better,
        (
            "#2 a: the second rank in this benchmark; methods that share a letter cannot be told apart (paired tests, "
            "corrected for all pairs).",
            "#–: judged on too few images for a rank. !: scores of some images are missing. ↑ high, ↓ low is better.",
        ),
    ),
    "roar": View(
        "Remove or keep, and retrain (ROAR, KAR)",
        roar_terminal.wide_table,
        _but("repeats", "kind"),
        _roar_better,
        (
            "Gain: area between the curves of a method and of random, in points of accuracy; methods that share a "
            "letter (group) cannot be told apart.",
        ),
    ),
    "sanity": View("Sanity checks: random weights", **_SANITY),
    "wsol": View(
        "Weakly supervised object localisation",
        main=_first(
            "MaxBoxAcc",
            "BoxAcc",
            "MaxBoxAccV2",
            "Top1Loc",
            "PxAP",
            "PixelAUC",
            "EnergyInBox",
            "PointingGame",
            "threshold",
        ),
        better=_wsol_better,
    ),
}
