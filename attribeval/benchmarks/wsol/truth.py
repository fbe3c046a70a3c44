"""The truth that maps are scored against, checked: which images have one, and whether it fits their maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from attribeval.benchmarks.wsol.reference import REFERENCE_SIZE
from attribeval.errors import AttribevalError
from attribeval.metrics.localisation.boxes import check_ground_truth
from attribeval.metrics.localisation.maxboxacc import check_inside
from attribeval.metrics.localisation.pixels import check_mask


def split_by_boxes(
    boxes: Sequence[np.ndarray] | None, ids: Sequence[str], required: bool
) -> tuple[list[int], list[str]]:
    """Indices of images with a box (all, if boxes are not asked for), and names of those without.

    Raises:
        AttribevalError: If `required` and an image has none, or none has any.
    """
    without = [] if boxes is None else [i for i in range(len(ids)) if len(boxes[i]) == 0]
    names = [ids[i] for i in without]
    if without and (required or len(without) == len(ids)):
        some = len(without) < len(ids)
        remedy = (
            "leave these images out or pass require_truth=False" if some else "score images of which some have boxes"
        )
        raise AttribevalError(
            f"Expected a box for every image. Received none for {len(without)} of {len(ids)}: {', '.join(names[:5])}"
            f"{', …' if len(names) > 5 else ''}: {remedy}."
        )
    left_out = set(without)
    kept = [i for i in range(len(ids)) if i not in left_out]
    if not kept:
        raise AttribevalError("Expected at least one image. Received none.")
    return kept, names


def with_objects(items: Sequence[int], masks: Any, ids: Sequence[str], required: bool) -> list[int]:
    """The items whose mask has a pixel of the object; all, if there are no masks.

    Raises:
        AttribevalError: If `required` and one has none.
    """
    kept = [i for i in items if masks is None or (np.asarray(masks[i]) == 1).any()]
    if required and len(kept) < len(items):
        raise AttribevalError(
            f"Expected a mask with pixels of the object for every image. Received none for "
            f"{ids[next(i for i in items if i not in kept)]!r}, at the size of its map: leave it out or pass "
            "require_truth=False."
        )
    return kept


def ground_truth_of(
    items: Sequence[int], sizes: Sequence[tuple[int, int]], boxes: Any, masks: Any, ids: Sequence[str], protocol: str
) -> tuple[list[np.ndarray] | None, list[np.ndarray] | None]:
    """Checked boxes and masks of some images."""
    some_boxes = some_masks = None
    if boxes is not None:
        some_boxes = []
        for i, size in zip(items, sizes, strict=True):
            try:
                some_boxes += check_ground_truth([boxes[i]])
                check_inside(some_boxes[-1:], size)
            except AttribevalError as error:
                raise AttribevalError(f"Image {ids[i]!r}: {str(error).replace(' of item 0', '')}") from None
    if masks is not None:
        some_masks = []
        for i, size in zip(items, sizes, strict=True):
            try:
                mask = masks[i]
                drawn = protocol == "reference" and np.shape(mask) == (REFERENCE_SIZE, REFERENCE_SIZE)
                some_masks.append(check_mask(mask, np.shape(mask) if drawn else size))
            except AttribevalError as error:
                raise AttribevalError(f"Image {ids[i]!r}: {error}") from None
    return some_boxes, some_masks


def check_sizes(of_methods: Mapping[str, list[np.ndarray]], sizes: list[tuple[int, int]], ids: Sequence[str]) -> None:
    """Raise `AttribevalError` unless all methods' maps of an image have one size."""
    first = next(iter(of_methods))
    for name, heatmaps in of_methods.items():
        for heatmap, size, image in zip(heatmaps, sizes, ids, strict=True):
            if heatmap.shape != size:
                raise AttribevalError(
                    f"Expected maps of one size per image: {size} as of {first!r} for image {image!r}. Received: "
                    f"{heatmap.shape} of {name!r}."
                )
