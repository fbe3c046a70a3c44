"""Ray Core: each task is a remote function with its own GPUs, on any machine of the cluster that sees the directory."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

from attribeval.benchmarks.roar.run_dir import RunDir
from attribeval.benchmarks.roar.tasks import Setup, record_death, run_one
from attribeval.errors import AttribevalError


class Ray:
    """Runs tasks on a Ray cluster; starts one on this machine if none is running.

    Args:
        setup: How each process works; its strategy must be a name.
        num_gpus: GPUs of each task.
        num_cpus: CPUs of each task, and its threads.

    Raises:
        AttribevalError: If Ray is not installed.
    """

    def __init__(self, setup: Setup, num_gpus: float = 0, num_cpus: float = 1):
        try:
            import ray
        except ImportError as error:
            raise AttribevalError("executor='ray' needs Ray: pip install 'attribeval[ray]'.") from error
        self._ray = ray
        threads = setup.threads if setup.threads is not None else max(1, int(num_cpus))
        self._setup = dataclasses.asdict(setup) | {"threads": threads}
        self._started = not ray.is_initialized()
        if self._started:
            ray.init(log_to_driver=False, include_dashboard=False)
        self._task = ray.remote(num_gpus=num_gpus, num_cpus=num_cpus, max_calls=1, max_retries=0)(run_one)

    def run(self, run_dir: RunDir, tasks: Sequence[str]) -> Iterator[tuple[str, str]]:
        """Do tasks; yields each with its outcome, in the order in which they end."""
        path = str(run_dir.path.resolve())
        running = {self._task.remote(path, task, self._setup): task for task in tasks}
        while running:
            (ended, *_), _ = self._ray.wait(list(running), num_returns=1)
            task = running.pop(ended)
            try:
                outcome = self._ray.get(ended)
            except Exception as error:  # the process died, or its machine
                outcome = record_death(run_dir, run_dir.grid(), task, f"{type(error).__name__}: {error}")
            yield task, outcome

    def close(self) -> None:
        """Leave the cluster, and end it if it was started here."""
        if self._started:
            self._ray.shutdown()
