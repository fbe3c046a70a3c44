"""Maps that the user made, as arrays or by a function: ranked in the process that has them, before all others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from attribeval.benchmarks.roar.grid import Grid, file_name
from attribeval.benchmarks.roar.importance import explained_model, rank_maps
from attribeval.benchmarks.roar.run_dir import SPLITS, RunDir
from attribeval.benchmarks.roar.tasks import with_filtered
from attribeval.errors import AttribevalError
from attribeval.files import is_disk_full


def store_own_maps(run_dir: RunDir, grid: Grid, maps: Mapping[str, Any]) -> None:
    """Store the ranks of maps that the user made; where they are there already, nothing is asked for.

    What fails is written down, and so are then the cells that need it; the grid goes on.
    """
    for label in (e.label for e in grid.estimators if e.source == "maps"):
        task = f"own_{file_name(label)}"
        with run_dir.lock(task):
            missing = [one for one in grid.rankings() if one in with_filtered(label)]
            missing = [one for one in missing if any(run_dir.missing_ranks(one, split) for split in SPLITS)]
            error = _store_maps(run_dir, grid, label, maps) if missing else None
            run_dir.write_failure(task, {} if error is None else dict.fromkeys(missing, error))


def _store_maps(run_dir: RunDir, grid: Grid, label: str, maps: Mapping[str, Any]) -> str | None:
    """Rank one estimator's maps; returns what went wrong, or None."""
    if label not in maps:
        return "they are the user's own: call Evaluator.roar with them."
    try:
        for split in SPLITS:
            rank_maps(run_dir, grid, label, split, _source_of(maps[label], split, run_dir, grid))
    except Exception as error:  # of the user's function, too
        if is_disk_full(error):
            raise
        return str(error) if isinstance(error, AttribevalError) else f"{type(error).__name__}: {error}"
    return None


def _source_of(given: Any, split: str, run_dir: RunDir, grid: Grid) -> Callable[[np.ndarray, int], np.ndarray]:
    """Maps as a function of raw images and the number of the first."""
    if callable(given):
        model = explained_model(run_dir, grid).classifier.model
        return lambda raw, first: given(raw, model, split)
    arrays = np.asarray(given[SPLITS.index(split)])
    return lambda raw, first: arrays[first : first + len(raw)]
