"""ROAR and KAR from end to end (Hooker et al. 2019): remove or keep, retrain, and say who beats chance.

The work is done in stages, each a list of tasks: the unmodified models, the maps, the modified models. Any number of
processes may work on one run directory.
"""

from __future__ import annotations

import dataclasses
import errno
import os
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from typing import Any

from attribeval import progress as progress_bars
from attribeval.benchmarks.roar import explained
from attribeval.benchmarks.roar.example import example_arrays
from attribeval.benchmarks.roar.executors.choose import check_executor, make_executor, portable
from attribeval.benchmarks.roar.executors.here import Cooperative
from attribeval.benchmarks.roar.grid import Cell, Grid
from attribeval.benchmarks.roar.importance import store_own_maps
from attribeval.benchmarks.roar.leakage import entropy_of
from attribeval.benchmarks.roar.options import GridOptions, RoarOptions, WorkOptions
from attribeval.benchmarks.roar.records import CorruptRecords, Records
from attribeval.benchmarks.roar.request import make_request
from attribeval.benchmarks.roar.run_dir import KEPT, SPLITS, RunDir
from attribeval.benchmarks.roar.shard_file import disk_full, drop_damaged
from attribeval.benchmarks.roar.summary import summarise
from attribeval.benchmarks.roar.tasks import Setup, cells_by_name, is_finished, is_maps, map_tasks
from attribeval.common.arguments import hints, takes
from attribeval.errors import AttribevalError
from attribeval.results.result import Result
from attribeval.training.builder import refuse_start_within_file
from attribeval.training.memory import grow_memory
from attribeval.training.strategies import make_strategy, workers

_POLL = 1.0  # seconds between looks at what other processes do


@takes(RoarOptions)
def run_roar(build_model: Callable[[], Any], dataset: Any, options: RoarOptions) -> Result:
    """Rank every image's values by each estimator, remove or keep the top fractions, retrain, and compare.

    Args:
        build_model: A function that returns an untrained Keras classifier. Models of Keras' own layers are written
            down as they are; others need a function at the top of a `.py` file.
        dataset: Anything with `.train` and `.test`, or a pair of `Samples`. Images of files are resized to the model's
            input.

    Returns:
        See `summary.summarise`. Failed cells are rows without a value, and are named in the summary.

    Raises:
        AttribevalError: For bad arguments; if `run_dir` holds another grid (says what differs); or if the unmodified
            model cannot be trained.
    """
    refuse_start_within_file()
    strategy, setup = options.strategy, Setup(options.strategy, portable(options.callbacks))
    executor = (options.executor, options.jobs, options.gpus_per_job, options.executor_options)
    stays = check_executor(setup, *executor)
    together = isinstance(strategy, str) and workers() > 1
    if together:  # must be TensorFlow's first call
        strategy = make_strategy(strategy)
    if not stays:
        grow_memory()  # this process builds the model too, and must leave the GPU to those that train
    request = make_request(build_model, dataset, **{one: getattr(options, one) for one in hints(GridOptions)})
    working = RunDir(options.run_dir)
    grid = working.claim(request.grid)
    request.source.write(working, options.progress)
    if request.checkpoint is not None:
        explained.keep(working, request.checkpoint)
    _drop_corrupted(working, grid)
    if together:
        chosen: Any = Cooperative(dataclasses.replace(setup, strategy=strategy))
    else:
        chosen = make_executor(setup, *executor)
    return _work(working, grid, chosen, request.own, options)


@takes(WorkOptions)
def continue_roar(run_dir: str | PathLike, options: WorkOptions) -> Result:
    """Go on with a run directory as it is, alone or beside other processes; it needs neither data set nor builder.

    Args:
        run_dir: A folder in which `run_roar` prepared its images.

    Raises:
        AttribevalError: If the folder holds no grid, or images are missing or corrupted there.
    """
    working, setup = RunDir.existing(run_dir), Setup(options.strategy, portable(options.callbacks))
    grid = working.grid()
    for split in SPLITS:
        try:
            working.images(split).verify()
            working.labels(split)
        except AttribevalError as error:
            raise AttribevalError(f"{error} That needs the data set (--data).") from error
    if grid.explained != "unmodified":
        explained.check(working)
    _drop_corrupted(working, grid)
    chosen = make_executor(setup, options.executor, options.jobs, options.gpus_per_job, options.executor_options)
    return _work(working, grid, chosen, {}, options)


