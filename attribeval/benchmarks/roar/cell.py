"""One training of the grid, from the run directory to its record."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from attribeval import _tf as tf
from attribeval.benchmarks.roar.grid import Cell, Grid
from attribeval.benchmarks.roar.pipeline import MaskedImages
from attribeval.benchmarks.roar.ranks import MaskRule, Mode, mask_rule
from attribeval.benchmarks.roar.records import Records
from attribeval.benchmarks.roar.recursion import rank_again
from attribeval.benchmarks.roar.run_dir import KEPT, SPLITS, RunDir
from attribeval.common.versions import versions
from attribeval.files import write_model
from attribeval.models.preprocessing import find_preprocessing
from attribeval.models.run_options import tf32
from attribeval.runs.keys import file_digest
from attribeval.training.builder import build
from attribeval.training.evaluation import evaluate
from attribeval.training.loop import train
from attribeval.training.recipe import Recipe
from attribeval.training.strategies import is_chief

_EVALUATED_AT_ONCE = 256


def run_cell(
    run_dir: RunDir, grid: Grid, cell: Cell, strategy: Any, callbacks: Sequence[Any], threads: int | None
) -> None:
    """Train, evaluate, and write the record (the chief alone, where several processes share the training).

    `threads` that TensorFlow was allowed to use are for the record.
    """
    recipe = Recipe(**grid.recipe)
    begun = time.perf_counter()
    seed, classes = grid.cell_seed(cell), grid.data["classes"]
    with tf32(recipe.precision == "tf32"):
        view = _View(run_dir, grid, cell)
        with strategy.scope():
            model = build(grid.model, seed, recipe.policy)

        def batches(size: int, pipeline: tuple[int, int]) -> Any:
            return view.batches("train", size, training=True, seed=seed, augment=recipe.augment, shard=pipeline)

        history = train(model, batches, run_dir.images("train").count, recipe, strategy, callbacks)
        trained = time.perf_counter() - begun
        score = evaluate(model, view.batches("test"), classes)
        weights = _save_weights(model, run_dir, cell)
        before = None
        if cell.kind not in ("unmodified", "leakage"):
            before = _without_retraining(model, run_dir, cell, view, classes)
    record = {
        **_names(grid, cell, "done"),
        **asdict(score),
        "per_class_accuracy": [None if value != value else value for value in score.per_class_accuracy],
        "without_retraining": before,
        "weights": weights,
        "seconds": time.perf_counter() - begun,
        "training_seconds": trained,
        "history": asdict(history),
        "versions": versions(),
        "hardware": hardware(strategy, threads),
        "error": None,
    }
    if is_chief():
        run_dir.write_record(cell, record)


def failed_record(grid: Grid, cell: Cell, error: str, seconds: float) -> dict[str, Any]:
    """The record of a training that could not be finished."""
    nothing = dict.fromkeys(
        ("accuracy", "loss", "per_class_accuracy", "without_retraining", "weights", "images", "history")
    )
    return {
        **_names(grid, cell, "failed"),
        **nothing,
        "seconds": seconds,
        "versions": versions(),
        "hardware": hardware(None, None),
        "error": error,
    }


def _names(grid: Grid, cell: Cell, status: str) -> dict[str, Any]:
    """What every record starts with."""
    return {
        "name": cell.name,
        "status": status,
        "kind": cell.kind,
        "estimator": cell.label,
        "mode": cell.mode,
        "fraction": cell.fraction,
        "repeat": cell.repeat,
        "seed": grid.cell_seed(cell),
    }


def hardware(strategy: Any | None, threads: int | None) -> dict[str, Any]:
    """Where a record comes from."""
    about: dict[str, Any] = {"host": platform.node(), "machine": platform.machine(), "cores": os.cpu_count()}
    if strategy is not None:
        about |= {
            "gpus": [device.name for device in tf.config.list_physical_devices("GPU")],
            "strategy": type(strategy).__name__,
            "replicas": strategy.num_replicas_in_sync,
            "threads": threads,
        }
    return about


class _View:
    """The images of a cell, as it sees them."""

    def __init__(self, run_dir: RunDir, grid: Grid, cell: Cell):
        self.run_dir, self.grid, self.cell = run_dir, grid, cell
        self.mean = run_dir.channel_mean()
        self.preprocess = find_preprocessing(grid.preprocess)
        self.rule: MaskRule | None = None
        self.folder: Path | None = None
        if cell.kind == "recursive":
            self.folder = rank_again(run_dir, grid, cell, self.mean)
            self.rule = mask_rule(1, 0, "remove")
        elif cell.kind != "unmodified":
            self.folder = run_dir.ranks_folder(cell.ranking)
            mode: Mode = "keep" if cell.mode == "keep" else "remove"
            self.rule = mask_rule(len(grid.fractions), grid.fractions.index(cell.fraction), mode)
        if self.folder is not None:
            for split in SPLITS:
                Records.open(self.folder, split).verify()

    def batches(self, split: str, batch_size: int = _EVALUATED_AT_ONCE, training: bool = False, **options: Any) -> Any:
        """Model inputs and labels of a split; one pass in order, or endless and shuffled for training."""
        ranks = None if self.folder is None else Records.open(self.folder, split)
        images = MaskedImages(
            self.run_dir.images(split),
            self.run_dir.labels(split),
            ranks,
            rule=self.rule,
            per=self.grid.per,
            fill=self.grid.fill,
            channel_mean=self.mean,
            content="mask" if self.cell.kind == "leakage" else "image",
        )
        dataset = images.batches(batch_size, training=training, **options)
        if self.preprocess is None:
            return dataset
        return dataset.map(lambda x, y: (self.preprocess(x), y), num_parallel_calls=1)


def _without_retraining(model: Any, run_dir: RunDir, cell: Cell, view: _View, classes: int) -> float | None:
    """Accuracy of the unmodified model of the same repeat on the modified test images (Hooker et al., figure 3).

    The trained weights of `model` are lost.
    """
    unmodified = Cell("unmodified", "", "none", 0.0, cell.repeat)
    if not run_dir.is_done(unmodified):
        return None
    model.load_weights(run_dir.weights_file(unmodified))
    return evaluate(model, view.batches("test"), classes).accuracy


def _save_weights(model: Any, run_dir: RunDir, cell: Cell) -> str | None:
    """Keep what later work needs, the unmodified models and those that recursive rankings explain: the file's hash."""
    if cell.kind not in KEPT or not is_chief():
        return None
    file = run_dir.weights_file(cell)
    write_model(file, model, model.save_weights)
    return file_digest(file)
