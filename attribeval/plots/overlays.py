"""Maps of several methods beside each other, over their photographs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from attribeval.attributions import Attributions, Reduce
from attribeval.common.options import check_count
from attribeval.datasets.source import Photographs
from attribeval.errors import AttribevalError
from attribeval.plots.heat import drawn_heat, flat_name, scale_note
from attribeval.plots.panels import (
    blank,
    check_finite,
    draw_boxes,
    draw_heat,
    draw_legend,
    draw_photograph,
    panel_size,
    to_photographs,
    write_below,
    write_row_label,
    write_title,
)
from attribeval.plots.style import PER_LINE, SIGNED, TRUTH, UNSIGNED, class_name


def overlays(
    images: np.ndarray | Photographs | None,
    maps: Mapping[str, Attributions],
    *,
    boxes: Sequence[np.ndarray] | None = None,
    titles: Sequence[str] | None = None,
    reduce: Reduce | None = None,
    clip: float | None = 99,
    max_images: int = 8,
) -> Figure:
    """Draw maps of several methods beside each other: a row per image, a column per method.

    Each map lies over the dimmed grey photograph and is scaled by itself, to ±1 at its own `clip` percentile; so
    strengths cannot be compared between maps. A map with negative values is drawn with a scale centred on 0; one
    without, or of a method whose sign means nothing, from its own minimum, so that an offset does not hide its
    contrast.

    Args:
        images: (N, H, W, 3), (N, H, W, 1) or (N, H, W). Values in 0..255 are drawn as they are, floats in 0..1 as
            255 times that; a set with values outside 0..255 (preprocessed images) is scaled by each image's own minimum
            and maximum. Or the `photographs` of maps. None draws the maps alone.
        maps: The maps by the name to write above them, each of the same N images.
        boxes: For each image, ground-truth boxes (k, 4) x0, y0, x1, y1: edges in pixels of the map, as
            `samples.boxes_at((H, W))` gives them. k may be 0.
        titles: A text per image for the row label; default: the class explained.
        reduce: How channels become one, see `Attributions.heatmap`. None: Σv, which keeps the sign.
        clip: Percentile of each map's absolute values drawn as full strength, in (0, 100]; None: its largest value.
        max_images: At most so many images are drawn, the first ones; the figure says so.

    Returns:
        matplotlib Figure.

    Raises:
        AttribevalError: If there is nothing to draw, or numbers or sizes of maps, images, boxes and titles disagree, or
            a value is not finite (naming it).
    """
    n, size = check_maps(maps)
    check_count("max_images", max_images, 1)
    shown = min(n, max_images)
    photographs = read_photographs(images, n, size, shown)
    boxes = None if boxes is None else check_boxes(boxes, n)
    if titles is not None and len(titles) != n:
        raise AttribevalError(f"Expected one title per image ({n}). Received: {len(titles)}.")
    heats, scales = {}, {}
    for name, attributions in maps.items():
        heats[name], scales[name] = drawn_heat(attributions[:shown], reduce, clip)
    names = list(maps)
    first = 0 if photographs is None else 1
    columns = first + min(len(names), PER_LINE)
    lines = -(-len(names) // (columns - first))  # rows of pictures for one image
    width, height = panel_size(size)
    used = [scale for scale in (UNSIGNED, SIGNED) if scale in scales.values()]
    high = shown * lines * (height + (0.3 if lines > 1 else 0.08)) + 1.3
    figure, axes, legend = blank(columns * (width + 0.08) + 0.4, high, shown * lines, columns)
    targets = np.stack([attributions.targets[:shown] for attributions in maps.values()])

    for i in range(shown):
        own = None if boxes is None else boxes[i]
        agreed = bool((targets[:, i] == targets[0, i]).all())
        head = axes[i * lines, 0]
        if photographs is not None:
            draw_photograph(head, photographs[i])
            draw_boxes(head, own, TRUTH)
            if i == 0:
                write_title(head, "image")
        for k, name in enumerate(names):
            line, column = divmod(k, columns - first)
            ax = axes[i * lines + line, first + column]
            under = None if photographs is None else photographs[i]
            draw_heat(ax, heats[name][i], scales[name], under, flat_name(maps[name].values[i]))
            draw_boxes(ax, own, TRUTH)
            if i == 0 or lines > 1:
                write_title(ax, name)
            if not agreed:
                write_below(ax, class_name(maps[name], i))
        label = titles[i] if titles is not None else class_name(maps[names[0]], i) if agreed else f"image {i}"
        write_row_label(head, label)

    note = scale_note(used, clip, heats.values())
    if shown < n:
        note += f" Shown: the first {shown} of {n} images."
    draw_legend(legend, figure.get_figwidth(), used, photographs is not None, note, boxes is not None)
    return figure


def read_photographs(
    images: np.ndarray | Photographs | None, n: int, size: tuple[int, int], shown: int
) -> np.ndarray | None:
    """RGB in 0..1 of the images that are drawn, at least; of `Photographs` no more are read."""
    if images is None:
        return None
    if not isinstance(images, Photographs):
        return to_photographs(images, n, size)
    if len(images) != n:
        raise AttribevalError(f"Expected {n} images. Received the photographs of {len(images)} maps.")
    return to_photographs(images[:shown].load(), shown, size)


def check_maps(maps: Mapping[str, Attributions]) -> tuple[int, tuple[int, int]]:
    """The number and size of maps that agree in both."""
    if not maps:
        raise AttribevalError("Expected maps of at least one method. Received: none.")
    for name, attributions in maps.items():
        if not isinstance(attributions, Attributions):
            raise AttribevalError(
                f"Expected a dict of method name to Attributions. Received {type(attributions).__name__} for {name!r}."
            )
    first = next(iter(maps))
    shape = maps[first].values.shape[:3]
    for name, attributions in maps.items():
        if attributions.values.shape[:3] != shape:
            raise AttribevalError(
                f"Expected maps of the same images, (N, H, W) = {shape} as of {first!r}. "
                f"Received: {attributions.values.shape[:3]} of {name!r}."
            )
        check_finite(attributions.values, f"maps of {name!r}")
    if 0 in shape:
        raise AttribevalError(f"Expected at least one map. Received maps of shape {shape}.")
    return shape[0], shape[1:]


def check_boxes(boxes: Sequence[np.ndarray], n: int) -> list[np.ndarray]:
    if len(boxes) != n:
        raise AttribevalError(f"Expected boxes for each of {n} images. Received: {len(boxes)}.")
    arrays = [np.asarray(of_image, dtype=np.float64) for of_image in boxes]
    for i, array in enumerate(arrays):
        if array.size and (array.ndim != 2 or array.shape[1] != 4 or not np.isfinite(array).all()):
            raise AttribevalError(f"Expected finite boxes (k, 4) x0, y0, x1, y1. Received {array.shape} for item {i}.")
    filled = [array for array in arrays if array.size]
    if filled and np.concatenate(filled).max() <= 1:
        raise AttribevalError(
            "Expected boxes in pixels of the map. Received relative ones, all within 0..1: give "
            "samples.boxes_at((height, width))."
        )
    return arrays