def report(run_dir: RunDir, example: int = 0) -> Result:
    """The answer, from the records that there are; pictures show the test image number `example`."""
    grid = run_dir.grid()
    records = run_dir.records()
    done = [record for record in records if record["status"] == "done"]
    if not done:
        raise AttribevalError(f"Expected finished cells in {run_dir.path}. Received none: attribeval roar run first.")
    settings = grid.to_json() | {
        "expected_cells": len(grid.cells()),
        "done_cells": len(done),
        "cost": {
            "cells": len(done),
            "seconds": sum(record["seconds"] for record in done),
            "hosts": sorted({record["hardware"]["host"] for record in done}),
        },
        "versions": done[0]["versions"],
        "class_entropy": entropy_of(run_dir.labels("test")),
    }
    settings["model"] = {key: value for key, value in settings["model"].items() if key != "architecture"}
    made = summarise(records, settings, planned=[cell.name for cell in grid.cells()])
    made.arrays |= example_arrays(run_dir, grid, example)
    return made


def _drop_corrupted(run_dir: RunDir, grid: Grid) -> None:
    """Delete weights and rank files that are not as they were written, so that they are made again; say which."""
    for cell in grid.cells():
        if cell.kind in KEPT:
            run_dir.drop_damaged_weights(cell)
    folders = [run_dir.ranks_folder(label) for label in grid.rankings()]
    folders += [run_dir.path / "maps" / cell.name for level in grid.recursive() for cell in level]
    for folder in folders:
        for split in SPLITS:
            description = folder / f"{split}.json"
            if not description.is_file() or drop_damaged(description):
                continue
            records = Records.open(folder, split)
            for shard in range(records.shards):
                try:
                    records.verify(shard)
                except CorruptRecords as error:
                    if not error.path.is_file():  # not made yet
                        continue
                    warnings.warn(f"{error} It is made again.", stacklevel=3)
                    error.path.unlink(missing_ok=True)


def _work(run_dir: RunDir, grid: Grid, executor: Any, own: Mapping[str, Any], options: WorkOptions) -> Result:
    """Do what is missing, stage by stage, and report; with `strict` the first task that fails is an error."""

    def stage(tasks: Sequence[str], what: str) -> None:
        _stage(run_dir, grid, tasks, executor, what, options)

    try:
        stage([c.name for c in grid.unmodified()], "unmodified models")
        _check_explained(run_dir, grid)
        store_own_maps(run_dir, grid, own, options.strict)
        stage(map_tasks(run_dir, grid), "maps")
        recursive = grid.recursive()
        first = grid.modified() + (recursive[0] if recursive else [])
        stage([cell.name for cell in first], "modified models")
        for level in recursive[1:]:
            stage([cell.name for cell in level], "recursive models")
    finally:
        executor.close()
    return report(run_dir)


def _stage(run_dir: RunDir, grid: Grid, tasks: Sequence[str], executor: Any, what: str, options: WorkOptions) -> None:
    """Do the tasks that are not done, each at most once in this call, and wait for those that others do."""
    waiting = [task for task in tasks if not is_finished(run_dir, grid, task)]
    with progress_bars.bar(len(tasks), what, options.progress, unit="task") as bar:
        bar.update(len(tasks) - len(waiting))
        free = waiting
        while waiting:
            busy = [task for task in waiting if task not in free]
            for task, outcome in executor.run(run_dir, free) if free else ():
                if outcome == "full":
                    raise disk_full(f"in {run_dir.path}", run_dir.path) from OSError(
                        errno.ENOSPC, os.strerror(errno.ENOSPC)
                    )
                if outcome == "failed" and options.strict:
                    raise AttribevalError(
                        f"{task} failed, which strict=True makes an error: {_why(run_dir, grid, task)}"
                    )
                if outcome == "busy":
                    busy.append(task)
                else:
                    bar.update(1)
            waiting = [task for task in busy if not is_finished(run_dir, grid, task)]
            bar.update(len(busy) - len(waiting))
            if waiting:
                time.sleep(_POLL)
            free = [task for task in waiting if not run_dir.is_locked(task)]


def _why(run_dir: RunDir, grid: Grid, task: str) -> str:
    """The reason that a failed task left behind."""
    if is_maps(task):
        return "; ".join(dict.fromkeys((run_dir.failure(task) or {}).values()))
    record = run_dir.record(cells_by_name(grid)[task])
    return "" if record is None else str(record["error"])


def _check_explained(run_dir: RunDir, grid: Grid) -> None:
    """Nothing can be explained without its model."""
    record = run_dir.record(Cell("unmodified", "", "none", 0.0, 0))
    if grid.explained == "unmodified" and (record is None or record["status"] != "done"):
        error = "it is not there" if record is None else record["error"]
        raise AttribevalError(f"The unmodified model, which is to be explained, could not be trained: {error}")
