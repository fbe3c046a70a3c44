"""From images to stored ranks: each image is explained once per estimator, and only rank levels are kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from attribeval.attributer import Attributer, image_seeds
from attribeval.benchmarks.roar.builder import build
from attribeval.benchmarks.roar.grid import Cell, Grid
from attribeval.benchmarks.roar.ranks import levels, pack, packed_bytes
from attribeval.benchmarks.roar.records import Records
from attribeval.benchmarks.roar.run_dir import RunDir
from attribeval.errors import AttribevalError
from attribeval.methods.registry import build_method
from attribeval.models.classifier import Classifier

_AT_ONCE = 64 * 224 * 224  # pixels of the images whose maps are in memory at the same time
Maps = Callable[[np.ndarray, int], np.ndarray]  # raw images (B, H, W, C) and where they start → maps


def explained_model(run_dir: RunDir, grid: Grid, strategy: str | None = None) -> Attributer:
    """The model whose decisions the estimators explain, on the devices of a strategy; see `Attributer`."""
    from attribeval import _tf as tf

    if grid.explained != "unmodified":
        model = tf.keras.models.load_model(run_dir.explained_file, compile=False, safe_mode=True)
    else:
        model = build(grid.model, 0)
        model.load_weights(run_dir.weights_file(Cell("unmodified", "", "none", 0.0, 0)))
    return Attributer(Classifier(model, preprocess=grid.preprocess), strategy=strategy)


def images_at_once(shape: tuple[int, ...]) -> int:
    """How many images (H, W, C) are explained before their maps are ranked: enough small ones for several devices."""
    return max(1, _AT_ONCE // (shape[0] * shape[1]))


def create_ranks(run_dir: RunDir, grid: Grid, label: str, split: str) -> Records:
    """Lay out the files of a ranking, shard by shard as the images; what is there stays."""
    images = run_dir.images(split)
    shape = (packed_bytes(len(grid.fractions), ranked_values(images.shape, grid.per)),)
    return Records.create(run_dir.ranks_folder(label), split, images.count, shape, "uint8", images.shard_records)


def ranked_values(shape: tuple[int, ...], per: str) -> int:
    """How many numbers of an image (H, W, C) are ranked."""
    return int(np.prod(shape if per == "value" else shape[:2]))


def rank_shard(run_dir: RunDir, grid: Grid, split: str, shard: int, attributer: Attributer) -> dict[str, str]:
    """Explain the images of one shard by every estimator of ours whose ranks are missing there.

    What estimators share is computed once. An estimator that fails does not take the others with it.

    Returns:
        Errors by estimator, each naming the image; empty if all went well.
    """
    wanted = [label for label in grid.rankings() if shard in run_dir.missing_ranks(label, split)]
    methods = {e.label: build_method(e.text) for e in grid.estimators if e.source == "method"}
    filtered = {Cell("max_filter", label, "remove", 0.0, 0).label: label for label in methods}
    needed = [label for label in methods if label in wanted or any(filtered.get(w) == label for w in wanted)]
    images = run_dir.images(split)
    start, stop = images.span(shard)
    labels = run_dir.labels(split)
    packed: dict[str, list[np.ndarray]] = {label: [] for label in wanted}
    errors: dict[str, str] = {}
    at_once = images_at_once(images.shape)
    for first in range(start, stop, at_once):
        last = min(first + at_once, stop)
        raw = images.read(first, last).astype(np.float32)
        targets = None if grid.targets == "predicted" else labels[first:last]
        chosen = {label: methods[label] for label in needed if label not in errors}
        maps, failed = _explain(attributer, raw, chosen, targets, grid.seed, f"{split} image", first)
        errors |= failed
        for label in wanted:
            base = filtered.get(label, label)
            if base in maps:
                found = max_filtered(maps[base]) if label in filtered else maps[base]
                packed[label].append(_packed(found, raw, grid))
    for label in wanted:
        base = filtered.get(label, label)
        if base in errors:
            errors.setdefault(label, errors[base])
        elif base in methods:
            create_ranks(run_dir, grid, label, split).write_shard(shard, np.concatenate(packed[label]))
    return errors


def rank_maps(run_dir: RunDir, grid: Grid, label: str, split: str, maps: Maps) -> None:
    """Store the ranks of maps that the user made.

    Args:
        run_dir, grid: The run.
        label: The estimator's.
        split: "train" or "test".
        maps: Called with raw images, float32 (B, H, W, C), and the number of the first; returns their maps.

    Raises:
        AttribevalError: If maps are not (B, H, W, C or 1) or not finite (naming the image).
    """
    images = run_dir.images(split)
    filtered = Cell("max_filter", label, "remove", 0.0, 0).label
    for name in [name for name in grid.rankings() if name in (label, filtered)]:
        records = create_ranks(run_dir, grid, name, split)
        for shard in records.missing():
            start, stop = images.span(shard)
            parts = []
            at_once = images_at_once(images.shape)
            for first in range(start, stop, at_once):
                raw = images.read(first, min(first + at_once, stop)).astype(np.float32)
                given = _checked_maps(maps(raw, first), raw.shape, f"{label}, {split} image", first)
                parts.append(_packed(max_filtered(given) if name == filtered else given, raw, grid))
            records.write_shard(shard, np.concatenate(parts))


def max_filtered(maps: np.ndarray) -> np.ndarray:
    """Each value replaced by the largest of its 3 × 3 neighbourhood, by channel ("Pitfalls of ROAR", 2304.13836)."""
    from scipy.ndimage import maximum_filter

    return maximum_filter(maps, size=(1, 3, 3, 1), mode="nearest")


def _packed(maps: np.ndarray, raw: np.ndarray, grid: Grid) -> np.ndarray:
    if grid.per == "value":
        maps = np.broadcast_to(maps, raw.shape)  # a place's value counts for each of its channels
    found = levels(maps, grid.fractions, image_seeds(raw, grid.seed), per=grid.per)
    return pack(found, len(grid.fractions))


def _explain(
    attributer: Attributer,
    raw: np.ndarray,
    methods: Mapping[str, Any],
    targets: np.ndarray | None,
    seed: int,
    what: str,
    first: int,
) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Maps by label; where that fails, method by method, and the first image that fails by itself is named."""
    if not methods:
        return {}, {}
    try:
        many = attributer.explain_many(raw, methods, targets, seed=seed, progress=False, remarks=False)
        return {label: maps.values for label, maps in many.items()}, {}
    except Exception as error:
        if len(methods) == 1:
            (label,) = methods
            return {}, {label: _first_failure(attributer, raw, methods, targets, seed, what, first, error)}
    maps: dict[str, np.ndarray] = {}
    errors: dict[str, str] = {}
    for label, method in methods.items():
        more, failed = _explain(attributer, raw, {label: method}, targets, seed, what, first)
        maps |= more
        errors |= failed
    return maps, errors


