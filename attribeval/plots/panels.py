"""What pictures of maps are made of: photographs, heat, boxes, names beside them, and the legend below."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke

from attribeval.errors import AttribevalError
from attribeval.plots.style import (
    INK,
    MUTED,
    ON_DARK,
    PANEL,
    PREDICTION,
    TRUTH,
    Picture,
    Scale,
    new_figure,
    shorten,
    split,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def panel_size(size: tuple[int, int]) -> tuple[float, float]:
    height, width = size
    longer = max(height, width)
    return max(PANEL * width / longer, 0.6), max(PANEL * height / longer, 0.4)


def blank(width: float, height: float, rows: int, columns: int) -> tuple[Picture, np.ndarray, Any]:
    """An empty figure of so many inches: the figure, its axes without frames (rows, columns), the room for a legend."""
    figure = new_figure(width, height)
    pictures, legend = split(figure, 0.9)
    axes = pictures.subplots(rows, columns, squeeze=False)
    for ax in axes.flat:
        ax.set_axis_off()
    return figure, axes, legend


def draw_photograph(ax: Axes, photograph: np.ndarray) -> None:
    height, width = photograph.shape[:2]
    # With this extent the data coordinates are the edges that boxes are given in, not centres of pixels.
    ax.imshow(photograph, extent=(0, width, height, 0))


def draw_heat(ax: Axes, heat: np.ndarray, scale: Scale, photograph: np.ndarray | None, flat: str = "flat") -> None:
    """A map in −1..1 or 0..1, over the dimmed photograph or, without one, over the scale's own grey.

    One that is 0 everywhere would look like a map with little evidence: `flat` is written across it.
    """
    height, width = heat.shape
    extent = (0, width, height, 0)
    under = np.full((1, 1, 3), scale.paper)
    if photograph is not None:
        under = np.repeat(scale.dim(photograph)[..., None], 3, axis=-1)
    ax.imshow(under, extent=extent)
    ax.imshow(heat, cmap=scale.cmap, norm=scale.norm, extent=extent)
    if not heat.any():
        ax.text(
            width / 2, height / 2, flat, ha="center", va="center", fontsize=9, color=ON_DARK,
            path_effects=[withStroke(linewidth=2.5, foreground="#101010")],
        )  # fmt: skip


def draw_boxes(ax: Axes, boxes: np.ndarray | None, colour: str) -> None:
    dashed = colour == PREDICTION
    for x0, y0, x1, y1 in [] if boxes is None else boxes:
        rectangle = Rectangle((x0, y0), x1 - x0, y1 - y0, clip_on=False, **box_style(colour))
        rectangle.set_zorder(4 if dashed else 3)
        ax.add_patch(rectangle)


def box_style(colour: str) -> dict[str, Any]:
    """White and solid, or cyan and dashed, both with a dark rim that shows on any photograph."""
    return {
        "fill": False,
        "edgecolor": colour,
        "linewidth": 1.5,
        "linestyle": (0, (3, 1.6)) if colour == PREDICTION else "-",
        "path_effects": [withStroke(linewidth=3, foreground="#101010")],
    }


def write_title(ax: Axes, text: str) -> None:
    ax.set_title(shorten(text, 34), fontsize=9, color=INK, pad=4, parse_math=False)


def write_below(ax: Axes, text: str) -> None:
    ax.text(0.5, -0.03, text, transform=ax.transAxes, ha="center", va="top", fontsize=8, color=INK, parse_math=False)


def write_row_label(ax: Axes, text: str) -> None:
    ax.text(
        -0.05, 0.5, shorten(text, 40), transform=ax.transAxes, rotation=90, ha="right", va="center",
        fontsize=9, color=INK, parse_math=False,
    )  # fmt: skip


def draw_legend(
    figure: Any,
    width: float,
    scales: Sequence[Scale],
    over_photograph: bool,
    note: str,
    truth: bool,
    prediction: bool = False,
) -> None:
    """Colour bars, what the boxes are, and the note, in a strip `width` inches wide below the pictures."""
    inches = [2.3] * len(scales) + [1.3] * truth
    margin = max(0.05, (width - sum(inches)) / 2)
    ratios = [margin, *[part for size in inches for part in (size, 0.25)][:-1], margin]
    slots = figure.subplots(1, len(ratios), width_ratios=ratios)
    for spacer in slots[::2]:
        spacer.set_axis_off()
    axes = slots[1::2]
    for ax, scale in zip(axes, scales, strict=False):
        under = (scale.dark + scale.light) / 2 if over_photograph else scale.paper[0]
        steps = np.linspace(scale.low, 1, 513)[None]
        ax.imshow(np.full((1, 1, 3), under), extent=(scale.low, 1, 0, 1), aspect="auto")
        ax.imshow(steps, cmap=scale.cmap, norm=scale.norm, extent=(scale.low, 1, 0, 1), aspect="auto")
        ax.set_box_aspect(0.07)
        ax.set_yticks([])
        ax.set_xticks([scale.low, 0, 1] if scale.low else [0, 1])
        ax.tick_params(labelsize=8, length=2, color=MUTED, labelcolor=INK, pad=2)
        ax.set_title(scale.meaning, fontsize=8, color=INK, pad=3)
        for spine in ax.spines.values():
            spine.set_edgecolor(MUTED)
            spine.set_linewidth(0.5)
    if truth:
        axes[-1].set_axis_off()
        kinds = {"true box": TRUTH} | ({"predicted box": PREDICTION} if prediction else {})
        handles = []
        for colour in kinds.values():
            style = box_style(colour)
            handles.append(Line2D([], [], color=style.pop("edgecolor"), **{k: style[k] for k in style if k != "fill"}))
        axes[-1].legend(handles, kinds, loc="center", frameon=False, fontsize=8, labelcolor=INK)
    figure.supxlabel(textwrap.fill(note, int(width * 15)), fontsize=8, color=MUTED)


def to_photographs(images: np.ndarray, n: int, size: tuple[int, int]) -> np.ndarray:
    """RGB in 0..1, (N, H, W, 3)."""
    images = np.asarray(images)
    if images.ndim == 3:
        images = images[..., None]
    if images.ndim != 4 or images.shape[-1] not in (1, 3) or images.shape[:3] != (n, *size):
        raise AttribevalError(
            f"Expected {n} images of the maps' size {size}, (N, H, W, 3) or (N, H, W, 1). Received: {images.shape}."
        )
    check_finite(images, "images")
    shade = images.astype(np.float64)
    if shade.min() < 0 or shade.max() > 255:
        low = shade.min(axis=(1, 2, 3), keepdims=True)
        span = shade.max(axis=(1, 2, 3), keepdims=True) - low
        shade = np.divide(shade - low, span, out=np.zeros_like(shade), where=span > 0)
    elif images.dtype.kind != "f" or shade.max() > 1:
        shade /= 255
    return np.repeat(shade, 3, axis=-1) if shade.shape[-1] == 1 else shade


def check_finite(values: np.ndarray, what: str) -> None:
    bad = np.flatnonzero(~np.isfinite(values).reshape(len(values), -1).all(1))
    if bad.size:
        raise AttribevalError(f"Expected finite {what}. Received NaN or infinity for item {bad[0]}.")
