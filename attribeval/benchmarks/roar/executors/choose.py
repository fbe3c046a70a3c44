"""Which executor does the work, and whether it can."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attribeval.benchmarks.roar.executors.here import Inline
from attribeval.benchmarks.roar.executors.local import Local
from attribeval.benchmarks.roar.tasks import Setup
from attribeval.common.options import check_count
from attribeval.errors import AttribevalError, unknown
from attribeval.importable import place_of

EXECUTORS = ("local", "ray", "slurm")


def check_executor(
    setup: Setup, executor: str, jobs: int, gpus_per_job: int | None, options: Mapping[str, Any] | None
) -> bool:
    """Whether the tasks must stay in this process, as its strategy or callbacks cannot leave it."""
    if executor not in EXECUTORS:
        raise unknown("executor", str(executor), EXECUTORS)
    check_count("jobs", jobs, 1)
    if executor == "local" and options:
        raise AttribevalError(f"Expected executor_options with 'ray' and 'slurm' only. Received: {dict(options)}.")
    if executor != "local" and (jobs > 1 or gpus_per_job is not None):
        raise AttribevalError(
            f"Expected jobs and gpus_per_job with executor='local' only. Received executor={executor!r}: use "
            "executor_options (num_gpus, num_cpus; at_once, gpus_per_node)."
        )
    stays = not isinstance(setup.strategy, str) or not (setup.callbacks == () or isinstance(setup.callbacks, dict))
    if stays and (executor != "local" or jobs > 1):
        raise AttribevalError(
            "Expected executor='local' and jobs=1 with a Strategy object or callbacks, which cannot leave this "
            "process. Pass the strategy by name, and callbacks as a function at the top of a .py file."
        )
    return stays


def make_executor(
    setup: Setup, executor: str, jobs: int, gpus_per_job: int | None, options: Mapping[str, Any] | None
) -> Any:
    """What does the tasks: the executor of a name, or this process if they must stay."""
    if check_executor(setup, executor, jobs, gpus_per_job, options):
        return Inline(setup)
    if executor == "local":
        return Local(setup, jobs, gpus_per_job)
    chosen: Any
    if executor == "ray":
        from attribeval.benchmarks.roar.executors.ray import Ray as chosen
    else:
        from attribeval.benchmarks.roar.executors.slurm import Slurm as chosen
    try:
        return chosen(setup, **(options or {}))
    except TypeError as error:
        raise AttribevalError(f"Expected executor_options that {executor} knows. Received: {error}.") from error


def portable(callbacks: Any) -> Any:
    """Callbacks as other processes can have them, if they can: {"file", "name"}; else as they are."""
    if not callable(callbacks):
        if not isinstance(callbacks, (list, tuple)):
            raise AttribevalError(
                f"Expected callbacks as a list, or a function of the cell's name that returns one. Received: "
                f"{type(callbacks).__name__}."
            )
        return tuple(callbacks)
    place = place_of(callbacks)
    return callbacks if place is None else place
