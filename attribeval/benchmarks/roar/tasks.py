"""The units of work that processes share: a training, or the maps of one shard. A task is named, locked, done once."""

from __future__ import annotations

import re
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from attribeval.benchmarks.roar.grid import Cell, Grid
from attribeval.benchmarks.roar.run_dir import SPLITS, RunDir
from attribeval.errors import AttribevalError
from attribeval.files import is_disk_full
from attribeval.importable import function_in_file
from attribeval.training.memory import grow_memory, lack_of_memory

Outcome = Literal["done", "failed", "busy", "full"]


@dataclass(frozen=True)
class Setup:
    """How a process works, whatever the task.

    Attributes:
        strategy: A name of `strategies.NAMES`, or a `tf.distribute.Strategy`, which stays in its process.
        callbacks: Keras callbacks, or a function of the cell's name that returns some; {"file", "name"} names
            such a function for other processes.
        threads: Of TensorFlow, per process; None leaves it to TensorFlow. The same number gives the same bits.
        sharing: How many tasks at a time share this one's devices and memory, as far as that is known.
    """

    strategy: Any = "auto"
    callbacks: Any = ()
    threads: int | None = None
    sharing: int = 1

    def callbacks_of(self, cell: Cell) -> Sequence[Any]:
        """The callbacks of one training."""
        callbacks = self.callbacks
        if isinstance(callbacks, dict):
            callbacks = function_in_file(callbacks["file"], callbacks["name"])
        return callbacks(cell.name) if callable(callbacks) else callbacks


def is_maps(task: str) -> bool:
    """Whether a task makes maps; a cell of an estimator called "maps" is another thing."""
    return re.fullmatch(r"maps_(train|test)_\d+", task) is not None


def map_tasks(run_dir: RunDir, grid: Grid) -> list[str]:
    """Names of the tasks that make maps, those of the test images first: they are few, and show faults early."""
    names = []
    for split in reversed(SPLITS):
        missing: set[int] = set()
        for label in _of_ours(grid):
            missing |= set(run_dir.missing_ranks(label, split))
        names += [f"maps_{split}_{shard:05d}" for shard in sorted(missing)]
    return names


def _of_ours(grid: Grid) -> list[str]:
    """Rankings that a process can compute by itself; maps that the user made are stored before."""
    given = {label for e in grid.estimators if e.source == "maps" for label in with_filtered(e.label)}
    return [label for label in grid.rankings() if label not in given]


def with_filtered(label: str) -> tuple[str, str]:
    """An estimator's rankings: its own, and that of its max filter."""
    return label, Cell("max_filter", label, "remove", 0.0, 0).label


def is_finished(run_dir: RunDir, grid: Grid, task: str) -> bool:
    """Whether a task's result is in the directory."""
    if is_maps(task):
        _, split, shard = task.split("_")
        return not any(int(shard) in run_dir.missing_ranks(label, split) for label in _of_ours(grid))
    return run_dir.is_done(cells_by_name(grid)[task])


def map_errors(run_dir: RunDir, grid: Grid) -> dict[str, str]:
    """Why rankings that are not complete could not be made, as far as that was tried."""
    written = run_dir.failures()
    return {
        label: written[label]
        for label in grid.rankings()
        if label in written and any(run_dir.missing_ranks(label, split) for split in SPLITS)
    }


def cells_by_name(grid: Grid) -> dict[str, Cell]:
    return {cell.name: cell for cell in grid.cells()}


def prepare_process(setup: Setup) -> None:
    """Settings of TensorFlow that must come before its first operation; call it in processes of our own only."""
    import tensorflow as tf

    if setup.threads is not None:
        tf.config.threading.set_intra_op_parallelism_threads(setup.threads)
        tf.config.threading.set_inter_op_parallelism_threads(setup.threads)
    grow_memory()
    tf.config.experimental.enable_op_determinism()


