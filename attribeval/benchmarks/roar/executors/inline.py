"""This process, one task after another: for strategies and callbacks that cannot leave it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from attribeval import _tf as tf
from attribeval.benchmarks.roar.run_dir import RunDir
from attribeval.benchmarks.roar.tasks import Setup, run_task


class Inline:
    """Runs tasks in this process."""

    def __init__(self, setup: Setup):
        self._setup = setup

    def run(self, run_dir: RunDir, tasks: Sequence[str]) -> Iterator[tuple[str, str]]:
        """Do tasks; yields each with its outcome."""
        for task in tasks:
            yield task, run_task(run_dir, run_dir.grid(), task, self._setup)
            tf.keras.backend.clear_session()

    def close(self) -> None:
        """Nothing to end."""
