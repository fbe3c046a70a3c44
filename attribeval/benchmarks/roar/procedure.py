"""ROAR and KAR from end to end (Hooker et al. 2019): remove or keep, retrain, and say who beats chance.

The work is done in stages, each a list of tasks: the unmodified models, the maps, the modified models. Any number of
processes may work on one run directory.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from typing import Any

import numpy as np

from attribeval import progress as progress_bars
from attribeval.attributer import versions
from attribeval.benchmarks.roar.executors.inline import Inline
from attribeval.benchmarks.roar.executors.local import Local
from attribeval.benchmarks.roar.grid import PAPER_CONTROLS, PAPER_ESTIMATORS, Cell, Grid
from attribeval.benchmarks.roar.importance import create_ranks, explained_model, rank_maps
from attribeval.benchmarks.roar.recipe import Recipe
from attribeval.benchmarks.roar.records import CorruptRecords, Records
from attribeval.benchmarks.roar.request import Request, make_request
from attribeval.benchmarks.roar.run_dir import SPLITS, RunDir
from attribeval.benchmarks.roar.strategies import check_strategy, make_strategy, workers
from attribeval.benchmarks.roar.tasks import Setup, is_finished, map_tasks
from attribeval.benchmarks.roar.verdict import result as make_result
from attribeval.errors import AttribevalError, unknown
from attribeval.results.result import Result

EXECUTORS = ("local", "ray", "slurm")
_POLL = 1.0  # seconds between looks at what other processes do


def run_roar(
    build_model: Callable[[], Any],
    dataset: Any,
    methods: Sequence[str] | Mapping[str, Any] = (*PAPER_ESTIMATORS, *PAPER_CONTROLS),
    *,
    run_dir: str | PathLike,
    fractions: Sequence[float] = (0.1, 0.3, 0.5, 0.7, 0.9),
    modes: Sequence[str] = ("remove", "keep"),
    repeats: int = 5,
    controls: Sequence[str] = (),
    recipe: str | Recipe = "small",
    preprocess: str | None = None,
    per: str = "value",
    fill: Any = "mean",
    targets: str = "predicted",
    checkpoint: Any = None,
    strategy: Any = "auto",
    callbacks: Any = (),
    executor: str = "local",
    jobs: int = 1,
    gpus_per_job: int | None = None,
    executor_options: Mapping[str, Any] | None = None,
    seed: int = 0,
    progress: bool | None = None,
) -> Result:
    """Rank every image's values by each estimator, remove or keep the top fractions, retrain, and compare.

    Args:
        build_model: A function that returns an untrained Keras classifier. Models of Keras' own layers are written
            down as they are; others need a function at the top of a `.py` file.
        dataset: Anything with `.train` and `.test`, or a pair of `Samples`. Images of files are resized to the model's
            input.
        methods: Names of estimators (the paper's 15 and its two controls by default); or a mapping from labels to
            names, to maps (a pair of arrays, train and test, (N, H, W, C or 1)), or to functions
            `(images, model, split) -> maps` of raw images (B, H, W, C).
        run_dir: The folder that holds everything; the same call goes on there after an interruption. More methods,
            modes, repeats or controls extend it.
        fractions: Shares of the values that are removed, or kept, in (0, 1].
        modes: "remove" (ROAR) and "keep" (KAR).
        repeats: Trainings per estimator, mode and fraction.
        controls: Further rows: "leakage" (a classifier trained on the masks alone), "max_filter" (each method's map
            through a 3-pixel maximum filter), "recursive" (ranked again on the model retrained one fraction before).
        recipe: A `Recipe`, or the name of one of `RECIPES`.
        preprocess: Name of the preprocessing between raw images and the model's input; None: the model takes raw
            images.
        per: "value" ranks each channel of each pixel by itself (as the reference code), "pixel" the channels' sum.
        fill: What removed values become: "mean" (the training set's, by channel), "blur", "linear" (ROAD's noisy
            linear imputation), a number, or a tuple with a number per channel.
        targets: Class that is explained: "predicted" (as the paper) or "label".
        checkpoint: A trained Keras model, or the file of one, to be explained; None explains the unmodified model of
            repeat 0.
        strategy: "auto" (all GPUs of this machine; several machines as TF_CONFIG says), another name of
            `strategies.NAMES`, or a `tf.distribute.Strategy`, with which all cells run in this process.
        callbacks: Keras callbacks, which keep all cells in this process; or a function of the cell's name that returns
            some, at the top of a `.py` file.
        executor: "local" (a fresh process per cell), "ray" or "slurm".
        jobs: Cells at a time, with "local".
        gpus_per_job: GPUs of each, with "local"; None: all.
        executor_options: Arguments of `executors.ray.Ray` or `executors.slurm.Slurm`.
        seed: Of everything random.
        progress: Show progress bars; None shows them on a terminal or in a notebook.

    Returns:
        See `verdict.result`. Failed cells are rows without a value, and are named in the summary.

    Raises:
        AttribevalError: For bad arguments; if `run_dir` holds another grid (says what differs); or if the unmodified
            model cannot be trained.
    """
    check_strategy(strategy)
    together = isinstance(strategy, str) and workers() > 1
    if together:  # must be TensorFlow's first call
        strategy = make_strategy(strategy)
    request = make_request(
        build_model, dataset, methods, fractions=fractions, modes=modes, repeats=repeats, controls=controls,
        recipe=recipe, preprocess=preprocess, per=per, fill=fill, targets=targets, checkpoint=checkpoint, seed=seed,
    )  # fmt: skip
    working = RunDir(run_dir)
    grid = working.claim(request.grid)
    prepare(working, grid, request, progress)
    setup = Setup(strategy, _portable(callbacks))
    chosen = make_executor(setup, executor, jobs, gpus_per_job, executor_options, together)
    try:
        work(working, grid, chosen, request.maps, progress)
    finally:
        chosen.close()
    return report(working)


def continue_roar(
    run_dir: str | PathLike,
    *,
    strategy: str = "auto",
    executor: str = "local",
    jobs: int = 1,
    gpus_per_job: int | None = None,
    executor_options: Mapping[str, Any] | None = None,
    progress: bool | None = None,
) -> Result:
    """Go on with a run directory as it is, alone or beside other processes; it needs neither data set nor builder.

    Args:
        run_dir: A folder in which `run_roar` prepared its images.
        strategy, executor, jobs, gpus_per_job, executor_options, progress: As in `run_roar`.

    Raises:
        AttribevalError: If the folder holds no grid, or images are missing or corrupted there.
    """
    working = RunDir.existing(run_dir)
    grid = working.grid()
    for split in SPLITS:
        working.images(split).verify()
    create_ranks(working, grid)
    drop_corrupted(working, grid)
    chosen = make_executor(Setup(strategy), executor, jobs, gpus_per_job, executor_options, together=False)
    try:
        work(working, grid, chosen, {}, progress)
    finally:
        chosen.close()
    return report(working)


def report(run_dir: RunDir) -> Result:
    """The answer, from the records that there are."""
    grid = run_dir.grid()
    records = run_dir.records()
    done = [record for record in records if record["status"] == "done"]
    settings = grid.to_json() | {
        "expected_cells": len(grid.cells()),
        "done_cells": len(done),
        "cost": {
            "cells": len(done),
            "seconds": sum(record["seconds"] for record in done),
            "hosts": sorted({record["hardware"]["host"] for record in done}),
        },
        "versions": done[0]["versions"] if done else versions(),
    }
    settings["model"] = {key: value for key, value in settings["model"].items() if key != "architecture"}
    if not done:
        raise AttribevalError(f"Expected finished cells in {run_dir.path}. Received none: attribeval roar run first.")
    return make_result(records, settings, planned=[cell.name for cell in grid.cells()])


def prepare(run_dir: RunDir, grid: Grid, request: Request, progress: bool | None) -> None:
    """Write what all processes need: images, labels, the given checkpoint, the layout of the ranks."""
    request.source.write(run_dir, progress)
    if request.checkpoint is not None and not run_dir.explained_file.is_file():
        with run_dir.lock("explained"):
            temporary = run_dir.explained_file.with_name(f"tmp-{time.time_ns()}.keras")
            request.checkpoint.save(temporary)
            temporary.replace(run_dir.explained_file)
    create_ranks(run_dir, grid)
    drop_corrupted(run_dir, grid)


def drop_corrupted(run_dir: RunDir, grid: Grid) -> None:
    """Delete rank files that are not as they were written, so that they are made again, and say which."""
    for label in grid.rankings():
        for split in SPLITS:
            records = Records.open(run_dir.ranks_folder(label), split)
            for shard in set(range(records.shards)) - set(records.missing()):
                try:
                    records.verify(shard)
                except CorruptRecords as error:
                    warnings.warn(f"{error} It is made again.", stacklevel=3)
                    error.path.unlink(missing_ok=True)


def make_executor(
    setup: Setup,
    executor: str,
    jobs: int,
    gpus_per_job: int | None,
    options: Mapping[str, Any] | None,
    together: bool,
) -> Any:
    """The executor of a name; where a strategy or callbacks cannot leave this process, tasks stay in it, too."""
    if executor not in EXECUTORS:
        raise unknown("executor", executor, EXECUTORS)
    if together:
        from attribeval.benchmarks.roar.executors.cooperative import Cooperative

        return Cooperative(setup)
    stays = not isinstance(setup.strategy, str) or not (setup.callbacks == () or isinstance(setup.callbacks, dict))
    if stays:
        if executor != "local" or jobs > 1:
            raise AttribevalError(
                "Expected executor='local' and jobs=1 with a Strategy object or callbacks, which cannot leave this "
                "process. Pass the strategy by name, and callbacks as a function at the top of a .py file."
            )
        return Inline(setup)
    if executor == "local":
        return Local(setup, jobs, gpus_per_job)
    if executor == "ray":
        from attribeval.benchmarks.roar.executors.ray import Ray

        return Ray(setup, **(options or {}))
    from attribeval.benchmarks.roar.executors.slurm import Slurm

    return Slurm(setup, **(options or {}))


def work(run_dir: RunDir, grid: Grid, executor: Any, maps: Mapping[str, Any], progress: bool | None) -> None:
    """Do what is missing, stage by stage."""
    _stage(run_dir, grid, [c.name for c in grid.unmodified()], executor, "unmodified models", progress)
    _check_explained(run_dir, grid)
    _own_maps(run_dir, grid, maps)
    _stage(run_dir, grid, map_tasks(run_dir, grid), executor, "maps", progress)
    recursive = grid.recursive()
    first = grid.modified() + (recursive[0] if recursive else [])
    _stage(run_dir, grid, [cell.name for cell in first], executor, "modified models", progress)
    for level in recursive[1:]:
        _stage(run_dir, grid, [cell.name for cell in level], executor, "recursive models", progress)


def _stage(run_dir: RunDir, grid: Grid, tasks: Sequence[str], executor: Any, what: str, progress: bool | None) -> None:
    """Do the tasks that are not done, each at most once in this call, and wait for those that others do."""
    waiting = [task for task in tasks if not is_finished(run_dir, grid, task)]
    with progress_bars.bar(len(tasks), what, progress, unit="task") as bar:
        bar.update(len(tasks) - len(waiting))
        while waiting:
            busy = []
            for task, outcome in executor.run(run_dir, waiting):
                if outcome == "busy":
                    busy.append(task)
                else:
                    bar.update(1)
            waiting = busy
            if waiting:
                time.sleep(_POLL)


def _check_explained(run_dir: RunDir, grid: Grid) -> None:
    """Nothing can be explained without its model."""
    record = run_dir.record(Cell("unmodified", "", "none", 0.0, 0))
    if grid.explained == "unmodified" and (record is None or record["status"] != "done"):
        error = "it is not there" if record is None else record["error"]
        raise AttribevalError(f"The unmodified model, which is to be explained, could not be trained: {error}")


def _own_maps(run_dir: RunDir, grid: Grid, maps: Mapping[str, Any]) -> None:
    """Store the ranks of maps that the user made; where they are there already, nothing is asked for."""
    for estimator in (e for e in grid.estimators if e.source == "maps"):
        label = estimator.label
        missing = any(Records.open(run_dir.ranks_folder(label), split).missing() for split in SPLITS)
        if not missing:
            continue
        if label not in maps:
            raise AttribevalError(
                f"Expected the maps of {label}, which the user made. Received none, and {run_dir.path} lacks them: "
                "call Evaluator.roar with them."
            )
        for split in SPLITS:
            rank_maps(run_dir, grid, label, split, _source_of(maps[label], split, run_dir, grid))


def _source_of(given: Any, split: str, run_dir: RunDir, grid: Grid) -> Callable[[np.ndarray, int], np.ndarray]:
    """Maps as a function of raw images and the number of the first."""
    if callable(given):
        model = explained_model(run_dir, grid).classifier.model
        return lambda raw, first: given(raw, model, split)
    arrays = np.asarray(given[SPLITS.index(split)])
    return lambda raw, first: arrays[first : first + len(raw)]


def _portable(callbacks: Any) -> Any:
    """Callbacks as other processes can have them, if they can: {"file", "name"}; else as they are."""
    if not callable(callbacks):
        return tuple(callbacks)
    from attribeval.benchmarks.roar.builder import place_of

    place = place_of(callbacks)
    return callbacks if place is None else place
