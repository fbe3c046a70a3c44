"""Several devices: a model's weights are copied to each, its compiled functions are not.

A function that is compiled once runs wherever it is called; all that ties it to one device are the weights that it
reads. So each device gets a copy of these, and a function asks, when it is called, which of them are meant.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from attribeval import _tf as tf
from attribeval.errors import AttribevalError, unknown

_here = threading.local()  # of this thread: handles of the copies, by the identity of the original's handle


def devices_of(strategy: Any) -> list[str]:
    """The devices that a strategy names, as "GPU:0"; none if there is nothing to share out.

    Args:
        strategy: None; "auto": all GPUs if there are several; "mirrored": all GPUs, or all (logical) CPUs where there
            is no GPU; or a `tf.distribute.Strategy` of this process, of which only the devices are used.

    Raises:
        AttribevalError: If it is something else, spans several processes, or names a device that is not there.
    """
    if strategy is None:
        return []
    there = {kind: _shorts(one.name for one in tf.config.list_logical_devices(kind)) for kind in ("GPU", "CPU")}
    if isinstance(strategy, str):
        if strategy not in ("auto", "mirrored"):
            raise unknown("strategy", strategy, ("auto", "mirrored"))
        if strategy == "auto":
            return there["GPU"] if len(there["GPU"]) > 1 else []
        return there["GPU"] or there["CPU"]
    if not isinstance(strategy, tf.distribute.Strategy):
        raise AttribevalError(
            "Expected strategy as None, 'auto', 'mirrored' or a tf.distribute.Strategy. "
            f"Received: {type(strategy).__name__}."
        )
    distribute = tf.distribute
    if isinstance(strategy, (distribute.MultiWorkerMirroredStrategy, distribute.experimental.ParameterServerStrategy)):
        raise AttribevalError(
            f"Expected a strategy of this process's own devices. Received: {type(strategy).__name__}: give each "
            "process a part of the images, or pass tf.distribute.MirroredStrategy."
        )
    named = _shorts(strategy.extended.worker_devices)
    absent = [name for name in named if name not in there["GPU"] + there["CPU"]]
    if absent:
        raise AttribevalError(
            f"Expected a strategy with devices out of {', '.join(there['GPU'] + there['CPU'])}. "
            f"Received: {', '.join(absent)}."
        )
    return named


def _short(name: str) -> str:
    spec = tf.DeviceSpec.from_string(name)
    return f"{spec.device_type}:{spec.device_index}"


def _shorts(names: Iterable[str]) -> list[str]:
    """Without the names of processes, each once: where several are connected, all their devices are listed."""
    return list(dict.fromkeys(_short(name) for name in names))


class Copies:
    """A model's weights on each of several devices.

    Args:
        model: A built Keras model.
        devices: Their names, as `devices_of` gives them.

    Raises:
        AttribevalError: If the model is on none of them, or does not fit on one.
    """

    def __init__(self, model: Any, devices: list[str]):
        self.devices = list(devices)
        self._originals = [variable.value for variable in model.variables]
        homes = sorted({_short(variable.handle.device) for variable in self._originals})
        if homes and not set(homes) & set(devices):
            raise AttribevalError(
                f"Expected a strategy whose devices hold the model, which is on {', '.join(homes)}. Received one of "
                f"{', '.join(devices)}: name {homes[0]}, too, or make the model under tf.device({devices[0]!r})."
            )
        self._copies = [self._copied(device) for device in devices]

    def _copied(self, device: str) -> list[Any]:
        """A copy of each variable that is elsewhere, None for those that are on the device."""
        try:
            with tf.device(device):
                return [
                    None if _short(one.handle.device) == device else tf.Variable(one.read_value(), trainable=False)
                    for one in self._originals
                ]
        except tf.errors.ResourceExhaustedError as error:
            raise AttribevalError(
                f"Expected room for a copy of the model on {device}. Received: out of memory. Leave it out of the "
                "strategy, or free its memory."
            ) from error

    def update(self) -> None:
        """Copy the weights again: the model may have been trained since."""
        for device, copies in zip(self.devices, self._copies, strict=True):
            with tf.device(device):
                for original, copy in zip(self._originals, copies, strict=True):
                    if copy is not None:
                        copy.assign(original.read_value())

    @contextmanager
    def on(self, number: int) -> Iterator[None]:
        """What this thread computes in the block, it computes on a device and with the weights there.

        Args:
            number: Of the device, from 0.
        """
        pairs = zip(self._originals, self._copies[number], strict=True)
        with tf.device(self.devices[number]):
            _here.handles = {id(original.handle): copy.handle for original, copy in pairs if copy is not None}
            try:
                yield
            finally:
                _here.handles = {}


@contextmanager
def nowhere() -> Iterator[None]:
    """For building functions: in the block, this thread is on no device and has the model's own weights."""
    kept, _here.handles = getattr(_here, "handles", {}), {}
    try:
        with tf.device(None):
            yield
    finally:
        _here.handles = kept


def ask_for_weights(function: Any) -> None:
    """Let a concrete function read the weights of the device that its caller is on; see `Copies.on`."""
    for handle, _ in list(function.graph.captures):
        if handle.dtype == tf.resource:
            function.replace_capture_with_deferred_capture(
                handle,
                lambda handle=handle: getattr(_here, "handles", {}).get(id(handle), handle),
                tf.TensorSpec([], tf.resource),
            )
