"""From maps to the few numbers per image that every score is made of."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

import numpy as np

from attribeval.benchmarks.wsol.metrics import IOUS
from attribeval.benchmarks.wsol.reference import REFERENCE_SIZE, reference_boxes, reference_map, reference_mask
from attribeval.errors import AttribevalError
from attribeval.metrics.localisation.boxes import fill_boxes
from attribeval.metrics.localisation.boxes import iou as box_iou
from attribeval.metrics.localisation.component_tree import largest_components
from attribeval.metrics.localisation.contours import best_overlaps, reference_contours
from attribeval.metrics.localisation.energy_in_box import energy_inside
from attribeval.metrics.localisation.heuristics import (
    ENERGIES,
    MEANS,
    READINGS,
    VALUES,
    cam_box,
    extents,
    fong_boxes,
)
from attribeval.metrics.localisation.maxboxacc import quantise
from attribeval.metrics.localisation.pixels import histograms, pixel_auc, reference_bins
from attribeval.metrics.localisation.pointing_game import TOLERANCE, pointing_hit
from attribeval.metrics.localisation.relevance_rank_accuracy import relevance_rank

Protocol = Literal["fixed", "reference"]
# Arrays that are made from boxes drawn round a map.
OF_BOXES = {"hits", "hits_largest", "hits_v2", "region", "fong_mean", "fong_energy", "fong_value",
            *(f"cam_{reading}" for reading in READINGS)}  # fmt: skip


def measure(
    heatmaps: Sequence[np.ndarray],
    boxes: Sequence[np.ndarray] | None,
    masks: Sequence[np.ndarray] | None,
    wanted: set[str],
    *,
    iou: float = 0.5,
    protocol: Protocol = "fixed",
    tolerance: float = TOLERANCE,
    n_jobs: int | None = None,
) -> dict[str, np.ndarray]:
    """Everything that the wanted scores need of some maps, an entry per image.

    Args:
        heatmaps: N maps (H, W), finite (with protocol "reference" NaN is allowed); sizes may differ.
        boxes: For each map its true boxes (k, 4), edges in pixels of the map; or None.
        masks: For each map uint8 (H, W), 0, 1, 255; or None.
        wanted: Names of arrays, as in `metrics.Metric.needs`.
        iou: Overlap at which a box is right.
        protocol: "reference" scores maps as the reference code of Choe et al. does, see `reference`.
        tolerance: Of the pointing game, pixels.
        n_jobs: Threads; None for one per CPU. Does not change the result.

    Returns:
        Arrays by name, first axis N. "hits…" and "region" are bool (N, 256) by threshold, "hits_v2" (N, 3, 256).

    Raises:
        AttribevalError: If a map is not finite or not (H, W) (naming the item).
    """
    if n_jobs is not None and n_jobs < 1:
        raise AttribevalError(f"Expected n_jobs >= 1, or None for one per CPU. Received: {n_jobs}.")

    def one(item: int) -> dict[str, Any]:
        try:
            return _measure_one(
                heatmaps[item],
                None if boxes is None else boxes[item],
                None if masks is None else masks[item],
                wanted, iou, protocol, tolerance,
            )  # fmt: skip
        except AttribevalError as error:
            raise AttribevalError(f"Heatmap of item {item}: {error}") from None

    with ThreadPoolExecutor(n_jobs or os.cpu_count() or 1) as pool:
        parts = list(pool.map(one, range(len(heatmaps))))
    return {name: np.stack([part[name] for part in parts]) for name in parts[0]} if parts else {}


def _measure_one(heatmap, boxes, masks, wanted, iou, protocol, tolerance) -> dict[str, Any]:
    heatmap = check_map(heatmap)
    mask = masks
    if protocol == "reference":
        if boxes is not None:
            boxes = reference_boxes(boxes, heatmap.shape)
        mask = None if mask is None else reference_mask(mask)
        heatmap = reference_map(heatmap)
        levels = (heatmap * 255).astype(np.uint8)
    else:
        levels = quantise(heatmap)
    found: dict[str, Any] = {}
    if boxes is not None and wanted & OF_BOXES:
        found |= _hits_of_map(heatmap, levels, boxes, wanted, iou, protocol)
    region: Any = None if boxes is None else fill_boxes(boxes, heatmap.shape)
    if "energy" in wanted:
        found["energy"] = energy_inside(heatmap, region)
    if mask is not None:
        region = mask == 1
        if wanted & {"histograms", "levels"}:
            per_level = histograms(levels, mask, 256).astype(np.uint32)
        if "histograms" in wanted and protocol == "reference":
            found["histograms"] = histograms(reference_bins(heatmap), mask, 1001).astype(np.uint16)
        elif "histograms" in wanted:
            found["histograms"] = per_level
        if "levels" in wanted:
            found["levels"] = per_level
        if "auc" in wanted:
            found["auc"] = pixel_auc(heatmap, mask)
        if "mass" in wanted:
            found["mass"] = energy_inside(np.where(mask == 255, 0, heatmap), region)
    if "rank" in wanted:
        found["rank"] = relevance_rank(heatmap, region)
    if "pointing" in wanted:
        found["pointing"] = pointing_hit(heatmap, region, tolerance)
    return found


def _hits_of_map(heatmap, levels, boxes, wanted, iou, protocol) -> dict[str, Any]:
    found: dict[str, Any] = {}
    scored = np.arange(256) < 255  # at 255 nothing is above the threshold
    drawn: Any
    best: Any
    if protocol == "reference":
        drawn, best = reference_contours(levels, boxes)
    else:
        drawn = largest_components(levels)[0] if wanted & {"hits", "hits_largest"} else None
        best = best_overlaps(levels, boxes) if "hits_v2" in wanted else None
    if "hits" in wanted:
        found["hits"] = (box_iou(drawn, boxes) >= iou).any(1) & scored
    if "hits_largest" in wanted:
        found["hits_largest"] = (box_iou(drawn, largest_box(boxes)) >= iou)[:, 0] & scored
    if "hits_v2" in wanted:
        found["hits_v2"] = (best >= np.array(IOUS)[:, None]) & scored
    if "region" in wanted:
        found["region"] = _right(extents(levels, np.arange(256)), boxes, iou)
    for reading in READINGS:
        if f"cam_{reading}" in wanted:
            found[f"cam_{reading}"] = _right(cam_box(heatmap, reading)[None], boxes, iou)[0]
    rules: tuple[Literal["mean", "energy", "value"], ...] = ("mean", "energy", "value")
    for rule in rules:
        if f"fong_{rule}" in wanted:
            found[f"fong_{rule}"] = _right(fong_boxes(heatmap, rule), boxes, iou)
    return found


def hits_of_one_box(
    box: np.ndarray, boxes: np.ndarray, size: tuple[int, int], iou: float, protocol: Protocol
) -> dict[str, Any]:
    """The arrays `OF_BOXES` of one box (4,) that is drawn at every threshold.

    Args:
        box: Edges in pixels of the map.
        boxes: The true ones (k, 4).
        size: (height, width) of the map.
        iou: Overlap at which a box is right.
        protocol: See `measure`.
    """
    if protocol == "reference":
        boxes, box = reference_boxes(boxes, size), box * (REFERENCE_SIZE / np.array([*size[::-1], *size[::-1]]))
    overlap = float(box_iou(box[None], boxes).max())
    right, largest = overlap >= iou, float(box_iou(box[None], largest_box(boxes)).max()) >= iou
    shapes = {
        "hits": 256, "region": 256, "fong_mean": len(MEANS), "fong_energy": len(ENERGIES), "fong_value": len(VALUES)
    }  # fmt: skip
    found: dict[str, Any] = {name: np.full(length, right) for name, length in shapes.items()}
    found |= {f"cam_{reading}": np.bool_(right) for reading in READINGS}
    found["hits_largest"] = np.full(256, largest)
    found["hits_v2"] = np.repeat(overlap >= np.array(IOUS)[:, None], 256, axis=1)
    return found


def _right(drawn: np.ndarray, boxes: np.ndarray, iou: float) -> np.ndarray:
    return np.asarray((box_iou(drawn, boxes) >= iou).any(1))


def largest_box(boxes: np.ndarray) -> np.ndarray:
    """The true box of the largest area (the first of equals), (1, 4)."""
    return boxes[(boxes[:, 2:] - boxes[:, :2]).prod(1).argmax()][None]


def check_map(heatmap: np.ndarray) -> np.ndarray:
    """A map as it can be scored.

    Raises:
        AttribevalError: If it is not (H, W) of real numbers with at least one pixel.
    """
    heatmap = np.asarray(heatmap)
    if heatmap.ndim != 2 or heatmap.size == 0:
        raise AttribevalError(f"Expected a map (H, W). Received: {heatmap.shape}. Reduce the channels first.")
    if heatmap.dtype.kind not in "fiub":
        raise AttribevalError(f"Expected a map of real numbers. Received dtype: {heatmap.dtype}.")
    return heatmap
