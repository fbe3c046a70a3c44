"""Scores of any maps, from anywhere, against boxes or masks: arrays in, one table out. No model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from attribeval.benchmarks.wsol.baselines import BASELINES, baseline
from attribeval.benchmarks.wsol.measure import Protocol, check_map, measure
from attribeval.benchmarks.wsol.metrics import PER_IMAGE, Metric, choose_metrics
from attribeval.benchmarks.wsol.reference import REFERENCE_SIZE
from attribeval.benchmarks.wsol.summary import Scored, Unpacked, folds, pack, summarise
from attribeval.errors import AttribevalError, unknown
from attribeval.metrics.localisation.boxes import check_ground_truth, check_iou_threshold
from attribeval.metrics.localisation.maxboxacc import check_inside
from attribeval.metrics.localisation.pixels import check_mask
from attribeval.metrics.localisation.pointing import TOLERANCE, check_tolerance
from attribeval.results.result import Result

PROTOCOLS = ("fixed", "reference")
_CHUNK = 64


def evaluate(
    maps: Mapping[str, Sequence[np.ndarray]] | Sequence[np.ndarray],
    *,
    boxes: Sequence[np.ndarray] | None = None,
    masks: Sequence[np.ndarray] | None = None,
    labels: np.ndarray | None = None,
    top1: np.ndarray | None = None,
    top5: np.ndarray | None = None,
    images: Sequence[np.ndarray] | None = None,
    ids: Sequence[str] | None = None,
    metrics: Sequence[str] | None = None,
    protocol: Protocol = "fixed",
    iou: float = 0.5,
    tolerance: float = TOLERANCE,
    held_out: int | float = 5,
    strict: bool = False,
    seed: int = 0,
    n_jobs: int | None = None,
) -> Result:
    """Score how well maps localise objects.

    Besides the maps' own rows the table has those of baselines: the whole image, the centred box of half its area, a
    centred Gaussian, random noise, and, if `images` are given, Sobel edges.

    Args:
        maps: Heat maps of N images, large where the object is supposed to be: an array (N, H, W) or a sequence of maps
            (H, W) of any sizes (anything with a length and an index: they are read one at a time); or a mapping from
            names to such.
        boxes: For each image its true boxes (k, 4): edges x0, y0, x1, y1 in pixels of *its map*. k = 0: none.
        masks: For each image its mask, of its map's size (with protocol "reference" also (224, 224), see
            `reference.drawn_mask`): bool, or 0 (background), 1 (object), 255 (not scored).
        labels: Class of each image, ints (N,): the pointing game is the mean of classes. None: all are one class.
        top1, top5: Whether the model's first (one of its first five) predictions is right, bool (N,), for Top1Loc and
            Top5Loc.
        images: For the Sobel row: N images (H, W) or (H, W, C) of the maps' sizes.
        ids: Names of the images for messages.
        metrics: Names from `metrics.METRICS`; None: all that the given ground truth allows.
        protocol: "fixed", or "reference": maps and boxes as the code of Choe et al. 2020 treats them, faults included
            (`attribeval.benchmarks.wsol.reference` lists the differences).
        iou: Overlap at which a box is right, in all scores but V2.
        tolerance: Of the pointing game, pixels of the map.
        held_out: For scores with a threshold chosen on other images: number of folds, or share of images that choose.
        strict: An image without a box is an error; otherwise it is left out and counted.
        seed: Of folds and the random row.
        n_jobs: Threads, None for one per CPU.

    Returns:
        Result. `table`: one row per metric and method, best first, columns method, kind ("method", "control",
        "baseline"), metric, value, low, high (95 % interval over images at the threshold chosen: Wilson's for hits,
        Student's t for means; NaN for a single image that is no hit or miss), threshold (the best level 0..255, or α,
        on all images; NaN where there is none), images (with a score), seconds_per_image. `arrays`: "<method>/curve"
        (accuracy at each threshold), "<method>/curve V2" (3, 256), "<method>/hits" (N, 256), "<method>/<metric>/images"
        (N,), whose mean is the value. `summary.compare(result)` tests differences. `settings["skipped"]`: left out.

    Raises:
        AttribevalError: If lengths or sizes disagree, a map has NaN (with protocol "fixed") or infinite values, a box
            is inverted, empty or outside its map, a mask has no object (naming the item), an image has no box and
            `strict`, or a metric is unknown or needs what is not given.
    """
    if not isinstance(maps, Mapping):
        maps = {"maps": maps}
    if not maps:
        raise AttribevalError("Expected maps of at least one method. Received none.")
    check_options(protocol, iou, held_out, tolerance)
    n = len(next(iter(maps.values())))
    entries = {"labels": labels, "top1": top1, "top5": top5, "ids": ids, "boxes": boxes, "masks": masks,
               "images": images}  # fmt: skip
    for what, values in [*((f"maps of {name!r}", of_one) for name, of_one in maps.items()), *entries.items()]:
        if values is not None and len(values) != n:
            raise AttribevalError(f"Expected {what} of {n} images. Received: {len(values)}.")
    ids = [str(i) for i in range(n)] if ids is None else [str(name) for name in ids]
    shared = {
        "labels": np.zeros(n, np.int64) if labels is None else np.asarray(labels),
        **{name: np.asarray(v, bool) for name, v in [("top1", top1), ("top5", top5)] if v is not None},
    }
    kept, skipped = split_by_boxes(boxes, ids, strict)
    shared = {name: values[kept] for name, values in shared.items()}
    folds_of_images = folds(len(kept), held_out, seed)
    if folds_of_images is not None:
        shared["folds"] = folds_of_images
    truth = {name for name, values in [("boxes", boxes), ("masks", masks)] if values is not None}
    chosen = choose_metrics(metrics, set(shared), truth)
    for metric in chosen:
        if metric.asked:
            raise AttribevalError(
                f"{metric.name} needs a model and its images, not maps alone. Received maps: use Evaluator.wsol."
            )
    wanted = wanted_arrays(chosen)
    options = {"iou": iou, "protocol": protocol, "tolerance": tolerance, "n_jobs": n_jobs}
    parts: dict[str, list[dict[str, np.ndarray]]] = {}
    for start in range(0, len(kept), _CHUNK):
        items = kept[start : start + _CHUNK]
        of_methods = {name: [read_map(of_one, i, ids[i], name) for i in items] for name, of_one in maps.items()}
        sizes = [heatmap.shape for heatmap in next(iter(of_methods.values()))]
        check_sizes(of_methods, sizes, [ids[i] for i in items])
        some_boxes, some_masks = ground_truth_of(items, sizes, boxes, masks, ids, protocol)
        controls = {"random": random_maps(items, sizes, seed)}
        if images is not None:
            controls["sobel"] = sobel_maps(items, sizes, images, ids)
        for name, of_one in {**controls, **of_methods}.items():
            parts.setdefault(name, []).append(pack(measure(of_one, some_boxes, some_masks, wanted, **options)))
        for name, measured in measure_baselines(sizes, some_boxes, some_masks, wanted, **options).items():
            parts.setdefault(name, []).append(pack(measured))
    kinds = {name: "control" for name in ("random", "sobel")} | {name: "baseline" for name in BASELINES}
    scored = [Scored(name, "method" if name in maps else kinds[name], joined(of_one)) for name, of_one in parts.items()]
    settings = {
        "images": len(kept), "methods": list(maps), "metrics": [metric.name for metric in chosen],
        "protocol": protocol, "iou": iou, "tolerance": tolerance, "held_out": held_out, "seed": seed,
        "skipped": skipped,
    }  # fmt: skip
    return summarise(scored, shared, chosen, settings)


def read_map(maps: Sequence[np.ndarray], item: int, image: str, method: str) -> np.ndarray:
    """One map, checked."""
    try:
        return check_map(maps[item])
    except AttribevalError as error:
        raise AttribevalError(f"Map of image {image!r} by {method!r}: {error}") from None


def check_options(protocol: str, iou: float, held_out: int | float, tolerance: float) -> None:
    """Raise `AttribevalError` for a bad option, before any work."""
    if protocol not in PROTOCOLS:
        raise unknown("protocol of wsol", str(protocol), PROTOCOLS)
    check_iou_threshold(iou)
    folds(10, held_out, 0)
    check_tolerance(tolerance)


def split_by_boxes(boxes: Sequence[np.ndarray] | None, ids: Sequence[str], strict: bool) -> tuple[list[int], list[str]]:
    """Indices of images with a box (all, if boxes are not asked for), and names of those without.

    Raises:
        AttribevalError: If `strict` and an image has none, or none has any.
    """
    without = [] if boxes is None else [i for i in range(len(ids)) if len(boxes[i]) == 0]
    names = [ids[i] for i in without]
    if without and (strict or len(without) == len(ids)):
        some = len(without) < len(ids)
        remedy = "leave these images out or pass strict=False" if some else "score images of which some have boxes"
        raise AttribevalError(
            f"Expected a box for every image. Received none for {len(without)} of {len(ids)}: {', '.join(names[:5])}"
            f"{', …' if len(names) > 5 else ''}: {remedy}."
        )
    left_out = set(without)
    kept = [i for i in range(len(ids)) if i not in left_out]
    if not kept:
        raise AttribevalError("Expected at least one image. Received none.")
    return kept, names


def ground_truth_of(
    items: Sequence[int],
    sizes: Sequence[tuple[int, int]],
    boxes: Any,
    masks: Any,
    ids: Sequence[str],
    protocol: str,
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


def random_maps(items: Sequence[int], sizes: Sequence[tuple[int, int]], seed: int) -> list[np.ndarray]:
    """Uniform noise; each image's depends on its number and the seed alone."""
    return [np.random.default_rng([seed, i]).random(size, np.float32) for i, size in zip(items, sizes, strict=True)]