def _first_failure(
    attributer: Attributer,
    raw: np.ndarray,
    methods: Any,
    targets: Any,
    seed: int,
    what: str,
    first: int,
    error: Exception,
) -> str:
    for i in range(len(raw)):
        one = None if targets is None else targets[i : i + 1]
        try:
            attributer.explain_many(raw[i : i + 1], methods, one, seed=seed, progress=False, remarks=False)
        except Exception as alone:
            return f"{what} {first + i}: {type(alone).__name__}: {alone}"
    return f"{what}s {first} to {first + len(raw) - 1} together: {type(error).__name__}: {error}"


def _checked_maps(maps: Any, shape: tuple[int, ...], what: str, first: int) -> np.ndarray:
    array = np.asarray(maps, dtype=np.float32)
    if array.ndim == 3:
        array = array[..., None]
    if array.shape[:3] != shape[:3] or array.shape[3] not in (1, shape[3]):
        raise AttribevalError(
            f"Expected maps of shape {shape} or {(*shape[:3], 1)} for {what}s {first} to {first + shape[0] - 1}. "
            f"Received: {np.shape(maps)}."
        )
    finite = np.isfinite(array).all(axis=(1, 2, 3))
    if not finite.all():
        raise AttribevalError(
            f"Expected finite maps. Received NaN or infinity for {what} {first + int(np.argmin(finite))}."
        )
    return array
