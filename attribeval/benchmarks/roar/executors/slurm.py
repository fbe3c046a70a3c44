"""Slurm, through submitit: each task is a job of its own."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator, Sequence
from typing import Any

from attribeval.benchmarks.roar.run_dir import RunDir
from attribeval.benchmarks.roar.tasks import Setup, record_death, run_one
from attribeval.errors import AttribevalError

_POLL = 2.0  # seconds between looks at the jobs


class Slurm:
    """Submits tasks to Slurm and waits for them.

    Args:
        setup: How each process works; its strategy must be a name.
        cluster: What submitit calls "slurm", or "local" and "debug" to try it without a cluster; None: found out.
        at_once: Jobs that run at a time.
        **parameters: What `submitit.AutoExecutor.update_parameters` takes: timeout_min, slurm_partition,
            gpus_per_node, cpus_per_task (and so many threads), mem_gb, ….

    Raises:
        AttribevalError: If submitit is not installed, or refuses a parameter.
    """

    def __init__(self, setup: Setup, cluster: str | None = None, at_once: int = 256, **parameters: Any):
        try:
            import submitit
        except ImportError as error:
            raise AttribevalError("executor='slurm' needs submitit: pip install 'attribeval[slurm]'.") from error
        self._submitit, self._cluster, self._at_once = submitit, cluster, at_once
        self._parameters = {"name": "attribeval-roar"} | parameters
        threads = setup.threads if setup.threads is not None else parameters.get("cpus_per_task")
        self._setup = dataclasses.asdict(setup) | {"threads": threads}
        self._jobs: list[Any] = []

    def run(self, run_dir: RunDir, tasks: Sequence[str]) -> Iterator[tuple[str, str]]:
        """Do tasks; yields each with its outcome, in the order in which they end."""
        path = str(run_dir.path.resolve())
        executor = self._submitit.AutoExecutor(folder=run_dir.path / "logs" / "slurm", cluster=self._cluster)
        try:
            executor.update_parameters(**self._parameters)
        except (TypeError, NameError, ValueError) as error:
            raise AttribevalError(f"submitit refuses these parameters: {error}") from error
        running: dict[str, Any] = {}
        waiting = list(tasks)
        while waiting or running:
            while waiting and len(running) < self._at_once:
                task = waiting.pop(0)
                running[task] = executor.submit(run_one, path, task, self._setup)
            self._jobs = list(running.values())
            ended = [task for task, job in running.items() if job.done()]
            for task in ended:
                job = running.pop(task)
                try:
                    outcome = job.result()
                except Exception as error:  # the job was killed, or its machine died
                    how = f"Job {job.job_id}: {str(error)[-2000:]}"
                    outcome = record_death(run_dir, run_dir.grid(), task, how)
                yield task, outcome
            if not ended:
                time.sleep(_POLL)

    def close(self) -> None:
        """Cancel the jobs that are still there."""
        for job in self._jobs:
            if not job.done():
                job.cancel()