def run_task(run_dir: RunDir, grid: Grid, task: str, setup: Setup, locked: bool = True) -> Outcome:
    """Do a task, unless it is done or another process is at it; a failure is recorded, not raised.

    `locked=False` is for a process that only helps another, which holds the lock.

    "done"; "failed"; "busy": another process holds the task; or "full": the disk is, so that not even a failure can be
    written down.
    """
    work: Callable[..., Outcome] = _run_maps if is_maps(task) else _run_cell
    return _once(run_dir, grid, task, lambda: work(run_dir, grid, task, setup), locked)


def _once(run_dir: RunDir, grid: Grid, task: str, work: Callable[[], Outcome], locked: bool = True) -> Outcome:
    """Work on a task while nobody else is at it, unless it is done; "full" if the disk is."""
    try:
        if not locked:
            return work()
        with run_dir.try_lock(task) as free:
            if not free:
                return "busy"
            return "done" if is_finished(run_dir, grid, task) else work()
    except (OSError, AttribevalError) as error:
        if is_disk_full(error):
            return "full"
        raise


def run_one(path: str, task: str, setup: dict[str, Any]) -> Outcome:
    """`run_task` in a process of its own, from plain values; what executors send to other machines."""
    run_dir, made = RunDir(path), Setup(**setup)
    prepare_process(made)
    return run_task(run_dir, run_dir.grid(), task, made)


def _run_cell(run_dir: RunDir, grid: Grid, task: str, setup: Setup) -> Outcome:
    from attribeval.benchmarks.roar.cell import failed_record, run_cell
    from attribeval.training.strategies import is_chief, make_strategy

    cell = cells_by_name(grid)[task]
    begun = time.perf_counter()
    try:
        _refuse_failed_maps(run_dir, cell)
        run_cell(run_dir, grid, cell, make_strategy(setup.strategy), setup.callbacks_of(cell), setup.threads)
    except Exception as error:
        if is_disk_full(error):
            raise
        if is_chief():
            why = lack_of_memory(error, setup.sharing) or _told(error)
            run_dir.write_record(cell, failed_record(grid, cell, why, time.perf_counter() - begun))
        return "failed"
    return "done"


def _refuse_failed_maps(run_dir: RunDir, cell: Cell) -> None:
    if cell.kind in ("unmodified", "recursive"):
        return
    if any(run_dir.missing_ranks(cell.ranking, split) for split in SPLITS):
        error = run_dir.failures().get(cell.ranking, "they are not there")
        raise AttribevalError(f"No maps of {cell.ranking}: {error}")


def _run_maps(run_dir: RunDir, grid: Grid, task: str, setup: Setup) -> Outcome:
    from attribeval.benchmarks.roar.importance import explained_model, rank_shard
    from attribeval.training.strategies import strategy_of_maps

    _, split, shard = task.split("_")
    try:
        attributer = explained_model(run_dir, grid, strategy_of_maps(setup.strategy))
        errors = rank_shard(run_dir, grid, split, int(shard), attributer)
    except Exception as error:  # not one estimator's fault
        if is_disk_full(error):
            raise
        errors = dict.fromkeys(_of_ours(grid), lack_of_memory(error, setup.sharing) or _told(error))
    if setup.sharing > 1:
        share = f"{setup.sharing} tasks at a time share the memory: lower jobs (--jobs)."
        errors = {label: f"{why} {share}" if "Out of memory with" in why else why for label, why in errors.items()}
    run_dir.write_failure(task, errors)
    return "failed" if errors else "done"


def record_death(run_dir: RunDir, grid: Grid, task: str, how: str) -> Outcome:
    """Write down that a task's process died without a word, unless its work is done, or another process is at it."""

    def write() -> Outcome:
        if is_maps(task):
            run_dir.write_failure(task, dict.fromkeys(_of_ours(grid), how))
        else:
            from attribeval.benchmarks.roar.cell import failed_record

            cell = cells_by_name(grid)[task]
            run_dir.write_record(cell, failed_record(grid, cell, how, 0.0))
        return "failed"

    return _once(run_dir, grid, task, write)


def _told(error: Exception) -> str:
    """Our own errors say enough; of others the place is told, too."""
    if isinstance(error, AttribevalError):
        return str(error)
    return "".join(traceback.format_exception(error, limit=-4)).strip()
