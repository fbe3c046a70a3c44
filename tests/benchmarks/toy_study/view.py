"""How the study's results are shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attribeval.plots.style import decorate, new_figure
from attribeval.report.view import Column, View
from attribeval.results.numbers import SHARE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from attribeval.results.result import Result


def plot(result: Result) -> Figure:
    """A bar per method."""
    figure = new_figure(6.0, 0.3 * len(result.table) + 1.0)
    ax = figure.subplots()
    ax.barh(result.table["method"], result.table["value"])
    decorate(ax, "Share in the middle", "x")
    return figure


VIEWS = {
    "middle": View(
        "Middle of the image",
        columns=lambda result: {"Middle": Column(SHARE, "high"), "kind": Column(main=False)},
        plot=plot,
        pictures=lambda result: {"The same again": plot(result)},
        notes=("Middle: the share of a map's absolute values.",),
        file="middle",
    )
}
