"""Methods that only the caller's process has, and ready maps: ranked there, before all others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from attribeval.attributer import Attributer
from attribeval.benchmarks.roar.grid import Grid, file_name
from attribeval.benchmarks.roar.importance import explained_model, rank_shard
from attribeval.benchmarks.roar.run_dir import SPLITS, RunDir
from attribeval.benchmarks.roar.tasks import with_filtered
from attribeval.errors import AttribevalError
from attribeval.runs.failures import reason_of


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
                errors = _store(run_dir, grid, label, own[label], attributer, names)
            run_dir.write_failure(task, errors)
            if strict and errors:
                raise AttribevalError(
                    f"No maps of {label}, which strict=True makes an error: {next(iter(errors.values()))}"
                )


def _store(
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