def sobel_maps(
    items: Sequence[int], sizes: Sequence[tuple[int, int]], images: Sequence[np.ndarray], ids: Sequence[str]
) -> list[np.ndarray]:
    """Gradient magnitudes by Sobel's operator of the images' grey values (mean of channels)."""
    from scipy.ndimage import sobel

    maps = []
    for i, size in zip(items, sizes, strict=True):
        grey = np.asarray(images[i], np.float64)
        grey = grey.mean(-1) if grey.ndim == 3 else grey
        if grey.shape != tuple(size):
            raise AttribevalError(f"Expected image {ids[i]!r} of its map's size {size}. Received: {grey.shape}.")
        maps.append(np.hypot(sobel(grey, 0), sobel(grey, 1)))
    return maps


def measure_baselines(
    sizes: Sequence[tuple[int, int]], boxes: Any, masks: Any, wanted: set[str], **options: Any
) -> dict[str, dict[str, np.ndarray]]:
    """What `measure` says of every baseline, by its name."""
    measured = {}
    for name in BASELINES:
        heatmaps, predicted = zip(*(baseline(name, size) for size in sizes), strict=True)
        drawn = None if predicted[0] is None else list(predicted)
        measured[name] = measure(list(heatmaps), boxes, masks, wanted, predicted=drawn, **options)
        if drawn is not None:
            measured[name]["fixed_box"] = np.ones(len(sizes), bool)
    return measured


def joined(parts: Sequence[Mapping[str, np.ndarray]]) -> Mapping[str, np.ndarray]:
    """The packed parts of one method as whole arrays."""
    return Unpacked({name: np.concatenate([part[name] for part in parts]) for name in parts[0]})


def wanted_arrays(metrics: Sequence[Metric]) -> set[str]:
    """Names of the arrays that some metrics need of each map."""
    return {need for metric in metrics for need in metric.needs} - PER_IMAGE
