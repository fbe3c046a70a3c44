"""This machine: a fresh process per task, several at a time."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from attribeval.benchmarks.roar.run_dir import RunDir
from attribeval.benchmarks.roar.tasks import Setup
from attribeval.common.options import check_count
from attribeval.errors import AttribevalError


class Local:
    """Runs tasks on this machine; `threads=None` in the setup shares the cores among the jobs.

    The strategy must be a name. `gpus_per_job` are those that each task sees; None: all that this machine shows, with
    `jobs=1`.
    """

    def __init__(self, setup: Setup, jobs: int = 1, gpus_per_job: int | None = None):
        check_count("jobs", jobs, 1)
        threads = setup.threads if setup.threads is not None else max(1, (os.cpu_count() or 1) // jobs)
        sharing = jobs if gpus_per_job is None else 1
        self._words = {
            "strategy": setup.strategy, "callbacks": setup.callbacks, "threads": threads, "sharing": sharing,
        }  # fmt: skip
        self._jobs = jobs
        self._gpus = "" if gpus_per_job is None else _slots(jobs, gpus_per_job)
        self._worker: Any = None

    def run(self, run_dir: RunDir, tasks: Sequence[str]) -> Iterator[tuple[str, str]]:
        """Do tasks; yields each with its outcome, in the order in which they end."""
        if not tasks:
            return
        worker = self._start(run_dir)
        with contextlib.suppress(OSError):  # if it is gone, reading says so
            worker.stdin.write("".join(f"{task}\n" for task in tasks))
            worker.stdin.flush()
        for _ in tasks:
            line = worker.stdout.readline()
            if not line:
                raise AttribevalError(
                    f"The worker process of this run ended by itself (code {worker.wait()}; negative: the signal that "
                    "killed it). Finished cells are safe: the same call goes on."
                )
            outcome, task = line.split()
            yield task, outcome

    def close(self) -> None:
        """End the worker, and with it whatever it still does."""
        if self._worker is not None:
            with contextlib.suppress(OSError):
                self._worker.stdin.close()
            self._worker.wait()
            self._worker.stdout.close()
            self._worker = None

    def _start(self, run_dir: RunDir) -> Any:
        if self._worker is None:
            command = [sys.executable, "-m", "attribeval.benchmarks.roar.worker", str(run_dir.path)]
            command += ["--jobs", str(self._jobs), "--setup", json.dumps(self._words), "--gpus", self._gpus]
            paths = os.pathsep.join(path or str(Path.cwd()) for path in sys.path)
            environment = {"TF_CPP_MIN_LOG_LEVEL": "3"} | os.environ | {"PYTHONPATH": paths}
            self._worker = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
            )
        return self._worker


def _slots(jobs: int, gpus_per_job: int) -> str:
    """Which GPUs each job sees, as CUDA_VISIBLE_DEVICES has them."""
    check_count("gpus_per_job", gpus_per_job, 1)
    shown = os.environ.get("CUDA_VISIBLE_DEVICES")
    if shown is not None:
        gpus = [gpu for gpu in shown.split(",") if gpu]
    else:
        try:
            listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=True).stdout
        except (OSError, subprocess.CalledProcessError):
            listed = ""
        gpus = [str(i) for i in range(len(listed.splitlines()))]
    if len(gpus) < jobs * gpus_per_job:
        raise AttribevalError(
            f"Expected {jobs * gpus_per_job} GPUs for {jobs} jobs. Received a machine that shows {len(gpus)}: lower "
            "jobs or gpus_per_job."
        )
    return ";".join(",".join(gpus[i * gpus_per_job : (i + 1) * gpus_per_job]) for i in range(jobs))
