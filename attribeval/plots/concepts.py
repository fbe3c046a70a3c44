"""Concepts as people look at them: the pieces of images that show each best, a row per concept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.figure import Figure

from attribeval.errors import AttribevalError
from attribeval.plots.panels import draw_photograph, panel_size, to_photographs, write_row_label
from attribeval.plots.style import INK, cut, new_figure

if TYPE_CHECKING:
    from attribeval.concepts.discovery.found import Concepts

_SMALLER = 0.6  # a piece beside a whole picture of a map


def concept_rows(found: Concepts, rows: int, columns: int) -> Figure:
    """Draw concepts; see `Concepts.plot`.

    Raises:
        AttribevalError: If there is nothing to draw.
    """
    if min(rows, columns, len(found)) < 1:
        raise AttribevalError(
            f"Expected concepts, rows and columns to draw. Received: {len(found)}, {rows} and {columns}."
        )
    rows = min(rows, len(found))
    name, values = next(iter(found.columns.items()))
    size = found.images.shape[1:3]
    width, height = (_SMALLER * inches for inches in panel_size(size))
    figure = new_figure(columns * (width + 0.06) + 0.5, rows * (height + 0.06) + 0.4)
    title = f"{found.class_name}, layer {found.layer}: {name} of {rows} of {len(found)} concepts"
    figure.suptitle(cut(title, 90), fontsize=9, color=INK, x=0.01, ha="left")
    for concept, axes in enumerate(figure.subplots(rows, columns, squeeze=False)):
        pieces = found.pictures(concept, columns)
        for ax in axes:
            ax.set_axis_off()
        for ax, photograph in zip(axes, to_photographs(pieces, len(pieces), size), strict=False):
            draw_photograph(ax, photograph)
        write_row_label(axes[0], f"{concept}\n{values[concept]:.2f}")
    return figure
