"""Names of benchmarks → their plots."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.figure import Figure

from attribeval.errors import AttribevalError
from attribeval.plots.bam import bam_pictures, plot_bam
from attribeval.plots.bam_figures import FIGURES as BAM_FIGURES
from attribeval.plots.leaderboard import leaderboard_pictures, plot_leaderboard
from attribeval.plots.roar import plot_roar, roar_pictures
from attribeval.plots.roar_figures import FIGURES as ROAR_FIGURES
from attribeval.plots.sanity import plot_data_randomisation, plot_sanity, sanity_pictures
from attribeval.plots.wsol import plot_wsol

if TYPE_CHECKING:
    from attribeval.results.result import Result

RESULT_PLOTS = {
    "bam": plot_bam,
    "data_randomisation": plot_data_randomisation,
    "leaderboard": plot_leaderboard,
    "roar": plot_roar,
    "sanity": plot_sanity,
    "wsol": plot_wsol,
}
_FIGURES = {"bam": BAM_FIGURES, "roar": ROAR_FIGURES}
_MORE = {
    "bam": bam_pictures,
    "leaderboard": leaderboard_pictures,
    "roar": roar_pictures,
    "sanity": sanity_pictures,
}


def plot_result(result: Result) -> Figure:
    """Draw the result of a benchmark.

    Args:
        result: What a benchmark returned.

    Returns:
        matplotlib Figure.

    Raises:
        AttribevalError: If there is no picture for this benchmark, or its table lacks a column or has no rows.
    """
    if result.benchmark not in RESULT_PLOTS:
        raise AttribevalError(
            f"Expected a result of {', '.join(sorted(RESULT_PLOTS))}. Received one of {result.benchmark!r}, for which "
            "there is no plot: draw result.table yourself."
        )
    return RESULT_PLOTS[result.benchmark](result)


def figure_of(result: Result, number: str) -> Figure:
    """A figure of the benchmark's paper.

    Args:
        result: What a benchmark returned.
        number: Of the figure in the paper.

    Returns:
        matplotlib Figure.

    Raises:
        AttribevalError: If there is none of that number (those there are listed), or the result lacks what it shows.
    """
    known = _FIGURES.get(result.benchmark, {})
    if str(number) not in known:
        listed = ", ".join(known) or "none"
        raise AttribevalError(
            f"Expected a figure of the paper of {result.benchmark!r}: {listed}. Received: {str(number)!r}."
        )
    return known[str(number)](result)


def more_pictures(result: Result) -> dict[str, Figure]:
    """What a report shows beside a benchmark's plot; nothing for most benchmarks.

    Args:
        result: What a benchmark returned.

    Returns:
        Figures by title.
    """
    return _MORE[result.benchmark](result) if result.benchmark in _MORE else {}
