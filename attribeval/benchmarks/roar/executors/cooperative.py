"""Several processes, one training at a time: `MultiWorkerMirroredStrategy`, as TF_CONFIG says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from attribeval import _tf as tf
from attribeval.benchmarks.roar.run_dir import RunDir
from attribeval.benchmarks.roar.strategies import is_chief
from attribeval.benchmarks.roar.tasks import Setup, is_finished, run_task

_NOTHING_LEFT = -1


class Cooperative:
    """Runs every training in all processes of the cluster together; the chief chooses which, and writes its record.

    Args:
        setup: Its strategy is the `MultiWorkerMirroredStrategy` of this process.
    """

    def __init__(self, setup: Setup):
        self._setup = setup
        self._agree: Any = None

    def run(self, run_dir: RunDir, tasks: Sequence[str]) -> Iterator[tuple[str, str]]:
        """Do tasks; yields each with its outcome. Maps are made by each process alone, trainings by all together."""
        grid = run_dir.grid()
        for task in (task for task in tasks if task.startswith("maps_")):
            yield task, run_task(run_dir, grid, task, self._setup)
        cells = [cell.name for cell in grid.cells()]
        mine = [task for task in tasks if not task.startswith("maps_")]
        todo = [task for task in mine if is_chief() and not is_finished(run_dir, grid, task)]
        outcomes = dict.fromkeys(mine, "done")
        while True:
            place = self._chosen(cells.index(todo.pop(0)) if todo else _NOTHING_LEFT)
            if place == _NOTHING_LEFT:
                break
            outcomes[cells[place]] = self._together(run_dir, grid, cells[place])
            tf.keras.backend.clear_session()
        yield from outcomes.items()

    def close(self) -> None:
        """Nothing to end."""

    def _together(self, run_dir: RunDir, grid: Any, task: str) -> str:
        """The chief holds the lock for all; the others work without."""
        return run_task(run_dir, grid, task, self._setup, locked=is_chief())

    def _chosen(self, place: int) -> int:
        """What the chief passes, in every process."""
        strategy = self._setup.strategy
        if self._agree is None:

            def on_replica(value):
                context = tf.distribute.get_replica_context()
                first = tf.equal(context.replica_id_in_sync_group, 0)
                return context.all_reduce(tf.distribute.ReduceOp.SUM, tf.where(first, value, 0))

            self._agree = tf.function(lambda value: strategy.run(on_replica, args=(value,)))
        return int(strategy.experimental_local_results(self._agree(tf.constant(place)))[0])
