"""Pictures of results, as their study's view draws them."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from matplotlib.figure import Figure

from attribeval.errors import AttribevalError
from attribeval.report.view import view_of

if TYPE_CHECKING:
    import pandas as pd

    from attribeval.results.result import Result


def table_with(columns: Collection[str], result: Result) -> pd.DataFrame:
    """The table to draw, which has these columns and rows."""
    missing = set(columns) - set(result.table.columns)
    if missing or result.table.empty:
        lacks = f"the columns {sorted(missing)}" if missing else "rows"
        raise AttribevalError(f"Expected a table of {result.benchmark}. Received one without {lacks}.")
    return result.table


def plot_result(result: Result) -> Figure:
    """Draw the result of a benchmark.

    Args:
        result: What a benchmark returned.

    Returns:
        matplotlib Figure.

    Raises:
        AttribevalError: If there is no picture for this benchmark, or its table lacks a column or has no rows.
    """
    plot = view_of(result).plot
    if plot is None:
        raise AttribevalError(
            f"Expected a result of a study that has a picture. Received one of {result.benchmark!r}, for which there "
            "is no plot: draw result.table yourself."
        )
    return plot(result)


def figure_of(result: Result, number: str) -> Figure:
    """A figure of the benchmark's paper; see `Result.figure`."""
    known = view_of(result).figures
    if str(number) not in known:
        listed = ", ".join(known) or "none"
        raise AttribevalError(
            f"Expected a figure of the paper of {result.benchmark!r}: {listed}. Received: {str(number)!r}."
        )
    return known[str(number)](result)


def more_pictures(result: Result) -> dict[str, Figure]:
    """What a report shows beside a benchmark's plot; nothing for some benchmarks.

    Args:
        result: What a benchmark returned.

    Returns:
        Figures by title.
    """
    return view_of(result).pictures(result)
