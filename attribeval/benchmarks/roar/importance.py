"""From images to stored ranks: each image is explained once per estimator, and only rank levels are kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from attribeval.attributer import Attributer
from attribeval.benchmarks.roar import explained
from attribeval.benchmarks.roar.estimators import method_of
from attribeval.benchmarks.roar.grid import Cell, Grid, file_name
from attribeval.benchmarks.roar.ranks import levels, pack, packed_bytes
from attribeval.benchmarks.roar.records import Records
from attribeval.benchmarks.roar.run_dir import SPLITS, RunDir
from attribeval.benchmarks.roar.tasks import with_filtered
from attribeval.common.seeds import image_seeds
from attribeval.errors import AttribevalError
from attribeval.files import is_disk_full
from attribeval.methods.abilities import at
from attribeval.methods.card import Method
from attribeval.models.classifier import Classifier
from attribeval.runs.failures import each, reason_of
from attribeval.training.builder import build

_AT_ONCE = 64 * 224 * 224  # pixels of the images whose maps are in memory at the same time


def explained_model(
    run_dir: RunDir, grid: Grid, strategy: str | None = None, trained: Cell | None = None
) -> Attributer:
    """The model whose decisions are explained, the run's or that of a cell, on the devices of a strategy."""
    if trained is None and grid.explained != "unmodified":
        model = explained.load(run_dir)
    else:
        model = build(grid.model, 0)
        model.load_weights(run_dir.weights_file(trained or grid.unmodified()[0]))
    return Attributer(Classifier(model, preprocess=grid.preprocess), strategy=strategy)


def images_at_once(shape: tuple[int, ...]) -> int:
    """How many images (H, W, C) are explained before their maps are ranked: enough small ones for several devices."""
    return max(1, _AT_ONCE // (shape[0] * shape[1]))


def create_ranks(images: Records, grid: Grid, folder: Path, fractions: int) -> Records:
    """Lay out the files of a ranking of images, shard by shard as these; what is there stays."""
    shape = (packed_bytes(fractions, ranked_values(images.shape, grid.per)),)
    return Records.create(folder, images.name, images.count, shape, "uint8", images.shard_records)


def ranked_values(shape: tuple[int, ...], per: str) -> int:
    """How many numbers of an image (H, W, C) are ranked."""
    return int(np.prod(shape if per == "value" else shape[:2]))


def rank_shard(
    run_dir: RunDir, grid: Grid, split: str, shard: int, attributer: Attributer, own: Mapping[str, Method] | None = None
) -> dict[str, str]:
    """Explain the images of one shard by every estimator whose ranks are missing there.

    What estimators share is computed once. An estimator that fails does not take the others with it. `own` are the
    user's own methods by label, ready maps as those of the split; None: the estimators that any process can make.

    Returns errors by estimator, each naming the image; empty if all went well.
    """
    wanted = [label for label in grid.rankings() if shard in run_dir.missing_ranks(label, split)]
    methods, errors = _makeable(grid) if own is None else (dict(own), {})
    filtered = {Cell("max_filter", label, "remove", 0.0, 0).label: label for label in methods}
    needed = [label for label in methods if label in wanted or any(filtered.get(w) == label for w in wanted)]
    images = run_dir.images(split)
    start, stop = images.span(shard)
    labels = run_dir.labels(split)
    packed: dict[str, list[np.ndarray]] = {label: [] for label in wanted}
    at_once = images_at_once(images.shape)
    for first in range(start, stop, at_once):
        last = min(first + at_once, stop)
        raw = images[first:last].astype(np.float32)
        targets = None if grid.targets == "predicted" else labels[first:last]
        chosen = at({label: methods[label] for label in needed if label not in errors}, slice(first, last))
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
            ranks = create_ranks(images, grid, run_dir.ranks_folder(label), len(grid.fractions))
            ranks.write_shard(shard, np.concatenate(packed[label]))
    return {label: error for label, error in errors.items() if label in wanted}


def _makeable(grid: Grid) -> tuple[dict[str, Method], dict[str, str]]:
    """The methods that any process can make, and why some of them cannot be made here."""
    methods, errors = {}, {}
    for estimator in grid.estimators:
        if estimator.source == "maps":
            continue
        try:
            methods[estimator.label] = method_of(estimator)
        except AttribevalError as error:  # a package or a file that is not here
            errors[estimator.label] = str(error)
    return methods, errors


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
    """Maps by label, and why there are none, which names the first image that fails by itself."""

    def explain(some: Mapping[str, Any], rows: slice = slice(None)) -> dict[str, np.ndarray]:
        asked = None if targets is None else targets[rows]
        many = attributer.explain_many(raw[rows], at(some, rows), asked, seed=seed, progress=False, remarks=False)
        return {label: maps.values for label, maps in many.items()}

    def named(some: Mapping[str, Any]) -> dict[str, np.ndarray]:
        try:
            return explain(some)
        except Exception as error:
            if len(some) > 1 or is_disk_full(error):
                raise
            for i in range(len(raw)):
                try:
                    explain(some, slice(i, i + 1))
                except Exception as alone:
                    raise AttribevalError(f"{what} {first + i}: {reason_of(alone)}") from alone
            raise AttribevalError(f"{what}s {first} to {first + len(raw) - 1} together: {reason_of(error)}") from error

    return each(named, methods)


def store_own_maps(run_dir: RunDir, grid: Grid, own: Mapping[str, Any], strict: bool = False) -> None:
    """Store the ranks of methods that only this process has; where they are there already, nothing is asked for.

    What fails is written down, and so are then the cells that need it; the grid goes on, unless `strict`. `own` has, by
    label, a method, or ready maps by split.
    """
    attributer: Attributer | None = None
    for label in (e.label for e in grid.estimators if e.source == "maps"):
        task = f"own_{file_name(label)}"
        with run_dir.lock(task):
            names = [one for one in grid.rankings() if one in with_filtered(label)]
            missing = [one for one in names if any(run_dir.missing_ranks(one, split) for split in SPLITS)]
            errors: dict[str, str] = {}
            if missing and label not in own:
                why = (
                    "they are the user's own: call Evaluator.roar with them, or define the function at the top of a "
                    ".py file that is imported, where other processes find it."
                )
                errors = dict.fromkeys(missing, why)
            elif missing:
                attributer = attributer or explained_model(run_dir, grid)
                errors = _store_own(run_dir, grid, label, own[label], attributer, names)
            run_dir.write_failure(task, errors)
            if strict and errors:
                raise AttribevalError(
                    f"No maps of {label}, which strict=True makes an error: {next(iter(errors.values()))}"
                )


def _store_own(
    run_dir: RunDir, grid: Grid, label: str, own: Any, attributer: Attributer, names: Sequence[str]
) -> dict[str, str]:
    """Rank one estimator's maps; returns what went wrong, by ranking."""
    for split in SPLITS:
        method = own[split] if isinstance(own, dict) else own
        for shard in range(run_dir.images(split).shards):
            if not any(shard in run_dir.missing_ranks(one, split) for one in names):
                continue
            try:
                errors = rank_shard(run_dir, grid, split, shard, attributer, {label: method})
            except Exception as error:
                errors = dict.fromkeys(names, reason_of(error))
            if errors:
                return errors
    return {}
