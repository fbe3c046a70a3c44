"""Which devices a training uses."""

from __future__ import annotations

import json
import os
from typing import Any

from attribeval import _tf as tf
from attribeval.errors import AttribevalError, unknown

NAMES = ("auto", "one_device", "mirrored", "multi_worker")


def check_strategy(strategy: Any) -> None:
    """Refuse what is neither one of `NAMES` nor a `tf.distribute.Strategy`."""
    if isinstance(strategy, str):
        if strategy not in NAMES:
            raise unknown("strategy", strategy, NAMES)
    elif not isinstance(strategy, tf.distribute.Strategy):
        raise AttribevalError(
            f"Expected strategy to be one of {', '.join(NAMES)} or a tf.distribute.Strategy. Received: "
            f"{type(strategy).__name__}."
        )


def workers() -> int:
    """How many processes share one training, from TF_CONFIG; 1 without it."""
    return len(_cluster().get("worker", [])) + len(_cluster().get("chief", [])) or 1


def is_chief() -> bool:
    """Whether this process writes the results of a shared training."""
    task = _config().get("task", {})
    return task.get("type", "worker") == "chief" or ("chief" not in _cluster() and int(task.get("index", 0)) == 0)


def make_strategy(strategy: str | Any = "auto") -> Any:
    """The strategy of a process; for several workers this must be TensorFlow's first call in the process.

    Args:
        strategy: "auto": as TF_CONFIG says for several workers, else all GPUs of this machine, else its one device.
            "one_device", "mirrored" (all GPUs; without GPUs all logical CPUs), "multi_worker". A strategy: itself.
    """
    if not isinstance(strategy, str):
        return strategy
    check_strategy(strategy)
    if strategy == "multi_worker" or (strategy == "auto" and workers() > 1):
        kinds = tf.distribute.experimental.CommunicationImplementation
        chosen = kinds.NCCL if tf.config.list_physical_devices("GPU") else kinds.RING  # between GPUs, between CPUs
        options = tf.distribute.experimental.CommunicationOptions(implementation=chosen)
        return tf.distribute.MultiWorkerMirroredStrategy(communication_options=options)
    gpus = tf.config.list_logical_devices("GPU")
    if strategy == "mirrored" or (strategy == "auto" and len(gpus) > 1):
        devices = gpus or tf.config.list_logical_devices("CPU")
        return tf.distribute.MirroredStrategy([device.name for device in devices])
    return tf.distribute.get_strategy()


def strategy_of_maps(strategy: str | Any) -> str | None:
    """What `Attributer` is told: maps are shared out over the devices of this process, if trainings are.

    With several workers, or a strategy made by hand, maps have one device.
    """
    return strategy if isinstance(strategy, str) and strategy in ("auto", "mirrored") and workers() == 1 else None


def _config() -> dict[str, Any]:
    text = os.environ.get("TF_CONFIG", "")
    if not text:
        return {}
    try:
        return json.loads(text)
    except ValueError as error:
        raise AttribevalError(f"Expected TF_CONFIG to be JSON. Received: {error}.") from error


def _cluster() -> dict[str, Any]:
    return _config().get("cluster", {})
