"""Scores of any maps, from anywhere, against boxes or masks: arrays in, one table out. No model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from attribeval.benchmarks.wsol.baselines import BASELINES, measure_baselines
from attribeval.benchmarks.wsol.measure import Protocol, check_map, measure
from attribeval.benchmarks.wsol.metrics import Metric, choose_metrics, wanted_arrays
from attribeval.benchmarks.wsol.summary import Scored, Unpacked, folds, pack, summarise
from attribeval.benchmarks.wsol.truth import check_sizes, ground_truth_of, split_by_boxes, with_objects
from attribeval.errors import AttribevalError, unknown
from attribeval.methods.given import CONTROLS
from attribeval.metrics.localisation.boxes import check_iou_threshold
from attribeval.metrics.localisation.pointing_game import TOLERANCE, check_tolerance
from attribeval.results.result import Result

PROTOCOLS = ("fixed", "reference")
_CHUNK = 64


def evaluate(
    maps: Mapping[str, Sequence[np.ndarray]] | Sequence[np.ndarray], *,
    boxes: Sequence[np.ndarray] | None = None, masks: Sequence[np.ndarray] | None = None,
    labels: np.ndarray | None = None, top1: np.ndarray | None = None, top5: np.ndarray | None = None,
    images: Sequence[np.ndarray] | None = None, ids: Sequence[str] | None = None,
    photographs: Sequence[Any] | None = None, metrics: Sequence[str] | None = None, protocol: Protocol = "fixed",
    iou: float = 0.5, tolerance: float = TOLERANCE, held_out: int | float = 5, require_truth: bool = False,
    strict: bool = False, seed: int = 0, n_jobs: int | None = None,
) -> Result:  # fmt: skip
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
        photographs: What each image was made of, such as its file, where one stands for several classes and comes
            once for each: words then speak of pairs. None: each is one of its own.
        metrics: Names from `metrics.METRICS`; None: all that the given ground truth allows.
        protocol: "fixed", or "reference": maps and boxes as the code of Choe et al. 2020 treats them, faults included
            (`attribeval.benchmarks.wsol.reference` lists the differences).
        iou: Overlap at which a box is right, in all scores but V2.
        tolerance: Of the pointing game, pixels of the map.
        held_out: For scores with a threshold chosen on other images: number of folds, or share of images that choose.
        require_truth: An image without a box, or whose mask has no pixel of the object, is an error; otherwise it is
            left out and counted.
        strict: A metric that fails is an error; otherwise it is a row that says why.
        seed: Of folds and the random row.
        n_jobs: Threads, None for one per CPU.

    Returns:
        Result. `table`: one row per metric and method, best first, columns method, kind ("method", "control",
        "baseline"), metric, value, low, high (95 % interval over images at the threshold chosen: Wilson's for hits,
        Student's t for means; NaN for a single image that is no hit or miss), threshold (the best level 0..255, or α,
        on all images; NaN where there is none), images (with a score), seconds_per_image, error (why a score failed).
        `arrays`: "<method>/curve"
        (accuracy at each threshold), "<method>/curve V2" (3, 256), "<method>/hits" (N, 256), "<method>/<metric>/images"
        (N,), whose mean is the value. `summary.compare(result)` tests differences. `settings["skipped"]`: left out.

    Raises:
        AttribevalError: If lengths or sizes disagree, a map has NaN (with protocol "fixed") or infinite values, a box
            is inverted, empty or outside its map (naming the item), an image has no box or object and `require_truth`,
            no image is left, or a metric is unknown or needs what is not given.
    """
    maps = maps if isinstance(maps, Mapping) else {"maps": maps}
    if not maps:
        raise AttribevalError("Expected maps of at least one method. Received none.")
    check_options(protocol, iou, held_out, tolerance)
    n = len(next(iter(maps.values())))
    entries: dict[str, Any] = {"labels": labels, "top1": top1, "top5": top5, "ids": ids, "boxes": boxes, "masks": masks,
               "images": images, "photographs": photographs}  # fmt: skip
    _check_lengths(n, {f"maps of {name!r}": one for name, one in maps.items()} | entries)
    ids = [str(i) for i in range(n)] if ids is None else [str(name) for name in ids]
    shared = {name: np.asarray(v, bool) for name, v in [("top1", top1), ("top5", top5)] if v is not None}
    shared["labels"] = np.zeros(n, np.int64) if labels is None else np.asarray(labels)
    kept, skipped = split_by_boxes(boxes, ids, require_truth)
    have = {*shared, "folds"} if folds(len(kept), held_out, seed) is not None else {*shared}
    truth = {name for name, values in [("boxes", boxes), ("masks", masks)] if values is not None}
    chosen = _of_maps(choose_metrics(metrics, have, truth))
    wanted = wanted_arrays(chosen)
    options: dict[str, Any] = {"iou": iou, "protocol": protocol, "tolerance": tolerance, "n_jobs": n_jobs}
    parts: dict[str, list[dict[str, np.ndarray]]] = {}
    visible: list[int] = []
    for items, sizes, of_methods, some in _read(maps, boxes, masks, kept, ids, protocol, require_truth):
        visible += items
        every = _controls(items, sizes, images, ids, seed) | of_methods
        measured = {name: measure(of_one, *some, wanted, **options) for name, of_one in every.items()}
        for name, arrays in (measured | measure_baselines(sizes, *some, wanted, **options)).items():
            parts.setdefault(name, []).append(pack(arrays))
    if not visible:
        raise AttribevalError("Expected a mask with a pixel of the object. Received none: make maps of more pixels.")
    shared = {name: values[visible] for name, values in shared.items()}
    if (folds_of_images := folds(len(visible), held_out, seed)) is not None:
        shared["folds"] = folds_of_images
    kinds = dict.fromkeys(CONTROLS, "control") | dict.fromkeys(BASELINES, "baseline") | dict.fromkeys(maps, "method")
    scored = [Scored(name, kinds[name], joined(of_one)) for name, of_one in parts.items()]
    settings = {
        "images": len(visible), "methods": list(maps), "metrics": [metric.name for metric in chosen],
        "protocol": protocol, "iou": iou, "tolerance": tolerance, "held_out": held_out, "seed": seed,
        "skipped": [*skipped, *(ids[i] for i in sorted(set(kept) - set(visible)))],
        "photographs": len(visible) if photographs is None else len({str(photographs[i]) for i in visible}),
    }  # fmt: skip
    return summarise(scored, shared, chosen, settings, strict)


