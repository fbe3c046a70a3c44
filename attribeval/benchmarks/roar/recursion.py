"""Recursive ROAR (Madsen et al. 2022, arXiv:2110.08412, section 4): rank again on the model retrained one step before.

What was removed at a smaller fraction stays removed; the rest is ranked by explaining the images as that model saw
them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from attribeval.attributer import Attributer
from attribeval.benchmarks.roar.estimators import method_of
from attribeval.benchmarks.roar.grid import Cell, Grid
from attribeval.benchmarks.roar.importance import create_ranks, explained_model
from attribeval.benchmarks.roar.pipeline import MaskedImages
from attribeval.benchmarks.roar.ranks import levels, mask_rule, pack, unpack
from attribeval.benchmarks.roar.records import Records
from attribeval.benchmarks.roar.run_dir import SPLITS, RunDir
from attribeval.common.seeds import image_seeds
from attribeval.errors import AttribevalError
from attribeval.methods.abilities import refuse

_AT_ONCE = 64  # images whose maps are in memory at the same time


def rank_again(run_dir: RunDir, grid: Grid, cell: Cell, mean: np.ndarray) -> Path:
    """Make the ranks of a recursive cell for both splits, of its one fraction, and return their folder.

    What is there already stays. The training one fraction before must be done. `mean`: of the training set, by channel.
    """
    folder = run_dir.path / "maps" / cell.name
    place = grid.fractions.index(cell.fraction)
    before = None if place == 0 else Cell(cell.kind, cell.estimator, cell.mode, grid.fractions[place - 1], cell.repeat)
    if before is not None and not run_dir.is_done(before):
        raise AttribevalError(f"Expected {before.name} to be done before {cell.name}. Received: it is not.")
    attributer: Attributer | None = None
    for split in SPLITS:
        ranks = create_ranks(run_dir.images(split), grid, folder, 1)
        if ranks.missing():
            removed = None if before is None else Records.open(run_dir.path / "maps" / before.name, split)
            attributer = attributer or explained_model(run_dir, grid, trained=before)
            _rank_split(run_dir, grid, cell, split, attributer, removed, ranks, mean)
    return folder


def _rank_split(
    run_dir: RunDir,
    grid: Grid,
    cell: Cell,
    split: str,
    attributer: Attributer,
    removed: Records | None,
    ranks: Records,
    mean: np.ndarray,
) -> None:
    """Explain the images of a split as the model before saw them, in order, and write their ranks shard by shard."""
    method = method_of(next(e for e in grid.estimators if e.label == cell.estimator))
    refuse({cell.estimator: method}, "the control 'recursive'", model=True)
    images = run_dir.images(split)
    seen = MaskedImages(
        images, run_dir.labels(split), removed, rule=None if removed is None else mask_rule(1, 0, "remove"),
        per=grid.per, fill=grid.fill, channel_mean=mean,
    )  # fmt: skip
    first, shard, rows = 0, 0, np.empty((0, *ranks.shape), np.uint8)
    for shown, labels in seen.batches(_AT_ONCE, training=False).as_numpy_iterator():
        original = images[first : first + len(shown)]
        gone = None if removed is None else removed[first : first + len(shown)]
        targets = None if grid.targets == "predicted" else labels
        named = {cell.estimator: method}
        (made,) = attributer.explain_many(shown, named, targets, seed=grid.seed, progress=False, remarks=False).values()
        rows = np.concatenate([rows, _packed(made.values, gone, original, grid, cell.fraction)])
        first += len(shown)
        while shard < ranks.shards and len(rows) >= (size := np.diff(ranks.span(shard))[0]):
            ranks.write_shard(shard, rows[:size])
            shard, rows = shard + 1, rows[size:]


def _packed(maps: Any, gone: np.ndarray | None, original: np.ndarray, grid: Grid, fraction: float) -> np.ndarray:
    """Ranks of maps (B, H, W, C or 1); what is gone already comes before all that is still there."""
    raw = original.astype(np.float32)
    maps = np.broadcast_to(maps, raw.shape) if grid.per == "value" else maps.sum(-1, keepdims=True)
    flat = maps.reshape(len(maps), -1).astype(np.float64)
    if gone is not None:
        removed = unpack(gone, 1, flat.shape[1]) == 0
        flat = np.where(removed, np.abs(flat).max() + 1, flat)
    found = levels(flat.reshape(maps.shape), (fraction,), image_seeds(raw, grid.seed), per=grid.per)
    return pack(found, 1)
