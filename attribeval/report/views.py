"""A result as its study's view shows it: the table, which numbers are best, what marks mean, text for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from attribeval.errors import unknown
from attribeval.report.cells import Shown, show
from attribeval.report.terminal import text_table
from attribeval.report.view import view_of
from attribeval.results.numbers import Unit, share

if TYPE_CHECKING:
    from attribeval.results.result import Result


def shown_table(result: Result, columns: Sequence[str] | None = None) -> Shown:
    """A result's table, formatted; of all columns, or of those with these headings, in this order."""
    view = view_of(result)
    shown = show(view.table(result), units_of(result))
    places = places_of(columns, [column.name for column in shown.columns])
    rows = [(kind, [cells[place] for place in places]) for kind, cells in shown.rows]
    return Shown([shown.columns[place] for place in places], rows)


def places_of(columns: Sequence[str] | None, names: list[str]) -> list[int]:
    """Where the columns wanted stand in a table whose columns have these names; None: all."""
    if columns is None:
        return list(range(len(names)))
    for name in columns:
        if name not in names:
            raise unknown("column of the table", str(name), names)
    return [names.index(name) for name in columns]


def units_of(result: Result) -> dict[str, Unit]:
    """How numbers are written, by column or metric; what is not there is written plainly."""
    return {name: column.unit for name, column in view_of(result).columns(result).items() if column.unit is not None}


def terminal_text(result: Result, width: int | None = None) -> str:
    """The table for a terminal of so many columns of characters; None: as many as it has."""
    view = view_of(result)
    if view.terminal is not None:
        return view.terminal(result, width)
    shown = shown_table(result)
    rows = [[_in_line(cell.text) for cell in cells] for _, cells in shown.rows]
    right = [i for i, column in enumerate(shown.columns) if column.number]
    return text_table([column.name for column in shown.columns], rows, right, width)


def _in_line(text: str) -> str:
    first, _, second = text.partition("\n")
    return f"{first} ({second})" if second else first


def best_cells(result: Result, shown: Shown) -> set[tuple[int, int]]:
    """(row, column) of the best number of each column in which one is better; of methods alone, controls are none.

    Equal numbers are all best. Where rows have a mode, each mode has its best.
    """
    better = {name: column.better for name, column in view_of(result).columns(result).items()}
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
    """What marks in a table for a paper mean: cells in bold (`best`: there is one), and intervals in brackets."""
    said = ["Bold: the best method of a column; controls and baselines are none."] if best else []
    if shown.marked:
        said.append(f"In {brackets}: {share(result.settings.get('level', 0.95), 0)} intervals.")
    return said + list(view_of(result).notes)
