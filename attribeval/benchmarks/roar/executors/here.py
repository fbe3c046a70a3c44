"""In this process: one task after another, or each training together with the other processes of a cluster."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

from attribeval import _tf as tf
from attribeval.benchmarks.roar.run_dir import RunDir
from attribeval.benchmarks.roar.tasks import Setup, is_finished, is_maps, run_task
from attribeval.training.strategies import is_chief

_NOTHING_LEFT = -1
_POLL = 1.0  # seconds between looks at a task that a process outside the cluster holds


class Inline:
    """Runs one task after another, for strategies and callbacks that cannot leave this process."""

    def __init__(self, setup: Setup):
        self._setup = setup

    def run(self, run_dir: RunDir, tasks: Sequence[str]) -> Iterator[tuple[str, str]]:
        """Do tasks; yields each with its outcome."""
        for task in tasks:
            yield task, run_task(run_dir, run_dir.grid(), task, self._setup)
            tf.keras.backend.clear_session()

    def close(self) -> None:
        """Nothing to end."""


class Cooperative(Inline):
    """Runs every training in all processes of the cluster together; the chief chooses which, and writes its record.

    The setup's strategy is the `MultiWorkerMirroredStrategy` of this process, as TF_CONFIG says.
    """

    _agree: Any = None

    def run(self, run_dir: RunDir, tasks: Sequence[str]) -> Iterator[tuple[str, str]]:
        """Do tasks; yields each with its outcome. Maps are made by each process alone, trainings by all together."""
        grid = run_dir.grid()
        for task in filter(is_maps, tasks):
            yield task, run_task(run_dir, grid, task, self._setup)
        cells = [cell.name for cell in grid.cells()]
        outcomes = {task: "done" for task in tasks if not is_maps(task)}
        if not outcomes:
            return
        if is_chief():
            self._lead(run_dir, grid, cells, outcomes)
        else:
            while (place := self._chosen(0)) != _NOTHING_LEFT:
                outcomes[cells[place]] = self._train(run_dir, grid, cells[place])
        yield from outcomes.items()

    def _lead(self, run_dir: RunDir, grid: Any, cells: Sequence[str], outcomes: dict[str, str]) -> None:
        """Take the lock of one task after another, and tell the others; wait for what processes outside are at."""
        waiting = deque(outcomes)
        while waiting:
            task = waiting.popleft()
            with run_dir.try_lock(task) as free:
                if free and not is_finished(run_dir, grid, task):
                    self._chosen(cells.index(task))
                    outcomes[task] = self._train(run_dir, grid, task)
            if not free:
                waiting.append(task)
                time.sleep(_POLL)
        self._chosen(_NOTHING_LEFT)

    def _train(self, run_dir: RunDir, grid: Any, task: str) -> str:
        outcome = run_task(run_dir, grid, task, self._setup, locked=False)
        tf.keras.backend.clear_session()
        return outcome

    def _chosen(self, place: int) -> int:
        """What the chief passes, in every process; what the others pass does not count."""
        strategy = self._setup.strategy
        if self._agree is None:

            def on_replica(value):
                context = tf.distribute.get_replica_context()
                first = tf.equal(context.replica_id_in_sync_group, 0)
                return context.all_reduce(tf.distribute.ReduceOp.SUM, tf.where(first, value, 0))

            self._agree = tf.function(lambda value: strategy.run(on_replica, args=(value,)))
        return int(strategy.experimental_local_results(self._agree(tf.constant(place)))[0])