def _check_lengths(n: int, entries: Mapping[str, Sequence[Any] | None]) -> None:
    for what, values in entries.items():
        if values is not None and len(values) != n:
            raise AttribevalError(f"Expected {what} of {n} images. Received: {len(values)}.")


def _of_maps(metrics: Sequence[Metric]) -> Sequence[Metric]:
    """Refuses metrics that need more than maps."""
    for metric in metrics:
        if metric.asked:
            raise AttribevalError(
                f"{metric.name} needs a model and its images, not maps alone. Received maps: use Evaluator.wsol."
            )
    return metrics


def _read(
    maps: Mapping[str, Sequence[np.ndarray]],
    boxes: Sequence[np.ndarray] | None,
    masks: Sequence[np.ndarray] | None,
    kept: Sequence[int],
    ids: Sequence[str],
    protocol: str,
    require_truth: bool,
) -> Iterator[tuple[list[int], list[tuple[int, int]], dict[str, list[np.ndarray]], tuple[Any, Any]]]:
    """A few images after the other, checked: their numbers, the maps' sizes, maps by method, and boxes and masks."""
    for start in range(0, len(kept), _CHUNK):
        drawn = None if masks is None else {i: masks[i] for i in kept[start : start + _CHUNK]}
        items = with_objects(kept[start : start + _CHUNK], drawn, ids, require_truth)
        if items:
            of_methods = {name: [read_map(of_one, i, ids[i], name) for i in items] for name, of_one in maps.items()}
            sizes = [heatmap.shape for heatmap in next(iter(of_methods.values()))]
            check_sizes(of_methods, sizes, [ids[i] for i in items])
            yield items, sizes, of_methods, ground_truth_of(items, sizes, boxes, drawn, ids, protocol)


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


def _controls(
    items: Sequence[int],
    sizes: Sequence[tuple[int, int]],
    images: Sequence[np.ndarray] | None,
    ids: Sequence[str],
    seed: int,
) -> dict[str, list[np.ndarray]]:
    """Uniform noise, each image's of its number and the seed alone; of images, Sobel's magnitudes of their grey."""
    noise = [np.random.default_rng([seed, i]).random(size, np.float32) for i, size in zip(items, sizes, strict=True)]
    if images is None:
        return {"random": noise}
    from scipy.ndimage import sobel

    edges = []
    for i, size in zip(items, sizes, strict=True):
        grey = np.asarray(images[i], np.float64)
        grey = grey.mean(-1) if grey.ndim == 3 else grey
        if grey.shape != tuple(size):
            raise AttribevalError(f"Expected image {ids[i]!r} of its map's size {size}. Received: {grey.shape}.")
        edges.append(np.hypot(sobel(grey, 0), sobel(grey, 1)))
    return {"random": noise, "sobel": edges}


def joined(parts: Sequence[Mapping[str, np.ndarray]]) -> Mapping[str, np.ndarray]:
    """The packed parts of one method as whole arrays."""
    return Unpacked({name: np.concatenate([part[name] for part in parts]) for name in parts[0]})
